"""Maps cut in windows, and what attention must not see in windows that are shifted; of images, and of clips.

Liu et al., 2021, Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, section 3.2. Lecture row L48.
"""

import itertools
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from zoo.nn.window import per_axis

MASKED = -100.0
"""What the authors add where a query must not see a key."""


def padded(x: Float[Array, "b *places c"], multiple: int | Sequence[int]) -> Float[Array, "b *more c"]:
    """The map with zeros at its far sides, so that each side is a multiple of this, of one for all or of its own."""
    multiples = per_axis(multiple, x.ndim - 2, "multiple")
    pads = ((0, -size % wanted) for size, wanted in zip(x.shape[1:-1], multiples, strict=True))
    return jnp.pad(x, ((0, 0), *pads, (0, 0)))


def windows_of(x: Float[Array, "b *places c"], window: int | Sequence[int]) -> Float[Array, "b windows n c"]:
    """Each window's n places, row by row; the windows row by row too.

    >>> windows_of(jnp.arange(8).reshape(1, 2, 4, 1), 2)[0, :, :, 0].tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    batch, *size, channels = x.shape
    axes = len(size)
    window = per_axis(window, axes, "window")
    counts = [extent // side for extent, side in zip(size, window, strict=True)]
    x = x.reshape(batch, *itertools.chain(*zip(counts, window, strict=True)), channels)
    x = x.transpose(0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1)
    return x.reshape(batch, math.prod(counts), math.prod(window), channels)


def from_windows(
    x: Float[Array, "b windows n c"], size: Sequence[int], window: int | Sequence[int]
) -> Float[Array, "b *places c"]:
    """The map of this size of which `windows_of` gives these windows."""
    axes = len(size)
    window = per_axis(window, axes, "window")
    counts = [extent // side for extent, side in zip(size, window, strict=True)]
    x = x.reshape(x.shape[0], *counts, *window, x.shape[-1])
    order = itertools.chain(*((1 + axis, 1 + axes + axis) for axis in range(axes)))
    return x.transpose(0, *order, 2 * axes + 1).reshape(x.shape[0], *size, x.shape[-1])


def seams(size: Sequence[int], window: int | Sequence[int], shifts: Sequence[int]) -> Float[Array, "windows 1 n n"]:
    """A bias against attention between places that only the shift has brought together from opposite borders.

    Args:
      size: of the shifted map along each axis, multiples of the window.
      window: places a side of a window.
      shifts: by how many places the map was rolled along each axis; they are the last ones now.
    """
    axes = len(size)
    same = jnp.ones((), bool)  # a tracer, where a network is traced: of long clips this is large
    for axis, (extent, side, shift) in enumerate(zip(size, per_axis(window, axes, "window"), shifts, strict=True)):
        beyond = (np.arange(extent) >= extent - shift).reshape(-1, side)
        shape = [1] * 3 * axes
        shape[axis], shape[axes + axis], shape[2 * axes + axis] = len(beyond), side, side
        same = same & jnp.asarray(beyond[:, :, None] == beyond[:, None, :]).reshape(shape)
    count = math.prod(same.shape[axes : 2 * axes])
    return jnp.where(same, 0.0, MASKED).astype(jnp.float32).reshape(-1, 1, count, count)
