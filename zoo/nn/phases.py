"""One axis of maps enlarged by an integer: places of one phase lie alike between those of the maps.

Every factor-th place of the result takes the same weights of the places around, so that enlarging is a sum of shifted
maps times a weight a phase, where a matrix of all places would be nearly empty. Lecture rows L65, L66.
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Weights = tuple[tuple[float, ...], ...]
"""Of each phase, what it takes of the places around: as many before the middle one as after it."""


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def enlarged_by_phases(x: Float[Array, "..."], axis: int, weights: Weights) -> Float[Array, "..."]:
    """Maps of `len(weights)` times as many places along an axis; beyond the ends the last places go on.

    Args:
      x: the maps.
      axis: which is enlarged.
      weights: of the places around, for each phase.

    >>> enlarged_by_phases(jnp.array([0.0, 4.0]), 0, ((0.25, 0.75, 0.0), (0.0, 0.75, 0.25))).tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    of_taps, places = np.array(weights, x.dtype).T, x.shape[axis]
    beyond = len(of_taps) // 2
    around = jnp.pad(x, [(beyond, beyond) if each == axis else (0, 0) for each in range(x.ndim)], mode="edge")
    terms = [
        jnp.expand_dims(of_phases, range(1, x.ndim - axis))
        * jnp.expand_dims(lax.slice_in_dim(around, tap, tap + places, axis=axis), axis + 1)
        for tap, of_phases in enumerate(of_taps)
    ]
    return _laid_out(sum(terms[1:], terms[0]), axis)


@enlarged_by_phases.defjvp
def _tangent(axis: int, weights: Weights, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The same sum in operations whose transposes are fast on CPU: slices and one concatenation.

    Transposed as it stands above, it would be a reduction over the phases, which takes XLA ten times as long or more.
    """
    (x,), (d_x,) = primals, tangents
    of_taps = np.array(weights, d_x.dtype).T
    shifted = lax.optimization_barrier([_shifted(d_x, axis, tap, len(of_taps) // 2) for tap in range(len(of_taps))])
    phases = [
        sum(weight * each for weight, each in zip(of_phase, shifted, strict=True) if weight) for of_phase in of_taps.T
    ]
    return enlarged_by_phases(x, axis, weights), _laid_out(jnp.stack(phases, axis + 1), axis)


def _laid_out(x: Array, axis: int) -> Array:
    """Phases, on the next axis, as places beside each other."""
    return x.reshape(*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :])


def _shifted(x: Array, axis: int, tap: int, beyond: int) -> Array:
    """What a tap sees from each place: the maps, moved by `tap - beyond` places, whose last places go on."""
    places, zero = x.shape[axis], jnp.zeros((), x.dtype)
    parts = []
    for piece, begin in _pieces(x, axis, beyond):
        size = piece.shape[axis]
        if size > 1 or beyond <= begin < places - beyond:
            starts = [begin + beyond - tap]
        else:  # an end is seen by several
            starts = [at for at in range(places) if min(max(at + tap - beyond, 0), places - 1) == begin]
        for start in starts:
            room = (start, places - size - start, 0)
            parts.append(lax.pad(piece, zero, [room if each == axis else (0, 0, 0) for each in range(x.ndim)]))
    return sum(parts[1:], parts[0])


def _pieces(x: Array, axis: int, beyond: int) -> Iterator[tuple[Array, int]]:
    """Single places at both ends, and the middle as a whole; each with the place where it begins."""
    places = x.shape[axis]
    middle = [places - 2 * beyond] if places > 2 * beyond else []
    sizes = [1] * beyond + middle + [1] * beyond if middle else [1] * places
    begins = np.cumsum([0, *sizes[:-1]]).tolist()
    return zip(lax.split(x, sizes, axis), begins, strict=True)
