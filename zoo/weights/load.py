"""Loading a model's variables, or those of a part of it, from a file in this zoo's layout or another library's."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, PRNGKeyArray, PyTree

from zoo.catalog import Entry, create, describe, entry_of
from zoo.catalog.inputs import Example, Input, as_inputs, batch_of
from zoo.names import unknown
from zoo.weights.families import family_of
from zoo.weights.files import read_arrays
from zoo.weights.norms import is_without_epsilon, with_epsilon
from zoo.weights.problems import flat, is_ours, lies_in, misfit
from zoo.weights.rules import to_ours
from zoo.weights.source import locate


class NewHeadWarning(UserWarning):
    """A file's head is for another number of classes than the model's, which was drawn anew."""

    def __init__(self, message: str, classes: int) -> None:
        super().__init__(message)
        self.classes = classes
        """Of the head in the file."""


def load_weights(
    model: str | nn.Module,
    source: str | os.PathLike[str],
    inputs: Example | Sequence[Example] | None = None,
    key: PRNGKeyArray | None = None,
    into: str = "",
    **overrides: Any,
) -> PyTree[Array]:
    """The variables of a model, from a file: `{"params": ..., "batch_stats": ...}`.

    The file is `.safetensors`, or torch's `.pth`, `.pt` or `.th`; its names are this zoo's (as `save_weights`
    writes them) or those of a layout that the model's row in the catalog names. All of it fits, or nothing is
    loaded. Only heads and embeddings that the row names may differ in the number of classes or words: they are then
    drawn anew, with a warning; with `num_classes=0` heads are left out. Layers that the row names as additions may be
    missing in the file: they begin as they are drawn. A module without a row takes files with this zoo's names alone,
    and its head is the layer `head`.

    With `into="backbone"` the file is one of that part of the model: it is read by the rules of the part's row, and
    the rest of the variables is drawn. A file of the whole model, with this zoo's names, is taken whole all the same.

    Args:
      model: a name of `zoo.list_models()`, or a module.
      source: the file; or what `zoo.weights.source.locate` finds: a path from ~, the name of published weights
        ("IMAGENET1K_V1"), or "hub:OWNER/REPOSITORY".
      inputs: one example without the batch axis, as for `zoo.init`, of several inputs a sequence; by default the
        catalog's. Needed where the number of channels differs, and of a module without a row.
      key: for what is drawn; `jax.random.key(0)` by default.
      into: the field of the model that holds the part; in a part of a part, the path of fields: "model/backbone".
      **overrides: as for `zoo.create`, where `model` is a name.

    Raises:
      UnknownNameError: no such model, option, part or published weights.
      FileNotFoundError: no such file.
      WeightsError: entries that the model does not have, misses, or has in another shape or kind of number; or that
        are not finite.
      ValueError: the file is damaged, of an unknown kind, or not the published one; or the model has no row in the
        catalog and no inputs are given.
      ImportError: a torch file or one of the hub, and torch or huggingface_hub is not installed.
      OSError: the file cannot be fetched.
    """
    module = _module(model, overrides)
    part = part_of(module, into)
    if inputs is None:
        inputs = _row_of_inputs(model).inputs
    examples = as_inputs(inputs)
    whole = describe(model) if isinstance(model, str) else _row(module, examples)
    entry = _row(part, examples) if into else whole
    path = locate(entry, source)
    arrays = read_arrays(path)

    def initial(key: PRNGKeyArray) -> PyTree[Array]:
        return module.init(key, *(jnp.zeros(one.shape, one.dtype) for one in batch_of(examples)))

    key = jax.random.key(0) if key is None else key
    everything = flat(jax.eval_shape(initial, key))
    if _is_of_whole(arrays, everything, into):
        into, part, entry = "", module, whole
    wanted = {_without(name, into): leaf for name, leaf in everything.items() if not into or lies_in(name, (into,))}
    found = _in_our_layout(arrays, entry, part, wanted)
    if is_without_epsilon(path, entry):
        found = found._replace(arrays=with_epsilon(found.arrays))
    missing = _additions_without_weights(found.arrays, wanted, entry)
    drawn = _heads_for_other_classes(found.arrays, {name: wanted[name] for name in wanted.keys() - missing}, entry)
    kept, problems = _fitted(found, wanted, drawn | missing, entry)
    if problems:
        shapes = ", ".join(str(one.shape) for one in examples)
        what = f"{entry.name} as {into}" if into else entry.name
        raise misfit(f"{path} does not fit {what} at input shape {shapes}{_strictness(part)}", problems)

    values = {_within(name, into): jnp.asarray(kept[name], wanted[name].dtype) for name in wanted if name in kept}
    if drawn:
        theirs, ours = (_classes(arrays, drawn, entry) for arrays in (found.arrays, wanted))
        message = f"{path} has a head for {theirs} classes, the model one for {ours}: initialised anew: "
        names = sorted(_within(name, into) for name in drawn)
        warnings.warn(NewHeadWarning(message + ", ".join(names), theirs), stacklevel=2)
    rest = everything.keys() - values.keys()
    if rest:
        values |= jax.jit(lambda key: {name: value for name, value in flat(initial(key)).items() if name in rest})(key)
    return unflatten_dict({name: values[name] for name in everything}, sep="/")


class Found(NamedTuple):
    """What was read of a file."""

    arrays: Mapping[str, np.ndarray]
    """By our paths."""
    origin: Mapping[str, str]
    """The names that they have in the file."""
    problems: list[str]
    """What has no path of ours."""


def _module(model: str | nn.Module, overrides: Mapping[str, Any]) -> nn.Module:
    """The model as a module.

    Raises:
      TypeError: options for a module, which has its own.
    """
    if isinstance(model, str):
        return create(model, **overrides)
    if overrides:
        raise TypeError(f"expected options with a model's name alone, got {', '.join(overrides)} with a module")
    return model


def part_of(module: nn.Module, path: str) -> nn.Module:
    """The module in a field of a module, or in a field of that and so on; without a path the module itself.

    Raises:
      UnknownNameError: no field of this name holds a module.
    """
    for name in path.split("/") if path else ():
        fields = (field for field in type(module).__dataclass_fields__ if field not in ("parent", "name"))
        parts = {field: value for field in fields if isinstance(value := getattr(module, field, None), nn.Module)}
        if name not in parts:
            raise unknown(f"part of {type(module).__name__}", name, parts)
        module = parts[name]
    return module


def _row_of_inputs(model: str | nn.Module) -> Entry:
    """The row that says what a model takes.

    Raises:
      ValueError: there is none.
    """
    if isinstance(model, str):
        return describe(model)
    try:
        return entry_of(model)
    except ValueError as error:
        raise ValueError(f"{error}, for which inputs must be given") from error


def _row(module: nn.Module, examples: tuple[Input, ...]) -> Entry:
    """The module's row in the catalog, or where it has none a row for files with our own names."""
    try:
        return entry_of(module)
    except ValueError:
        return Entry(type(module).__name__, builder="", task="", inputs=examples, paper="", lecture="")


