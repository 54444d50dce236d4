"""Sums and roots in float32 at least: half precision would round every part of them, and overflow soon."""

import jax.numpy as jnp
from jaxtyping import Array, Num


def widened(values: Num[Array, "*n"]) -> Num[Array, "*n"]:
    """The same numbers in float32, or in float64 if they are.

    >>> widened(jnp.ones(2, jnp.float16)).dtype.name, widened(jnp.ones(2, jnp.int8)).dtype.name
    ('float32', 'float32')
    """
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))
