"""Max pooling that remembers where each maximum lay, and unpooling that puts values back there.

Zeiler and Fergus, 2014, Visualizing and Understanding Convolutional Networks, section 2.1 ("switches"); Badrinarayanan
et al., 2017, SegNet, section 3. Equal to torch's `max_pool2d(return_indices=True)` and `max_unpool2d`. Lecture rows
L61, L65.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from zoo.nn.window import Padding, explicit_padding, output_sizes, per_axis


def max_pool_with_indices(
    x: Float[Array, "batch height width channels"],
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = 0,
) -> tuple[Float[Array, "batch rows columns channels"], Int[Array, "batch rows columns channels"]]:
    """The largest value of each window, and its place: row * width + column, int32, of the first where several tie.

    First in reading order. Padding never wins; a NaN does, and of several the last, as in torch.

    Args:
      x: channels last.
      window: rows and columns of the window, one integer for both or one for each.
      strides: step of the window; None takes its extent.
      padding: see `zoo.nn.window.Padding`; less than the window's extent.

    Raises:
      ValueError: maps of another rank, a window that does not fit into the padded maps, or one of padding alone.

    >>> grid = jnp.array([[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6.0]])  # L35
    >>> max_pool_with_indices(grid[None, :, :, None], 2)[1][0, :, :, 0].tolist()
    [[1, 7], [12, 10]]
    """
    sizes, steps, pads = _windows(x.shape, window, strides, padding)
    height, width = x.shape[1:3]
    places = output_sizes((height, width), sizes, steps, pads, "max_pool_with_indices")
    if any(
        lo >= size or step * (count - 1) - lo >= extent
        for (lo, _), size, step, count, extent in zip(pads, sizes, steps, places, (height, width), strict=True)
    ):
        raise ValueError(f"expected a place of the maps in every window of {sizes}, got a padding of {pads}")
    x = lax.pad(x, jnp.array(-jnp.inf, x.dtype), ((0, 0, 0), *((lo, hi, 0) for lo, hi in pads), (0, 0, 0)))
    at = np.pad(np.arange(height * width, dtype=np.int32).reshape(height, width), pads, constant_values=-1)
    best, where = None, None
    for tap in np.ndindex(*sizes):
        rows, columns = (
            slice(t, t + step * (count - 1) + 1, step) for t, step, count in zip(tap, steps, places, strict=True)
        )
        value, place = x[:, rows, columns], jnp.asarray(at[rows, columns])[None, :, :, None]
        if best is None:
            best, where = value, jnp.broadcast_to(place, value.shape)
            continue
        # Where all so far was padding the next wins, though it be -inf: an index is always a place of the maps.
        wins = (value > best) | jnp.isnan(value) | ((where < 0) & (place >= 0))
        best, where = jnp.where(wins, value, best), jnp.where(wins, place, where)
    return best, where


def max_unpool(
    x: Float[Array, "batch rows columns channels"],
    indices: Int[Array, "batch rows columns channels"],
    size: Sequence[int],
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = 0,
) -> Float[Array, "batch height width channels"]:
    """Maps of the size before pooling, zero but where the maxima lay: there is what `x` has in their place.

    Windows that do not overlap are compared with the indices place by place. Those that do are scattered: where
    several have one maximum, one of their values is there.

    Args:
      x: what is put there, as many places as pooling gave.
      indices: what `max_pool_with_indices` gave.
      size: rows and columns of the result: those of what was pooled.
      window: of the pooling.
      strides: of the pooling.
      padding: of the pooling.

    Raises:
      ValueError: shapes that differ, or that pooling maps of this size does not give.

    >>> x = jnp.array([[1.0, 2.0], [4.0, 3.0]])[None, :, :, None]
    >>> values, indices = max_pool_with_indices(x, 2)
    >>> max_unpool(10 * values, indices, (2, 2), 2)[0, :, :, 0].tolist()
    [[0.0, 0.0], [40.0, 0.0]]
    """
    height, width = size
    batch, *places, channels = x.shape
    sizes, steps, pads = _windows((0, height, width, 0), window, strides, padding)
    expected = output_sizes((height, width), sizes, steps, pads, "max_unpool")
    if x.shape != indices.shape or tuple(places) != expected:
        raise ValueError(
            f"expected values and indices of {expected[0]} x {expected[1]} places, as pooling {height} x {width} "
            f"gives, got shapes {x.shape} and {indices.shape}"
        )
    if any(step < extent for step, extent in zip(steps, sizes, strict=True)):
        at = (jnp.arange(batch)[:, None, None, None], indices, jnp.arange(channels))
        return (
            jnp.zeros((batch, height * width, channels), x.dtype).at[at].set(x).reshape(batch, height, width, channels)
        )
    rows, columns = (
        np.arange(count)[:, None] * step - lo + np.arange(step)
        for count, step, (lo, _) in zip(places, steps, pads, strict=True)
    )
    inside = [(at >= 0) & (at < extent) for at, extent in zip((rows, columns), size, strict=True)]
    at = np.where(inside[0][:, :, None, None] & inside[1], rows[:, :, None, None] * width + columns, -1)
    at = jnp.asarray(at, indices.dtype)[..., None]  # rows, step, columns, step, 1
    spread = jnp.where(indices[:, :, None, :, None] == at, x[:, :, None, :, None], jnp.zeros((), x.dtype))
    spread = spread.reshape(batch, places[0] * steps[0], places[1] * steps[1], channels)
    begin = [lo for lo, _ in pads]
    missing = [(0, max(0, lo + want - have)) for lo, want, have in zip(begin, size, spread.shape[1:3], strict=True)]
    spread = jnp.pad(spread, ((0, 0), *missing, (0, 0)))
    return spread[:, begin[0] : begin[0] + height, begin[1] : begin[1] + width]


def _windows(
    shape: tuple[int, ...], window: int | Sequence[int], strides: int | Sequence[int] | None, padding: Padding
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Extent, step and padding along both axes.

    Raises:
      ValueError: maps of another rank.
    """
    if len(shape) != 4:
        raise ValueError(f"expected maps (batch, height, width, channels), got shape {shape}")
    sizes = per_axis(window, 2, "window")
    steps = sizes if strides is None else per_axis(strides, 2, "strides")
    return sizes, steps, explicit_padding(padding, shape[1:3], sizes, steps)
