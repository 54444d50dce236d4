"""A layer's filter maps side by side as one picture.

Zeiler and Fergus, 2014, Visualizing and Understanding Convolutional Networks. Lecture row L32.
"""

import math

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real


def mosaic(
    maps: Real[ArrayLike, "height width filters"], columns: int | None = None, gap: int = 1
) -> Float[Array, "rows columns"]:
    """The maps in rows, each scaled to [0, 1] by its own least and greatest value, framed in white.

    Args:
      maps: the outputs of all filters over all places, such as `cross_correlate` returns for a filter bank.
      columns: maps in a row; as square as can be where None.
      gap: the frame's width in pixels.

    Raises:
      ValueError: the rank is wrong or an axis empty, `columns` is not positive, or `gap` negative.

    >>> mosaic([[[0, 5], [1, 7]]], gap=0).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """
    maps = jnp.asarray(maps)
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"maps: expected (H, W, D), got shape {maps.shape}")
    height, width, count = maps.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    if columns < 1 or gap < 0:
        raise ValueError(f"expected at least one column and a gap from 0, got {columns} and {gap}")
    rows = math.ceil(count / columns)

    least, greatest = (bound(maps, axis=(0, 1), keepdims=True) for bound in (jnp.min, jnp.max))
    scaled = (maps - least) / jnp.where(greatest > least, greatest - least, 1)  # a constant map is black
    tiles = jnp.pad(scaled, [(gap, 0), (gap, 0), (0, rows * columns - count)], constant_values=1)
    grid = tiles.reshape(gap + height, gap + width, rows, columns).transpose(2, 0, 3, 1)
    grid = grid.reshape(rows * (gap + height), columns * (gap + width))
    return jnp.pad(grid, [(0, gap), (0, gap)], constant_values=1)
