"""Mean and max pooling of an image's regions, and the gradient of max pooling written out.

Boureau, Ponce and LeCun, 2010, A Theoretical Analysis of Feature Pooling in Visual Recognition.
Lecture rows L34-L36, erratum E21.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from zoo.convolution.geometry import output_size

Pair = tuple[int, int]


def max_pool(
    image: Real[ArrayLike, "height width *channels"],
    window: int | Pair = 2,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Real[Array, "rows columns *channels"]:
    """The largest value in each window: unmoved by small deformations, and fewer values for the next layer.

    Where a maximum occurs twice, the first in row-major order takes the whole gradient. (E21: the slide
    leaves ties open, and calls pooling an activation function, though it does not act on single values.)

    Args:
      image: (H, W) or (H, W, C); numbers of any real type, which is kept.
      window: height and width of a region, or one number for both.
      stride: from one region to the next, down and across; the window itself where None.
      padding: rows above and below, columns left and right; padding never wins.

    Raises:
      ValueError: the rank is wrong, a window does not fit, or a padding is as large as the window.

    >>> max_pool([[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6]]).tolist()
    [[4, 9], [5, 7]]
    """
    image = jnp.asarray(image)
    regions = _regions(image, window, stride, padding)
    return jax.lax.reduce_window(image, _lowest(image.dtype), jax.lax.max, *regions)


def mean_pool(
    image: Real[ArrayLike, "height width *channels"],
    window: int | Pair = 2,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Float[Array, "rows columns *channels"]:
    """The mean of each window; arguments and errors as for `max_pool`, whole numbers become floats.

    Padding is zeros, and they count in the mean, as in torch and flax unless told otherwise.

    >>> mean_pool([[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6]]).tolist()
    [[2.0, 4.5], [3.0, 5.75]]
    """
    image = jnp.asarray(image)
    image = image.astype(jnp.result_type(image, float))
    sides, steps, pads = _regions(image, window, stride, padding)
    total = jax.lax.reduce_window(image, np.zeros((), image.dtype), jax.lax.add, sides, steps, pads)
    return total / math.prod(sides)


def max_pool_gradient(
    image: Real[ArrayLike, "height width *channels"],
    output_gradient: Float[ArrayLike, "rows columns *channels"],
    window: int | Pair = 2,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Float[Array, "height width *channels"]:
    """The gradient with respect to the image, by hand, from the one with respect to the result of `max_pool`.

    The derivative of a region's maximum is 1 at the pixel that is the maximum and 0 elsewhere. Of equal ones
    it is the first in row-major order (E21), as in `jax.grad` and torch. Windows that overlap add up.

    Raises:
      ValueError: as `max_pool`, or the gradient's shape is not that of the result.

    >>> grid = [[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6]]
    >>> max_pool_gradient(grid, [[1.0, 1.0], [1.0, 1.0]]).astype(int).tolist()
    [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    """
    image, output_gradient = jnp.asarray(image), jnp.asarray(output_gradient)
    sides, steps, pads = _regions(image, window, stride, padding)
    shape = tuple(map(output_size, image.shape, sides, steps, pads))
    if output_gradient.shape != shape:
        raise ValueError(f"output_gradient: expected the result's shape {shape}, got {output_gradient.shape}")

    pooled = max_pool(image, window, stride, padding)
    gradient = jnp.zeros(image.shape, output_gradient.dtype)
    unclaimed = jnp.ones(shape, bool)
    for offset in np.ndindex(*sides[:2]):  # E21: row-major, and the first to equal the maximum claims it
        # Every region's pixel at this offset. In the padding the nearest pixel is looked at instead: it lies
        # in the same region, so it changes neither the maximum nor which pixel comes first.
        rows, columns = (
            np.clip(step * np.arange(shape[axis]) + offset[axis] - pads[axis][0], 0, image.shape[axis] - 1)
            for axis, step in enumerate(steps[:2])
        )
        here = rows[:, None], columns
        claimed = unclaimed & (image[here] == pooled)
        gradient = gradient.at[here].add(jnp.where(claimed, output_gradient, 0))
        unclaimed &= ~claimed
    return gradient


def _pair(name: str, value: int | Pair) -> Pair:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name}: expected one number, or one down and one across, got {value}")
    return pair


def _lowest(dtype: np.dtype) -> np.ndarray:
    """The number that never wins a maximum."""
    if dtype == jnp.bool_:
        return np.zeros((), bool)
    return np.asarray(-np.inf if jnp.issubdtype(dtype, jnp.inexact) else jnp.iinfo(dtype).min, dtype)


def _regions(
    image: Real[Array, "height width *channels"],
    window: int | Pair,
    stride: int | Pair | None,
    padding: int | Pair,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Pair, ...]]:
    """Window, stride and padding for every axis of the image, after a check that they fit."""
    if image.ndim not in (2, 3):
        raise ValueError(f"image: expected (H, W) or (H, W, C), got shape {image.shape}")
    sides, pads = _pair("window", window), _pair("padding", padding)
    steps = sides if stride is None else _pair("stride", stride)
    if any(pad >= side for pad, side in zip(pads, sides, strict=True)):
        raise ValueError(f"padding: expected less than the window {sides}, got {pads}: regions would be empty")
    for size, *layer in zip(image.shape, sides, steps, pads, strict=False):
        output_size(size, *layer)
    channels = image.ndim - 2
    return (
        (*sides, *[1] * channels),
        (*steps, *[1] * channels),
        (*[(pad, pad) for pad in pads], *[(0, 0)] * channels),
    )