def _strictness(module: nn.Module) -> str:
    """What an error adds for a module without a row, which may be why the file does not fit."""
    try:
        entry_of(module)
    except ValueError as error:
        return f" ({error}: its files have this zoo's names, and all but a head has to fit)"
    return ""


def _is_of_whole(arrays: Mapping[str, np.ndarray], everything: Mapping[str, Any], into: str) -> bool:
    """Whether a file's names are ours, and more of them those of the whole model than of the part's."""
    whole = sum(name in everything for name in arrays)
    return all(map(is_ours, arrays)) and whole > sum(_within(name, into) in everything for name in arrays)


def _within(name: str, part: str) -> str:
    """The path of a part's variable in the whole: params/stem/kernel is params/backbone/stem/kernel."""
    collection, _, path = name.partition("/")
    return f"{collection}/{part}/{path}" if part else name


def _without(name: str, part: str) -> str:
    """The inverse."""
    collection, _, path = name.partition("/")
    return f"{collection}/{path.removeprefix(f'{part}/')}" if part else name


def _in_our_layout(
    arrays: Mapping[str, np.ndarray], entry: Entry, module: nn.Module, wanted: Mapping[str, Any]
) -> Found:
    """The arrays by our names, by the layout that explains most of them."""
    if arrays and all(map(is_ours, arrays)):
        return Found(arrays, {name: name for name in arrays}, [])
    if not entry.weights:
        problems = [f"{name}: not one of this zoo's names, and {entry.name} has no other" for name in arrays]
        return Found({}, {}, problems)
    families = [family_of(layout, module) for layout in entry.weights]
    renamed = [(family, *to_ours(family, arrays)) for family in families]
    family, found, origin, problems = min(renamed, key=lambda result: len(result[-1]))
    needless = {name for name in found if name.startswith(family.optional) and name not in wanted}
    return Found({name: array for name, array in found.items() if name not in needless}, origin, problems)


