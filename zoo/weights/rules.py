"""Renaming weights by tables of rules that work in both directions.

A rule pairs two templates: another library's name of an array, and the path of ours. A field in braces stands
for a number that both share, perhaps counted from another start:

    Rule("layer{stage}.{block}.conv{n}.weight", "params/stage{stage}/block{block+1}/conv{n}/kernel", (2, 3, 1, 0))

so that weights load and save by the same lines. `{name:regex}` takes text that matches instead of a number. With
several paths of ours a rule cuts theirs in as many parts: torch fuses the gates of an LSTM in one array.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zoo.weights.inputs import Inputs

_FIELD = re.compile(r"\{(?P<name>[a-z_]+)(?P<offset>[+-]\d+)?(?::(?P<regex>[^{}]+))?\}")


class Rule(NamedTuple):
    """One correspondence between another library's arrays and ours."""

    theirs: str
    """Template of the name in the file."""
    ours: str | tuple[str, ...]
    """Template of our path, collection first: "params/stem/conv/kernel". Of several, each is the path of one of the
    equal parts of theirs, which lie one behind the other along its first axis."""
    axes: tuple[int, ...] | None = None
    """Where each axis of ours comes from in theirs; None keeps the array."""
    singletons: int = 0
    """How many axes of length one theirs has at its end, which ours lacks."""
    window: tuple[int, ...] = ()
    """Rows and columns of a map that theirs holds flattened, with its channels, in the last axis; ours has all axes."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The templates of our paths."""
        return (self.ours,) if isinstance(self.ours, str) else self.ours

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array of theirs, of any shape, has the axes that the rule speaks of, and parts of equal length."""
        if len(self.paths) > 1 and (array.ndim == 0 or len(array) % len(self.paths)):
            return False
        if self.axes is None:
            return True
        if self.window:
            flattened = len(self.axes) - len(self.window)
            return array.ndim == flattened and array.shape[-1] % math.prod(self.window) == 0
        return array.shape[len(self.axes) :] == (1,) * self.singletons and array.ndim >= len(self.axes)

    def expected(self) -> str:
        """What `fits` asks for, in words."""
        if self.window:
            sides = " x ".join(map(str, self.window))
            return f"expected {len(self.axes) - len(self.window)} axes, the last of channels times {sides} places"
        asked = [] if self.axes is None else [f"{len(self.axes)} axes"]
        asked += [f"{self.singletons} of length one"] if self.singletons else []
        asked += [f"a first axis of {len(self.paths)} equal parts"] if len(self.paths) > 1 else []
        return f"expected {' and '.join(asked)}"

    def to_ours(self, array: np.ndarray) -> list[np.ndarray]:
        """Theirs, of any shape that `fits`, with the axes of ours: one for each of our paths."""
        parts = [array] if len(self.paths) == 1 else np.split(array, len(self.paths))
        return [self._turned(part) for part in parts]

    def to_theirs(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The inverse: arrays of one shape, one for each of our paths, as the one of theirs."""
        back = [self._turned_back(array) for array in arrays]
        return np.concatenate(back) if len(back) > 1 else back[0]

    def _turned(self, array: np.ndarray) -> np.ndarray:
        if self.axes is None:
            return array
        shape = array.shape[: len(self.axes)]
        if self.window:
            shape = (*shape[:-1], shape[-1] // math.prod(self.window), *self.window)
        return array.reshape(shape).transpose(self.axes)

    def _turned_back(self, array: np.ndarray) -> np.ndarray:
        if self.axes is None:
            return array
        theirs = array.transpose(np.argsort(self.axes))
        if self.window:
            return theirs.reshape(*theirs.shape[: -len(self.window) - 1], -1)
        return theirs.reshape(*theirs.shape, *(1,) * self.singletons)


class Family(NamedTuple):
    """All rules of a family of models."""

    rules: tuple[Rule, ...]
    """The first that fits is taken; later ones for the same path serve other spellings, in loading only."""
    ignored: tuple[str, ...] = (r".*\.num_batches_tracked",)
    """Regular expressions of names in a file that hold nothing a model here needs."""
    optional: tuple[str, ...] = ()
    """Beginnings of our paths that a file may hold although the model was built without them."""
    inputs: Inputs | None = None
    """How the images for these weights differ from what `zoo.preprocess` gives."""
    derived: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] | None = None
    """Arrays that the other library keeps although they follow from others, from all renamed ones, in saving only."""


