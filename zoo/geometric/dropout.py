"""Dropout that draws half as many random bits: of a graph's features they would take most of a training step on CPU.

Srivastava et al., 2014, Dropout: A Simple Way to Prevent Neural Networks from Overfitting. Lecture row L78.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

_HALVES = 2**16


def kept(key: Key[Array, ""], shape: tuple[int, ...], share: float) -> Bool[Array, "..."]:
    """Which numbers of an array of this shape are kept: each by itself, with this probability, to 1 in 65536.

    Args:
      key: decides all.
      shape: of the array.
      share: from 0 to 1.

    >>> bool(abs(kept(jax.random.key(0), (1000, 101), 0.4).mean() - 0.4) < 0.005)
    True
    """
    count = math.prod(shape)
    words = jax.random.bits(key, ((count + 1) // 2,), jnp.uint32)
    halves = jnp.stack([words & (_HALVES - 1), words >> 16]).reshape(-1)[:count]
    return (halves < round(share * _HALVES)).reshape(shape)


class Dropout(nn.Module):
    """As `flax.linen.Dropout`, with `kept`. It draws from the random key "dropout"."""

    rate: float

    @nn.compact
    def __call__(self, values: Float[Array, "..."], deterministic: bool) -> Float[Array, "..."]:
        """Values of any shape, of which a share of `rate` is zero and the others are larger by 1 / (1 - rate)."""
        if deterministic or not self.rate:
            return values
        mask = kept(self.make_rng("dropout"), values.shape, 1 - self.rate)
        return jnp.where(mask, values / (1 - self.rate), jnp.zeros_like(values))
