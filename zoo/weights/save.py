"""Saving a model's variables, in this zoo's layout or another library's."""

import os
from collections.abc import Mapping

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, PyTree

from zoo.catalog import create, describe, entry_of
from zoo.catalog.inputs import batch_of
from zoo.names import unknown
from zoo.weights.families import FAMILIES, family_of
from zoo.weights.files import write_arrays
from zoo.weights.problems import flat, is_ours, lies_in, misfit
from zoo.weights.rules import Family, to_theirs
from zoo.weights.source import at_home


def save_weights(
    variables: PyTree[Array],
    path: str | os.PathLike[str],
    layout: str = "zoo",
    model: str | nn.Module | None = None,
) -> None:
    """Writes a model's variables to a file that `load_weights` reads back bit by bit, if they are finite.

    Only where another library's networks take other images (ndf's SqueezeNet), the first layer is rounded.

    Args:
      variables: `{"params": ..., "batch_stats": ...}`; other collections are refused.
      path: ~ is the home folder; `.safetensors`, or `.pth`, `.pt`, `.th` where torch is installed.
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
    arrays = {name: np.asarray(value) for name, value in flat(variables).items()}
    problems = [f"{name}: neither params nor batch_stats" for name in arrays if not is_ours(name)]
    if not arrays:
        problems = ["no variables at all"]
    elif model is not None and not problems:
        problems = _misfits(arrays, model)
    if family is not None and not problems:
        arrays, problems = to_theirs(family, arrays)
    if problems:
        raise misfit(f"variables do not fit the layout {layout}", problems)
    write_arrays(arrays, at_home(path))


def _family_to_save(layout: str, model: str | nn.Module | None) -> Family:
    if model is None:
        known = ["zoo", *FAMILIES]
        if layout not in known:
            raise unknown("layout of weights (without model=)", layout, known)
        return family_of(layout, None)
    module = create(model) if isinstance(model, str) else model
    entry = describe(model) if isinstance(model, str) else entry_of(model)
    of_library = {name.partition("/")[0]: name for name in reversed(entry.weights)}
    choices = {**of_library, **{name: name for name in entry.weights}}
    if layout not in choices:
        raise unknown(f"layout of weights of {entry.name}", layout, ["zoo", *choices])
    return family_of(choices[layout], module)


def _misfits(arrays: Mapping[str, np.ndarray], model: str | nn.Module) -> list[str]:
    """What of a model's variables is missing or too much, but for heads, of which there may be fewer or more."""
    module = create(model) if isinstance(model, str) else model
    entry = describe(model) if isinstance(model, str) else entry_of(model)
    wanted = flat(jax.eval_shape(module.init, jax.random.key(0), *batch_of(entry.inputs)))
    heads = (*entry.heads, *entry.auxiliary)
    names, wanted = ({name for name in tree if not lies_in(name, heads)} for tree in (arrays, wanted))
    more = [f"{name}: {entry.name} has no such" for name in sorted(names - wanted)]
    return more + [f"{name}: missing" for name in sorted(wanted - names)]