def convolution(theirs: str, ours: str, space: int = 2) -> tuple[Rule, ...]:
    """A torch convolution over so many axes of space, with or without bias: OIHW becomes HWIO.

    >>> convolution("conv1", "stem/conv", space=3)[0].axes
    (2, 3, 4, 1, 0)
    """
    kernel = Rule(f"{theirs}.weight", f"params/{ours}/kernel", (*range(2, 2 + space), 1, 0))
    return kernel, Rule(f"{theirs}.bias", f"params/{ours}/bias")


def linear(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A torch linear layer: its matrix is transposed."""
    return Rule(f"{theirs}.weight", f"params/{ours}/kernel", (1, 0)), Rule(f"{theirs}.bias", f"params/{ours}/bias")


def linear_in_parts(theirs: str, ours: Sequence[str], weight: str = "weight", bias: str = "bias") -> tuple[Rule, ...]:
    """Linear layers that torch keeps as one, whose outputs lie one behind the other, each a layer of its own here.

    Args:
      theirs: the module's name, a dot at its end if it has one.
      ours: the layers' paths, in the order of their outputs: input, forget, cell and output gate of an LSTM, for which
        the names are weight_ih_l0 and bias_ih_l0; query, key and value of attention, in_proj_weight and in_proj_bias.
      weight: what the matrix is called.
      bias: what the bias is called.

    >>> linear_in_parts("attention.", ["query", "key", "value"], "in_proj_weight", "in_proj_bias")[1].ours
    ('params/query/bias', 'params/key/bias', 'params/value/bias')
    """
    return (
        Rule(f"{theirs}{weight}", tuple(f"params/{path}/kernel" for path in ours), (1, 0)),
        Rule(f"{theirs}{bias}", tuple(f"params/{path}/bias" for path in ours)),
    )


def linear_over_window(theirs: str, ours: str, window: tuple[int, int]) -> tuple[Rule, ...]:
    """A torch linear layer over a flattened map, which is a convolution here whose window is the whole map.

    >>> rule = linear_over_window("fc", "fc6", (7, 7))[0]
    >>> rule.to_ours(np.zeros((10, 49 * 3)))[0].shape
    (7, 7, 3, 10)
    """
    kernel = Rule(f"{theirs}.weight", f"params/{ours}/kernel", (2, 3, 1, 0), window=window)
    return kernel, Rule(f"{theirs}.bias", f"params/{ours}/bias")


def linear_as_convolution(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A torch 1x1 convolution of one pixel, which is a dense layer here."""
    kernel = Rule(f"{theirs}.weight", f"params/{ours}/kernel", (1, 0), singletons=2)
    return kernel, Rule(f"{theirs}.bias", f"params/{ours}/bias")


def batch_norm(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A torch batch normalisation: two parameters and two statistics."""
    return (
        Rule(f"{theirs}.weight", f"params/{ours}/scale"),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
        Rule(f"{theirs}.running_mean", f"batch_stats/{ours}/mean"),
        Rule(f"{theirs}.running_var", f"batch_stats/{ours}/var"),
    )


def layer_norm(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A torch layer normalisation: scale and bias."""
    return Rule(f"{theirs}.weight", f"params/{ours}/scale"), Rule(f"{theirs}.bias", f"params/{ours}/bias")


def moved(rules: Iterable[Rule], theirs: str, ours: str) -> tuple[Rule, ...]:
    """The same rules for a network that is a part of another.

    Args:
      rules: of the network.
      theirs: what stands before its names in the file.
      ours: the path of the part.

    >>> moved(linear("fc", "head"), "backbone.body.", "backbone/")[0].ours
    'params/backbone/head/kernel'
    """

    def within(path: str) -> str:
        collection, _, rest = path.partition("/")
        return f"{collection}/{ours}{rest}"

    return tuple(
        rule._replace(
            theirs=theirs + rule.theirs,
            ours=within(rule.ours) if isinstance(rule.ours, str) else tuple(map(within, rule.ours)),
        )
        for rule in rules
    )


def rename(name: str, source: str, target: str) -> str | None:
    """The name after `target` of what is called `name` after `source`; None where the template does not fit.

    >>> rename("layer2.0.weight", "layer{stage}.{block}.weight", "stage{stage}/block{block+1}")
    'stage2/block1'
    >>> rename("stage2/block1", "stage{stage}/block{block+1}", "layer{stage}.{block}.weight")
    'layer2.0.weight'
    """
    pattern, end = "", 0
    for field in _FIELD.finditer(source):
        pattern += re.escape(source[end : field.start()]) + f"(?P<{field['name']}>{field['regex'] or r'[0-9]+'})"
        end = field.end()
    match = re.fullmatch(pattern + re.escape(source[end:]), name)
    if match is None:
        return None
    values = match.groupdict()
    for field in _FIELD.finditer(source):  # numbers, as they are without this side's offset
        if not field["regex"]:
            values[field["name"]] = int(values[field["name"]]) - int(field["offset"] or 0)

    fields = [field for field in _FIELD.finditer(target) if not field["regex"]]
    if any(values[field["name"]] + int(field["offset"] or 0) < 0 for field in fields):
        return None  # a count below zero: not this rule

    def filled(field: re.Match[str]) -> str:
        value = values[field["name"]]
        return str(value if field["regex"] else value + int(field["offset"] or 0))

    return _FIELD.sub(filled, target)


def to_ours(
    family: Family, arrays: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str], list[str]]:
    """Renames and transposes a file's arrays.

    Returns:
      Our paths with arrays; our paths with the names they had; and what no rule covers, or covers twice.
    """
    found: dict[str, np.ndarray] = {}
    origin: dict[str, str] = {}
    problems: list[str] = []
    for name, array in arrays.items():
        if any(re.fullmatch(pattern, name) for pattern in family.ignored):
            continue
        rule, paths = _rule_for_theirs(family, name)
        taken = [path for path in paths if path in found]
        if rule is None:
            problems.append(f"{name}: no rule for it")
        elif taken:
            problems.append(f"{name}: is {taken[0]}, which {origin[taken[0]]} is already")
        elif not rule.fits(array):
            problems.append(f"{name}: {rule.expected()}, got shape {array.shape}")
        else:
            found |= zip(paths, rule.to_ours(array), strict=True)
            origin |= dict.fromkeys(paths, name)
    return found if family.inputs is None else family.inputs.to_ours(found), origin, problems


def to_theirs(family: Family, arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The inverse of `to_ours`: a file's names and arrays from ours, and the paths that no rule covers."""
    renamed: dict[str, np.ndarray] = {}
    problems: list[str] = []
    done: set[str] = set()
    if family.inputs is not None:
        arrays = family.inputs.to_theirs(arrays)
    for path in arrays:
        name, rule = _rule_for_ours(family, path)
        if name is None or rule is None:
            problems.append(f"{path}: no rule for it")
        elif name not in done:
            done.add(name)  # with all the parts that it has
            paths = [rename(name, rule.theirs, template) for template in rule.paths]
            parts = [arrays[each] for each in paths if each in arrays]
            if len(parts) < len(paths):
                absent = next(each for each in paths if each not in arrays)
                problems.append(f"{absent}: missing, which {name} holds beside {path}")
            elif len({part.shape for part in parts}) > 1:
                shapes = ", ".join(str(part.shape) for part in parts)
                problems.append(f"{path}: expected the shape of the other parts of {name}, got {shapes}")
            else:
                renamed[name] = rule.to_theirs(parts)
    if family.derived is not None:
        renamed |= family.derived(renamed)
    return renamed, problems


def _rule_for_theirs(family: Family, name: str) -> tuple[Rule | None, tuple[str, ...]]:
    """The first rule for a name in a file, and our paths of what it holds."""
    for rule in family.rules:
        paths = tuple(rename(name, rule.theirs, template) for template in rule.paths)
        if None not in paths:
            return rule, paths
    return None, ()


def _rule_for_ours(family: Family, path: str) -> tuple[str | None, Rule | None]:
    """The name in a file of what is at a path of ours, alone or as a part, and the first rule that gives it."""
    for rule in family.rules:
        for template in rule.paths:
            name = rename(path, template, rule.theirs)
            if name is not None:
                return name, rule
    return None, None


def join(*groups: Iterable[Rule]) -> tuple[Rule, ...]:
    """All rules of the groups, in order."""
    return tuple(rule for group in groups for rule in group)
