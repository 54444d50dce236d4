"""What a model computes: channels and strides of its named features, and its first filters; nothing is computed."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float, PyTree

from zoo.catalog import create, describe, entry_of
from zoo.catalog.inputs import Example, Input, as_inputs, batch_of

LARGER = 512 * 7
"""Images larger by so many pixels have maps larger by so many divided by the stride, whatever the borders do.

That is exact of strides that divide it: powers of two up to 512, and patches of 7 or 14 pixels."""


class Feature(NamedTuple):
    """One named feature map."""

    channels: int
    stride: tuple[int, ...]
    """For each axis of the map, how many pixels (or frames, or tokens) of the input are from one place to the next."""


class Map(NamedTuple):
    """The shape of one feature map."""

    places: tuple[int, ...]
    channels: int


def feature_info(
    model: str | nn.Module,
    *inputs: Example | Sequence[Example],
    input_shape: tuple[int, ...] | None = None,
    **overrides: Any,
) -> dict[str, Feature]:
    """Channels and strides of every feature map that `model.apply(..., features=True)` names, in order.

    A map has the axes of the first input: of an image (height, width), of a clip (time, height, width). Vectors are no
    maps. Inputs of the same places as the first, such as the second image of a pair, are taken to be larger with it.

    Args:
      model: a name of `zoo.list_models()`, or a module.
      *inputs: of one example without the batch axis, as for `zoo.init`; by default the catalog's.
      input_shape: the same for a model that takes images alone.
      **overrides: as for `zoo.create`, where `model` is a name.

    Raises:
      UnknownNameError: no such model or option.
      ValueError: the model does not take these inputs, or is not in the catalog and none were given.

    >>> feature_info("cifar_resnet20")["stage2"]
    Feature(channels=32, stride=(2, 2))
    """
    module = create(model, **overrides) if isinstance(model, str) else model
    given = inputs if input_shape is None else (*inputs, input_shape)
    if not given:
        given = (describe(model) if isinstance(model, str) else entry_of(model)).inputs
    examples = as_inputs(*given)
    maps = _maps(module, examples)
    try:
        larger = _maps(module, [_enlarged(one, examples[0].places) for one in examples])
    except ValueError:  # it takes inputs of some sizes alone
        larger = maps
    sizes = examples[0].places
    return {
        name: Feature(found.channels, tuple(map(_stride, sizes, found.places, larger[name].places)))
        for name, found in maps.items()
    }


def first_kernel(
    model: nn.Module, variables: PyTree[Array], *batch: jax.ShapeDtypeStruct
) -> Float[Array, "window_height window_width channels filters"] | None:
    """The kernel of the layer that is computed first, if that is a convolution over images.

    Args:
      model: a module.
      variables: its own.
      *batch: what it takes, arrays or their shapes and types.

    Raises:
      ValueError: the model does not take these inputs.
    """
    paths: list[tuple[str, ...]] = []

    def note(call: Callable, arguments: tuple, options: Mapping[str, Any], context: Any) -> Any:
        module = context.module
        if not paths and context.method_name == "__call__" and module.has_variable("params", "kernel"):
            paths.append(("params", *module.path, "kernel"))
        return call(*arguments, **options)

    with nn.intercept_methods(note):
        jax.eval_shape(model.apply, variables, *batch)
    kernel = functools.reduce(lambda tree, name: tree[name], paths[0], variables) if paths else None
    return kernel if kernel is not None and kernel.ndim == 4 else None


def _stride(size: int, places: int, more_places: int) -> int:
    """The stride along one axis of so many pixels; more of them, by `LARGER`, have more places, where they may."""
    if more_places == places:
        return 2 ** round(math.log2(size / places))
    return round(LARGER / (more_places - places))


def _enlarged(one: Input, places: tuple[int, ...]) -> Input:
    """The input with more of all places, if it has the places of the first."""
    if one.places != places:
        return one
    channels = one.shape[len(places) :]
    return Input(one.name, (*(size + LARGER for size in places), *channels), one.dtype, one.kind)


def _maps(module: nn.Module, inputs: Sequence[Input]) -> dict[str, Map]:
    """The maps of inputs of these shapes, in order of computation."""
    found: dict[str, Map] = {}

    def note(*batch: Any) -> None:
        named = module.init_with_output(jax.random.key(0), *batch, features=True)[0]
        rank = 2 + len(inputs[0].places)
        found.update((name, Map(v.shape[1:-1], v.shape[-1])) for name, v in named.items() if v.ndim == rank)

    jax.eval_shape(note, *batch_of(inputs))
    return found
