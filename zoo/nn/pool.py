"""Pooling: the largest or the mean value of each window. Lecture rows L34-L37.

On TPU these are `lax.reduce_window`. XLA's CPU form of that is slow, so there a window is taken one axis at a time,
as the strided slices that its taps see (`tests/benchmarks/layers.py`); values and gradients are the same, ties
included. A GPU scatters the gradient of the largest, in an order that changes, so there that is of slices too.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from zoo.nn.window import Padding, bound, explicit_padding, output_sizes, per_axis


class Window(NamedTuple):
    """A pooling window; hashable."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


def max_pool(
    x: Float[Array, "batch *space channels"],
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = 0,
) -> Float[Array, "batch *places channels"]:
    """The largest value of each window; where several are equal the gradient goes to the first (E21).

    First in reading order: row by row, from left to right. Padding never wins: it counts as -inf.

    Args:
      x: channels last, with one, two or three axes of space.
      window: extent of the window, for all axes or each.
      strides: step of the window; None takes the window's extent.
      padding: see `zoo.nn.window.Padding`.

    Raises:
      ValueError: no axis of space, or a window that does not fit into the padded image.

    >>> grid = jnp.array([[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6.0]])  # L35
    >>> max_pool(grid[None, :, :, None], 2)[0, :, :, 0]
    Array([[4., 9.],
           [5., 7.]], dtype=float32)
    """
    shape = _window(x, window, strides, padding, "max_pool")
    slices, windows = bound(_max_of_slices, shape), bound(_max_of_windows, shape)
    return lax.platform_dependent(x, cpu=slices, cuda=slices, rocm=slices, default=windows)


def avg_pool(
    x: Float[Array, "batch *space channels"],
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Float[Array, "batch *places channels"]:
    """The mean value of each window.

    Args:
      x: channels last, with one, two or three axes of space.
      window: extent of the window, for all axes or each.
      strides: step of the window; None takes the window's extent.
      padding: see `zoo.nn.window.Padding`.
      count_include_pad: whether padding counts as zeros in the mean, as in torch, or is left out of it.

    Raises:
      ValueError: no axis of space, or a window that does not fit into the padded image.

    >>> grid = jnp.array([[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6.0]])  # L35
    >>> avg_pool(grid[None, :, :, None], 2)[0, :, :, 0]
    Array([[2.  , 4.5 ],
           [3.  , 5.75]], dtype=float32)
    """
    shape = _window(x, window, strides, padding, "avg_pool")
    total = _sum_pool(shape, x)
    if count_include_pad:
        return total / math.prod(shape.sizes)
    return total / _sum_of_windows(shape, jnp.ones((1, *x.shape[1:-1], 1), x.dtype))


def global_avg_pool(x: Float[Array, "batch *space channels"]) -> Float[Array, "batch channels"]:
    """The mean over all of space.

    >>> global_avg_pool(jnp.arange(4.0).reshape(1, 2, 2, 1))
    Array([[1.5]], dtype=float32)
    """
    return x.mean(axis=tuple(range(1, x.ndim - 1)))


def _window(x: Array, window: Any, strides: Any, padding: Padding, what: str) -> Window:
    axes = x.ndim - 2
    if axes < 1:
        raise ValueError(f"{what} expected (batch, space, channels), got shape {x.shape}")
    sizes = per_axis(window, axes, "window")
    steps = per_axis(sizes if strides is None else strides, axes, "strides")
    pads = explicit_padding(padding, x.shape[1:-1], sizes, steps)
    output_sizes(x.shape[1:-1], sizes, steps, pads, what)
    return Window(sizes, steps, pads)


def _by_axes(shape: Window, x: Array, fill: float, combine: Callable[[Array, Array], Array]) -> Array:
    """Folds a window's values one axis at a time, the last axis first, each in order."""
    x = lax.pad(x, jnp.array(fill, x.dtype), ((0, 0, 0), *((lo, hi, 0) for lo, hi in shape.padding), (0, 0, 0)))
    for axis in reversed(range(1, x.ndim - 1)):
        size, step = shape.sizes[axis - 1], shape.strides[axis - 1]
        last = (x.shape[axis] - size) // step * step + 1
        taps = (lax.slice_in_dim(x, tap, tap + last, step, axis) for tap in range(size))
        x = functools.reduce(combine, taps)
    return x


def _first_maximum(best: Array, candidate: Array) -> Array:
    # Only a strictly larger value, or a NaN, replaces the best so far: so the gradient goes to the first
    # maximum of a row, then to the first such row, which is reading order.
    return jnp.where((candidate > best) | (candidate != candidate), candidate, best)


def _max_of_slices(shape: Window, x: Array) -> Array:
    return _by_axes(shape, x, -math.inf, _first_maximum)


def _max_of_windows(shape: Window, x: Array) -> Array:
    return lax.reduce_window(x, -math.inf, lax.max, *_lax_window(shape))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sum_pool(shape: Window, x: Array) -> Array:
    return lax.platform_dependent(x, cpu=bound(_sum_of_slices, shape), default=bound(_sum_of_windows, shape))


@_sum_pool.defjvp
def _sum_pool_derivative(shape: Window, primals: Any, tangents: Any) -> tuple[Array, Array]:
    # Slices win forwards only: their transpose, strided scatters, is slower than reduce_window's.
    return _sum_pool(shape, *primals), _sum_of_windows(shape, *tangents)


def _sum_of_slices(shape: Window, x: Array) -> Array:
    return _by_axes(shape, x, 0.0, lax.add)


def _sum_of_windows(shape: Window, x: Array) -> Array:
    return lax.reduce_window(x, 0.0, lax.add, *_lax_window(shape))


def _lax_window(shape: Window) -> tuple[Any, ...]:
    return (1, *shape.sizes, 1), (1, *shape.strides, 1), ((0, 0), *shape.padding, (0, 0))
