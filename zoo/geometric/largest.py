"""The largest value along axes, with a gradient that is that of one place.

The derivative of `jnp.max` asks which places equal the result. Where XLA computes the values twice, with other
roundings, none does, and the gradient is wrong or not a number: so it was of a PointNet, in a program that was
optimised little. Here a place is chosen first, and its value taken. Lecture row L35.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def largest(values: Float[Array, "..."], axes: int | Sequence[int]) -> Float[Array, "..."]:
    """The largest value; of several that are equal the gradient goes to the first (E21).

    Args:
      values: of any shape.
      axes: over which; neighbours, in order.

    Raises:
      ValueError: axes that are no neighbours, or have no entries.

    >>> jax.grad(lambda x: largest(x, 0))(jnp.array([1.0, 3.0, 3.0])).tolist()
    [0.0, 1.0, 0.0]
    """
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    first = axes[0]
    sizes = values.shape[first : first + len(axes)]
    if first < 0 or axes != tuple(range(first, first + len(axes))) or not math.prod(sizes):
        raise ValueError(f"expected neighbouring axes with entries, got {axes} of shape {values.shape}")
    joined = values.reshape(*values.shape[:first], math.prod(sizes), *values.shape[first + len(axes) :])
    place = jnp.argmax(joined, axis=first, keepdims=True)
    chosen = jax.lax.broadcasted_iota(place.dtype, joined.shape, first) == place
    return jnp.sum(jnp.where(chosen, joined, 0), axis=first)
