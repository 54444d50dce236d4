"""Everything about a convolution but its two arrays, and the convolution that XLA has for it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType
from jaxtyping import Array, Float


class Geometry(NamedTuple):
    """How a window moves over images; hashable, one entry an axis of space."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int


def plain(
    geometry: Geometry,
    images: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels_per_group features"],
) -> Float[Array, "batch *places features"]:
    """The convolution as one operation of XLA: the right form on GPU and TPU."""
    space = "DHW"[3 - len(geometry.strides) :]
    return lax.conv_general_dilated(
        images,
        kernel,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=geometry.groups,
    )


def padded(geometry: Geometry, images: Float[Array, "batch *space channels"]) -> Array:
    """The images with the zeros around them."""
    pads = ((0, 0, 0), *((before, after, 0) for before, after in geometry.padding), (0, 0, 0))
    return lax.pad(images, jnp.zeros((), images.dtype), pads)


def extents(geometry: Geometry, sizes: Sequence[int], window: Sequence[int]) -> list[int]:
    """From the first to the last of one tap's pixels along each axis of padded images."""
    found = []
    for size, count, step, gap in zip(sizes, window, geometry.strides, geometry.dilation, strict=True):
        found.append((size - gap * (count - 1) - 1) // step * step + 1)
    return found


def taps(
    geometry: Geometry, images: Float[Array, "batch *space channels"], window: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Float[Array, "batch *places channels"]]]:
    """Each tap of the window, and the pixels of padded images that it sees at all places."""
    lengths = extents(geometry, images.shape[1:-1], window)
    for tap in np.ndindex(*window):
        starts = [i * gap for i, gap in zip(tap, geometry.dilation, strict=True)]
        spans = zip(starts, lengths, geometry.strides, strict=True)
        yield tap, images[:, *(slice(start, start + length, step) for start, length, step in spans)]


def is_zero(tangent: Any) -> bool:
    """Whether a derivative rule was told that an argument does not vary."""
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)


def is_empty(array: Array) -> bool:
    """Whether an array has no elements, as far as its sizes are numbers."""
    return any(isinstance(size, int) and size == 0 for size in array.shape)


def on_explicit_mesh(*arrays: Array) -> bool:
    """Whether shardings are part of types, which the reshapes and products of the forms do not declare."""
    meshes = (jax.typeof(array).sharding.mesh for array in arrays)
    return any(AxisType.Explicit in mesh.axis_types for mesh in meshes)
