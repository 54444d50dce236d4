"""Weighted sums and maxima over a list of places of maps: what pooling of regions comes down to. Rows L58, L68.

Forward, both read a place where they need it and keep nothing of its size; backward, they add to it in place.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

ROWS_AT_ONCE = 1568
"""Of the sums whose gradients are spread in one step on CPU: 32 boxes of 7 x 7 bins, which stay in the cache."""
BOXES_AT_ONCE = 1
"""Of the boxes whose bins are searched together on CPU: there are as many steps as their largest bin has places."""


@jax.custom_vjp
def weighted_sums(
    places: Float[Array, "places channels"], numbers: Int[Array, "sums taps"], weights: Float[Array, "sums taps"]
) -> Float[Array, "sums channels"]:
    """Each the sum of some places by some weights, which get no gradient: the product with a sparse matrix.

    Args:
      places: the features of all places of all maps.
      numbers: which places; all of them exist.
      weights: by what each is multiplied.

    >>> places = jnp.array([[1.0], [10.0], [100.0]])
    >>> weighted_sums(places, jnp.array([[0, 2], [1, 1]]), jnp.array([[1.0, 0.5], [0.5, 0.5]])).tolist()
    [[51.0], [10.0]]
    """
    # Tap by tap, which XLA fuses: no array has all taps, each of which would be as large as the result.
    wide = weights.dtype
    taken = (
        places.at[numbers[:, tap]].get(mode="promise_in_bounds").astype(wide) * weights[:, tap, None]
        for tap in range(numbers.shape[1])
    )
    return sum(taken, jnp.zeros((), wide)).astype(places.dtype)


def _sums_forward(places: Array, numbers: Array, weights: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    shape_and_type = jnp.zeros((len(places), 0), places.dtype)
    return weighted_sums(places, numbers, weights), (shape_and_type, numbers, weights)


def _sums_backward(kept: tuple[Array, Array, Array], slopes: Array) -> tuple[Array, None, None]:
    shape_and_type, numbers, weights = kept
    slopes = slopes.astype(weights.dtype)
    total = jnp.zeros((len(shape_and_type), slopes.shape[1]), slopes.dtype)
    total = lax.platform_dependent(total, slopes, numbers, weights, cpu=_spread_in_portions, default=_spread)
    return total.astype(shape_and_type.dtype), None, None


def _spread(total: Array, slopes: Array, numbers: Array, weights: Array) -> Array:
    for tap in range(numbers.shape[1]):
        total = total.at[numbers[:, tap]].add(slopes * weights[:, tap, None], mode="promise_in_bounds")
    return total


def _spread_in_portions(total: Array, slopes: Array, numbers: Array, weights: Array) -> Array:
    def add(total: Array, portion: tuple[Array, Array, Array]) -> tuple[Array, None]:
        slopes, numbers, weights = portion
        return total.at[numbers].add(slopes[:, None] * weights[..., None], mode="promise_in_bounds"), None

    return lax.scan(add, total, tuple(_portions(each, ROWS_AT_ONCE) for each in (slopes, numbers, weights)))[0]


weighted_sums.defvjp(_sums_forward, _sums_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def maxima(
    places: Float[Array, "places channels"],
    first: Int[Array, "bins"],
    high: Int[Array, "bins"],
    broad: Int[Array, "bins"],
    width: Int[Array, "bins"],
    bins_of_box: int,
) -> Float[Array, "bins channels"]:
    """The greatest value in rectangles of places, for each channel; zero where a rectangle is empty.

    Of equal values the first, row by row, takes the gradient.

    Args:
      places: the features of all places of all maps.
      first: each rectangle's first place.
      high: its rows.
      broad: its columns.
      width: places a row of the map that each is of.
      bins_of_box: how many rectangles belong together, and are of about one size.

    >>> places = jnp.arange(6.0)[:, None]  # two rows of three
    >>> first, high, broad = jnp.array([[0, 1, 0], [1, 2, 0], [2, 1, 1]])
    >>> maxima(places, first, high, broad, jnp.array([3, 3, 3]), 1).tolist()
    [[1.0], [4.0], [0.0]]
    """
    return _search(places, first, high, broad, width, bins_of_box)[0]


def _search(
    places: Array, first: Array, high: Array, broad: Array, width: Array, bins_of_box: int
) -> tuple[Float[Array, "bins channels"], Int[Array, "bins channels"]]:
    """The greatest values, and of which place each is: -1 where there is none."""

    def of_portion(portion: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
        first, high, broad, width = portion
        size = high * broad

        def look(step: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
            greatest, where = found
            row, column = jnp.divmod(step, jnp.maximum(broad, 1))
            number = jnp.where(step < size, first + row * width + column, 0)
            value = places[number]
            is_greater = (value > greatest) & (step < size)[:, None]
            return jnp.where(is_greater, value, greatest), jnp.where(is_greater, number[:, None], where)

        shape = (len(first), places.shape[1])
        nothing = jnp.full(shape, -jnp.inf, places.dtype), jnp.full(shape, -1, jnp.int32)
        greatest, where = lax.fori_loop(0, jnp.max(size, initial=0), look, nothing)
        return jnp.where(where < 0, 0, greatest), where

    def in_portions(*rectangles: Array) -> tuple[Array, Array]:
        found = lax.map(of_portion, tuple(_portions(each, BOXES_AT_ONCE * bins_of_box) for each in rectangles))
        return tuple(each.reshape(-1, places.shape[1])[: len(first)] for each in found)

    rectangles = tuple(each.astype(jnp.int32) for each in (first, high, broad, width))
    return lax.platform_dependent(*rectangles, cpu=in_portions, default=lambda *all: of_portion(all))


def _maxima_forward(
    places: Array, first: Array, high: Array, broad: Array, width: Array, bins_of_box: int
) -> tuple[Array, tuple[Array, Array]]:
    found, where = _search(places, first, high, broad, width, bins_of_box)
    return found, (jnp.zeros((len(places), 0), places.dtype), where)


def _maxima_backward(
    bins_of_box: int, kept: tuple[Array, Array], slopes: Array
) -> tuple[Array, None, None, None, None]:
    shape_and_type, where = kept
    total = jnp.zeros((len(shape_and_type), slopes.shape[1]), jnp.promote_types(slopes.dtype, jnp.float32))
    channels = jnp.arange(slopes.shape[1])
    rows = jnp.where(where < 0, len(total), where)  # what is out of bounds is dropped
    total = total.at[rows, channels].add(slopes.astype(total.dtype), mode="drop")
    return total.astype(shape_and_type.dtype), None, None, None, None


maxima.defvjp(_maxima_forward, _maxima_backward)


def _portions(array: Array, size: int) -> Array:
    """(portions, size, ...), filled up with zeros."""
    missing = -len(array) % size
    padded = jnp.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)])
    return padded.reshape(-1, size, *array.shape[1:])
