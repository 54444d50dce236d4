"""A batch piece by piece, where all of it at once would not stay in a processor's caches.

Piece i holds every n-th image from i on: so it has an equal part of each shard of a batch that is spread over devices,
and none has to fetch images from another. Runs of neighbours would be whole shards.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def pieces(batch: int, needed: float) -> int:
    """The smallest number of equal pieces from `needed` on, each spread evenly over all devices; or the largest."""
    devices = jax.device_count()
    fitting = [n for n in range(1, batch + 1) if batch % n == 0 and batch // n % devices == 0]
    return next((n for n in fitting if n >= needed), fitting[-1] if fitting else 1)


def in_pieces(function: Callable[[Array], Array], count: int, images: Array) -> Array:
    """A function of images one by one, for `count` pieces of the batch in turn. Products only: XLA's convolutions
    are slow inside loops."""
    if count == 1:
        return function(images)
    results = lax.map(function, _cut(images, count))
    return jnp.moveaxis(results, 0, 1).reshape(images.shape[0], *results.shape[2:])


def summed_over_pieces(function: Callable[..., Array], count: int, *arrays: Array) -> Array:
    """What a function gives for `count` pieces of a batch, added."""
    if count == 1:
        return function(*arrays)
    return lax.map(lambda cut: function(*cut), tuple(_cut(array, count) for array in arrays)).sum(0)


def _cut(array: Array, count: int) -> Array:
    return jnp.moveaxis(array.reshape(array.shape[0] // count, count, *array.shape[1:]), 1, 0)
