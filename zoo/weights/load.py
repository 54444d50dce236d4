"""Loading and saving a model's variables, in this zoo's layout or another library's."""

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, PRNGKeyArray, PyTree

from zoo.catalog import Entry, create, describe, entry_of
from zoo.names import unknown
from zoo.weights.families import FAMILIES, family_of
from zoo.weights.files import read_arrays, write_arrays
from zoo.weights.rules import Family, to_ours, to_theirs
from zoo.weights.source import locate

HEAD = re.compile(r"params/(aux\d+/)?head/")
"""Where every model of the zoo keeps the layers whose size is the number of classes."""

ANY_HEAD = re.compile(r"params/head/|(params|batch_stats)/aux\d+/")
"""The last layer, and whole auxiliary classifiers: a network is the same without them."""

SHOWN = 12
"""How many problems an error lists."""


class WeightsError(ValueError):
    """A file of weights does not fit the model; the message lists every entry that does not."""


class NewHeadWarning(UserWarning):
    """A file's head is for another number of classes than the model's, which was drawn anew."""

    def __init__(self, message: str, classes: int) -> None:
        super().__init__(message)
        self.classes = classes
        """Of the head in the file."""


def load_weights(
    model: str | nn.Module,
    source: str | os.PathLike[str],
    input_shape: tuple[int, ...] | None = None,
    key: PRNGKeyArray | None = None,
    **overrides: Any,
) -> PyTree[Array]:
    """The variables of a model, from a file: `{"params": ..., "batch_stats": ...}`.

    The file is `.safetensors`, or torch's `.pth`, `.pt` or `.th`; its names are this zoo's (as `save_weights`
    writes them) or those of a layout that the model's row in the catalog names. All of it fits, or nothing is
    loaded. Only the head may differ in the number of classes: it is then drawn anew, with a warning; with
    `num_classes=0` it is left out.

    Args:
      model: a name of `zoo.list_models()`, or a module of such a model's class.
      source: the file; or what `zoo.weights.source.locate` finds: the name of published weights
        ("IMAGENET1K_V1"), or "hub:OWNER/REPOSITORY".
      input_shape: one example without the batch axis; by default the catalog's. Needed where the number of
        channels differs.
      key: for a head drawn anew; `jax.random.key(0)` by default.
      **overrides: as for `zoo.create`, where `model` is a name.

    Raises:
      UnknownNameError: no such model, option or published weights.
      FileNotFoundError: no such file.
      WeightsError: entries that the model does not have, misses, or has in another shape.
      ValueError: the file is damaged, of an unknown kind, or not the published one; or the model's class is
        not in the catalog.
      ImportError: a torch file or one of the hub, and torch or huggingface_hub is not installed.
      OSError: the file cannot be fetched.
    """
    entry, module = _resolved(model, overrides)
    shape = (1, *(input_shape or entry.input_shape))
    path = locate(entry, source)

    def initial(key: PRNGKeyArray) -> PyTree[Array]:
        return module.init(key, jnp.zeros(shape))

    key = jax.random.key(0) if key is None else key
    wanted = _flat(jax.eval_shape(initial, key))
    found, origin, problems = _in_our_layout(read_arrays(path), entry, module, wanted)

    drawn = _heads_for_other_classes(found, wanted)
    has_head = any(map(HEAD.match, wanted))
    kept = {name: array for name, array in found.items() if not HEAD.match(name) or (has_head and name not in drawn)}
    for name in sorted(set(kept) | (set(wanted) - drawn)):
        if name not in wanted:
            problems.append(f"{origin[name]}: the model has no {name}")
        elif name not in kept:
            problems.append(f"{name}: missing in the file")
        elif kept[name].shape != wanted[name].shape:
            problems.append(f"{origin[name]}: expected shape {wanted[name].shape}, got {kept[name].shape}")
    if problems:
        raise WeightsError(_report(f"{path} does not fit {entry.name} at input shape {shape[1:]}", problems))

    values = {name: jnp.asarray(kept[name], wanted[name].dtype) for name in wanted if name not in drawn}
    if drawn:
        theirs, ours = (arrays["params/head/bias"].size for arrays in (found, wanted))
        message = f"{path} has a head for {theirs} classes, the model one for {ours}: initialised anew: "
        warnings.warn(NewHeadWarning(message + ", ".join(sorted(drawn)), theirs), stacklevel=2)
        values |= jax.jit(lambda key: {k: v for k, v in _flat(initial(key)).items() if k in drawn})(key)
    return unflatten_dict(values, sep="/")


