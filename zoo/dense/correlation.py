"""The correlation layer: how well the features of a place match those of places around it in another image.

Dosovitskiy et al., 2015, FlowNet: Learning Optical Flow with Convolutional Networks, section 3, equation 1, of a patch
of one place. Lecture row L62.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

BLOCK = 16
"""Columns of the first maps that are multiplied at a time."""


def correlation(
    first: Float[Array, "batch rows columns channels"],
    second: Float[Array, "batch rows columns channels"],
    max_displacement: int = 20,
    step: int = 2,
) -> Float[Array, "batch rows columns displacements"]:
    """The mean over channels of the products of a place and another, for each displacement; zero beyond the borders.

    The result is of float32 at least. A displacement's column is y before x, both from the most negative on: 441 for
    21 steps either way.

    A row of displacements is a matrix product of the first maps' columns, some at a time, and all columns of the second
    maps that one of them may meet. Of the result the band around its diagonal is kept, which is a reshape: rows that
    are one longer than the band moves are shifted against each other.

    Args:
      first: maps of the first images.
      second: maps of the second ones.
      max_displacement: in places, along each axis.
      step: places from one displacement to the next.

    Raises:
      ValueError: maps of different shapes, or displacements that no whole number of steps makes.

    >>> maps = jnp.arange(3.0).reshape(1, 1, 3, 1)
    >>> correlation(maps, maps, 1, 1)[0, 0, :, 3:6].tolist()  # of the place to the left, itself, to the right
    [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [2.0, 4.0, 0.0]]
    """
    if first.shape != second.shape or first.ndim != 4 or 0 in first.shape[1:]:
        raise ValueError(
            f"expected two maps (batch, rows, columns, channels), none empty, got {first.shape} and {second.shape}"
        )
    if step < 1 or max_displacement < 0 or max_displacement % step:
        raise ValueError(
            f"expected a step from 1 and a largest displacement that it divides, got {step} and {max_displacement}"
        )
    batch, rows, columns, channels = first.shape
    wide = jnp.promote_types(first.dtype, jnp.float32)
    count = 2 * (max_displacement // step) + 1
    # Column j meets columns j + step * d alone: columns of one remainder by the step are together.
    block = min(BLOCK, -(-columns // step))
    blocks = -(-columns // (step * block))
    beyond = blocks * block * step - columns
    around = (max_displacement, max_displacement)
    near = jnp.pad(first, ((0, 0), (0, 0), (0, beyond), (0, 0)))
    near = near.reshape(batch, rows, blocks, block, step, channels)
    far = jnp.pad(second, ((0, 0), around, (max_displacement, max_displacement + beyond), (0, 0)))
    far = far.reshape(batch, far.shape[1], far.shape[2] // step, step, channels)
    length = block + count - 1
    far = jnp.stack([far[:, :, i * block : i * block + length] for i in range(blocks)], axis=2)
    bands = []
    for number in range(count):
        there = lax.slice_in_dim(far, number * step, number * step + rows, axis=1)
        products = jnp.einsum("brnisc,brnjsc->brnsij", near, there, preferred_element_type=wide)
        bands.append(_band(products, count))
    found = jnp.stack(bands, axis=-2) / channels  # batch, rows, blocks, remainder, column, y, x
    found = found.transpose(0, 1, 2, 4, 3, 5, 6).reshape(batch, rows, columns + beyond, count**2)
    return found[:, :, :columns]


def _band(products: Float[Array, "*batch n m"], width: int) -> Float[Array, "*batch n width"]:
    """Of row i the values from i on: m is n + width - 1."""
    *batch, n, m = products.shape
    flat = products.reshape(*batch, n * m)
    flat = jnp.pad(flat, [*[(0, 0)] * len(batch), (0, n)])
    return flat.reshape(*batch, n, m + 1)[..., :width]