def _heads_for_other_classes(found: Mapping[str, Any], wanted: Mapping[str, Any], entry: Entry) -> set[str]:
    """The paths of heads and embeddings if they are whole in the file and differ in the number of classes alone."""
    heads = {name for name in wanted if lies_in(name, (*entry.heads, *entry.embeddings))}
    shapes = [(name, found[name].shape, wanted[name].shape) for name in heads if name in found]

    def but_for_classes(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[1:] if lies_in(name, entry.embeddings) else shape[:-1]

    if len(shapes) < len(heads) or any(
        but_for_classes(name, theirs) != but_for_classes(name, ours) for name, theirs, ours in shapes
    ):
        return set()
    return heads if any(theirs != ours for _, theirs, ours in shapes) else set()


def _additions_without_weights(found: Mapping[str, Any], wanted: Mapping[str, Any], entry: Entry) -> set[str]:
    """The paths of the layers of the row's additions of which the file has nothing."""
    lacking = [layer for layer in entry.additions if not any(lies_in(name, (layer,)) for name in found)]
    return {name for name in wanted if lies_in(name, lacking)}


def _fitted(
    found: Found, wanted: Mapping[str, Any], drawn: set[str], entry: Entry
) -> tuple[dict[str, np.ndarray], list[str]]:
    """What the model keeps of the file, and all that does not fit."""
    has_head = any(lies_in(name, entry.heads) for name in wanted)
    kept = {
        name: array
        for name, array in found.arrays.items()
        if name not in drawn and (has_head or not lies_in(name, entry.heads))
    }
    problems = list(found.problems)
    for name in sorted(set(kept) | (set(wanted) - drawn)):
        if name not in wanted:
            problems.append(f"{found.origin[name]}: the model has no {name}")
        elif name not in kept:
            problems.append(f"{name}: missing in the file")
        elif kept[name].shape != wanted[name].shape:
            problems.append(f"{found.origin[name]}: expected shape {wanted[name].shape}, got {kept[name].shape}")
        elif wrong := _wrong_numbers(kept[name], wanted[name].dtype):
            problems.append(f"{found.origin[name]}: {wrong}")
    return kept, problems


def _wrong_numbers(array: np.ndarray, dtype: Any) -> str:
    """Why an array's numbers cannot be those of a variable of this type, or nothing."""
    kind = next(kind for kind in (jnp.floating, jnp.integer, jnp.generic) if jnp.issubdtype(dtype, kind))
    if not jnp.issubdtype(array.dtype, kind):
        return f"expected {np.dtype(dtype)} or a like type, got {array.dtype}"
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(array.astype(dtype))
    if not bad.any():
        return ""
    first = tuple(map(int, np.argwhere(bad)[0]))
    return f"expected finite numbers of {np.dtype(dtype)}, got {array[first]} at {first}, {bad.sum()} such in all"


def _classes(arrays: Mapping[str, Any], drawn: set[str], entry: Entry) -> int:
    """The number of classes that the first of the heads is for."""
    first = next(head for head in entry.heads if any(lies_in(name, (head,)) for name in drawn))
    return arrays[min(name for name in drawn if lies_in(name, (first,)))].shape[-1]
