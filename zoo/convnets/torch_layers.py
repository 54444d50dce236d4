"""What torch's layers do and `zoo.nn`'s do not: pools for images of any size, flattening, biases drawn at random.

torch.nn.MaxPool2d with ceil_mode, AdaptiveAvgPool2d, flatten of channels-first maps, and the biases of Linear and
Conv2d. Networks whose published weights were trained with these need them exactly.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from zoo.nn import max_pool
from zoo.nn.window import per_axis


def ceil_max_pool(
    x: Float[Array, "b *places c"], window: int | Sequence[int], strides: int | Sequence[int]
) -> Float[Array, "b *fewer c"]:
    """Max pooling whose last window may hang over the far border, as with torch's `ceil_mode`.

    Window and strides are of all axes or each. Strides are at most the window's extent, so that no window begins beyond
    the border.

    >>> ceil_max_pool(jnp.ones((1, 6, 7, 1)), 3, 2).shape
    (1, 3, 3, 1)
    """
    axes = x.ndim - 2
    windows, steps = per_axis(window, axes, "window"), per_axis(strides, axes, "strides")
    padding = [
        (0, max(0, -(-(size - extent) // step) * step + extent - size))
        for size, extent, step in zip(x.shape[1:-1], windows, steps, strict=True)
    ]
    return max_pool(x, windows, steps, padding)


def adaptive_avg_pool(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b size size c"]:
    """The mean over each of size x size cells, which overlap where they do not divide the image evenly.

    Cell i of n covers the rows from floor(i h / n) up to ceil((i + 1) h / n), the columns alike; an image
    smaller than the grid is enlarged by repeating pixels.

    >>> adaptive_avg_pool(jnp.arange(3.0)[None, :, None, None] * jnp.ones((1, 3, 3, 1)), 2)[0, :, 0, 0]
    Array([0.5, 1.5], dtype=float32)
    """
    if x.shape[1:3] == (size, size):
        return x
    rows, columns = (jnp.asarray(_cells(extent, size), x.dtype) for extent in x.shape[1:3])
    return jnp.einsum("ph,bhwc,qw->bpqc", rows, x, columns, precision=lax.Precision.HIGHEST)


def _cells(extent: int, size: int) -> np.ndarray:
    """Row i holds the weights of the pixels in the mean over cell i."""
    cells = np.zeros((size, extent))
    for i in range(size):
        start, stop = i * extent // size, -(-(i + 1) * extent // size)
        cells[i, start:stop] = 1 / (stop - start)
    return cells


def flatten_channels_first(x: Float[Array, "b *places c"]) -> Float[Array, "b flat"]:
    """One vector an image, a whole channel after the other: the order in which torch's linear layers expect maps."""
    return jnp.moveaxis(x, -1, 1).reshape(x.shape[0], math.prod(x.shape[1:]))


def dot_of_places(places: int) -> Callable[..., Array]:
    """A dense layer's product for maps flattened as they lie, a place after the other, with torch's order of weights.

    As `flatten_channels_first` before a plain product, but the kernel is what is put in order, by whole rows: of many
    small maps, such as a thousand regions, the other takes longer than the product.

    Args:
      places: of a map: its rows by its columns.

    Returns:
      what `flax.linen.Dense` takes as `dot_general`.

    >>> x, kernel = jnp.arange(12.0).reshape(1, 2, 2, 3), jnp.arange(24.0).reshape(12, 2)
    >>> dims = (((1,), (0,)), ((), ()))
    >>> bool((dot_of_places(4)(x.reshape(1, 12), kernel, dims) == flatten_channels_first(x) @ kernel).all())
    True
    """

    def dot(x: Array, kernel: Array, *rest: Any, **options: Any) -> Array:
        by_place = kernel.reshape(-1, places, kernel.shape[-1]).swapaxes(0, 1).reshape(kernel.shape)
        return jax.lax.dot_general(x, by_place, *rest, **options)

    return dot


def bias_uniform(inputs: int) -> Callable[..., Array]:
    """Initialiser of a bias: uniform in ±1/sqrt(inputs), for a layer whose outputs each see so many inputs."""
    bound = 1 / math.sqrt(inputs)
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)