def save_weights(
    variables: PyTree[Array],
    path: str | os.PathLike[str],
    layout: str = "zoo",
    model: str | nn.Module | None = None,
) -> None:
    """Writes a model's variables to a file that `load_weights` reads back bit by bit.

    Only where another library's networks take other images (ndf's SqueezeNet), the first layer is rounded.

    Args:
      variables: `{"params": ..., "batch_stats": ...}`; other collections are refused.
      path: `.safetensors`, or `.pth`, `.pt`, `.th` where torch is installed.
      layout: "zoo" for names such as params/stage1/block1/conv1/kernel; a name of `FAMILIES`; or, with
        `model`, another library alone, such as "torchvision".
      model: whose variables they are, a name of `zoo.list_models()` or a module.

    Raises:
      UnknownNameError: no such layout, or none of this library for the model.
      WeightsError: entries that the layout has no name for; variables that are not the model's, or none.
      FileNotFoundError: no such folder.
      ValueError: another suffix, or the layout's names depend on the model and none was given.
      ImportError: a torch file, and torch is not installed.
    """
    family = None if layout == "zoo" else _family_to_save(layout, model)
    arrays = {name: np.asarray(value) for name, value in _flat(variables).items()}
    problems = [f"{name}: neither params nor batch_stats" for name in arrays if not _is_ours(name)]
    if not arrays:
        problems = ["no variables at all"]
    elif model is not None and not problems:
        problems = _misfits(arrays, model)
    if family is not None and not problems:
        arrays, problems = to_theirs(family, arrays)
    if problems:
        raise WeightsError(_report(f"variables do not fit the layout {layout}", problems))
    write_arrays(arrays, Path(path))


def _resolved(model: str | nn.Module, overrides: Mapping[str, Any]) -> tuple[Entry, nn.Module]:
    """A model's row and module.

    Raises:
      TypeError: options for a module, which has its own.
    """
    if isinstance(model, str):
        return describe(model), create(model, **overrides)
    if overrides:
        raise TypeError(f"expected options with a model's name alone, got {', '.join(overrides)} with a module")
    return entry_of(model), model


def _family_to_save(layout: str, model: str | nn.Module | None) -> Family:
    if model is None:
        known = ["zoo", *FAMILIES]
        if layout not in known:
            raise unknown("layout of weights (without model=)", layout, known)
        return family_of(layout, None)
    entry, module = _resolved(model, {})
    of_library = {name.partition("/")[0]: name for name in reversed(entry.weights)}
    choices = {**of_library, **{name: name for name in entry.weights}}
    if layout not in choices:
        raise unknown(f"layout of weights of {entry.name}", layout, ["zoo", *choices])
    return family_of(choices[layout], module)


def _misfits(arrays: Mapping[str, np.ndarray], model: str | nn.Module) -> list[str]:
    """What of a model's variables is missing or too much, but for heads, of which there may be fewer or more."""
    entry, module = _resolved(model, {})
    images = jax.ShapeDtypeStruct((1, *entry.input_shape), jnp.float32)
    wanted = _flat(jax.eval_shape(module.init, jax.random.key(0), images))
    names, wanted = ({name for name in tree if not ANY_HEAD.match(name)} for tree in (arrays, wanted))
    more = [f"{name}: {entry.name} has no such" for name in sorted(names - wanted)]
    return more + [f"{name}: missing" for name in sorted(wanted - names)]


def _in_our_layout(
    arrays: Mapping[str, np.ndarray], entry: Entry, module: nn.Module, wanted: Mapping[str, Any]
) -> tuple[Mapping[str, np.ndarray], Mapping[str, str], list[str]]:
    """The arrays by our names, the names they had, and what has none, by the layout that explains most."""
    if arrays and all(map(_is_ours, arrays)):
        return arrays, {name: name for name in arrays}, []
    if not entry.weights:
        return {}, {}, [f"{name}: not one of this zoo's names, and {entry.name} has no other" for name in arrays]
    families = [family_of(layout, module) for layout in entry.weights]
    renamed = [(family, *to_ours(family, arrays)) for family in families]
    family, found, origin, problems = min(renamed, key=lambda result: len(result[-1]))
    needless = {name for name in found if name.startswith(family.optional) and name not in wanted}
    return {name: array for name, array in found.items() if name not in needless}, origin, problems


def _is_ours(name: str) -> bool:
    return name.startswith(("params/", "batch_stats/"))


def _heads_for_other_classes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> set[str]:
    """The head's paths if it is whole in the file and differs in the number of classes alone."""
    heads = set(filter(HEAD.match, wanted))
    shapes = [(found[name].shape, wanted[name].shape) for name in heads if name in found]
    if len(shapes) < len(heads) or any(theirs[:-1] != ours[:-1] for theirs, ours in shapes):
        return set()
    return heads if any(theirs != ours for theirs, ours in shapes) else set()


def _flat(variables: PyTree) -> dict:
    return flatten_dict(variables, sep="/")


def _report(what: str, problems: list[str]) -> str:
    more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n  ".join([f"{what}:", *problems[:SHOWN], *more])
