"""Renaming weights by tables of rules that work in both directions.

A rule pairs two templates: another library's name of an array, and the path of ours. A field in braces stands
for a number that both share, perhaps counted from another start:

    Rule("layer{stage}.{block}.conv{n}.weight", "params/stage{stage}/block{block+1}/conv{n}/kernel", (2, 3, 1, 0))

so that weights load and save by the same lines. `{name:regex}` takes text that matches instead of a number.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from zoo.weights.inputs import Inputs

_FIELD = re.compile(r"\{(?P<name>[a-z_]+)(?P<offset>[+-]\d+)?(?::(?P<regex>[^{}]+))?\}")


class Rule(NamedTuple):
    """One correspondence between another library's arrays and ours."""

    theirs: str
    """Template of the name in the file."""
    ours: str
    """Template of our path, collection first: "params/stem/conv/kernel"."""
    axes: tuple[int, ...] | None = None
    """Where each axis of ours comes from in theirs; None keeps the array."""
    singletons: int = 0
    """How many axes of length one theirs has at its end, which ours lacks."""

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array of theirs has the axes that the rule speaks of."""
        if self.axes is None:
            return True
        return array.shape[len(self.axes) :] == (1,) * self.singletons and array.ndim >= len(self.axes)

    def expected(self) -> str:
        """What `fits` asks for, in words."""
        more = f" and {self.singletons} of length one" if self.singletons else ""
        return f"expected {len(self.axes or ())} axes{more}"

    def to_ours(self, array: np.ndarray) -> np.ndarray:
        """Theirs with the axes of ours."""
        return array if self.axes is None else array.reshape(array.shape[: len(self.axes)]).transpose(self.axes)

    def to_theirs(self, array: np.ndarray) -> np.ndarray:
        """The inverse."""
        if self.axes is None:
            return array
        theirs = array.transpose(np.argsort(self.axes))
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


def convolution(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A torch convolution, with or without bias: OIHW becomes HWIO."""
    kernel = Rule(f"{theirs}.weight", f"params/{ours}/kernel", (2, 3, 1, 0))
    return kernel, Rule(f"{theirs}.bias", f"params/{ours}/bias")


def linear(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A torch linear layer: its matrix is transposed."""
    return Rule(f"{theirs}.weight", f"params/{ours}/kernel", (1, 0)), Rule(f"{theirs}.bias", f"params/{ours}/bias")


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
        matches = ((rename(name, rule.theirs, rule.ours), rule) for rule in family.rules)
        path, rule = next(((path, rule) for path, rule in matches if path is not None), (None, None))
        if path is None or rule is None:
            problems.append(f"{name}: no rule for it")
        elif path in found:
            problems.append(f"{name}: is {path}, which {origin[path]} is already")
        elif not rule.fits(array):
            problems.append(f"{name}: {rule.expected()}, got shape {array.shape}")
        else:
            found[path], origin[path] = rule.to_ours(array), name
    return found if family.inputs is None else family.inputs.to_ours(found), origin, problems


def to_theirs(family: Family, arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The inverse of `to_ours`: a file's names and arrays from ours, and the paths that no rule covers."""
    renamed: dict[str, np.ndarray] = {}
    problems: list[str] = []
    if family.inputs is not None:
        arrays = family.inputs.to_theirs(arrays)
    for path, array in arrays.items():
        matches = ((rename(path, rule.ours, rule.theirs), rule) for rule in family.rules)
        name, rule = next(((name, rule) for name, rule in matches if name is not None), (None, None))
        if name is None or rule is None:
            problems.append(f"{path}: no rule for it")
        else:
            renamed[name] = rule.to_theirs(array)
    if family.derived is not None:
        renamed |= family.derived(renamed)
    return renamed, problems


def join(*groups: Iterable[Rule]) -> tuple[Rule, ...]:
    """All rules of the groups, in order."""
    return tuple(rule for group in groups for rule in group)
