"""RAFT's correlations: every pixel's features times every other's, at several resolutions, and what is around a place.

Teed and Deng, 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, section 3.2; numbers as in
torchvision/models/optical_flow/raft.py. Lecture row L62.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn import avg_pool

Pyramid = tuple[Float[Array, "batch places rows columns"], ...]
"""For each place of the first maps its correlations with the second, of which each level has half the resolution."""


def correlation_pyramid(
    first: Float[Array, "batch rows columns channels"],
    second: Float[Array, "batch rows columns channels"],
    levels: int,
) -> Pyramid:
    """Products over channels of all pairs of places, divided by the root of the channels; float32 at least.

    A level is the mean over squares of 2 x 2 places of the one before, without a last odd row or column. As a
    correlation is linear, it is the second maps whose mean is taken, which are smaller.

    Raises:
      ValueError: maps of different shapes, no level, or maps too small for so many.

    >>> [level.shape for level in correlation_pyramid(jnp.ones((1, 4, 6, 8)), jnp.ones((1, 4, 6, 8)), 2)]
    [(1, 24, 4, 6), (1, 24, 2, 3)]
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(f"expected two maps (batch, rows, columns, channels), got {first.shape} and {second.shape}")
    if levels < 1:
        raise ValueError(f"expected at least one level, got {levels}")
    if min(first.shape[1:3]) < 2 ** (levels - 1):
        raise ValueError(
            f"expected maps of at least {2 ** (levels - 1)} places a side for {levels} levels, got {first.shape}"
        )
    batch, rows, columns, channels = first.shape
    wide = jnp.promote_types(first.dtype, jnp.float32)
    places = first.reshape(batch, rows * columns, channels).astype(wide) / jnp.sqrt(jnp.array(channels, wide))
    found, maps = [], second.astype(wide)
    for level in range(levels):
        maps = avg_pool(maps, 2) if level else maps
        found.append(jnp.einsum("bpc,bijc->bpij", places, maps))
    return tuple(found)


def look_up(
    pyramid: Pyramid, at: Float[Array, "batch rows columns 2"], radius: int
) -> Float[Array, "batch rows columns features"]:
    """The correlations around a place of the second maps, for each place of the first.

    At each level the (2 radius + 1)^2 neighbours of the place at whole steps, interpolated bilinearly; zero beyond the
    borders. Features are by level, then by the step along x, then by that along y, as in torchvision.

    A row of weights for each step, of which two are not zero, makes two small products of every neighbourhood: there
    is no gather, and so no scatter in the gradient.

    Args:
      pyramid: as `correlation_pyramid` gives it.
      at: x and y in places of the first level; the first place is 0.
      radius: steps to either side.

    >>> volume = jnp.arange(12.0).reshape(1, 1, 3, 4)
    >>> look_up((volume,), jnp.array([[[[1.5, 1.0]]]]), 1)[0, 0, 0].tolist()  # x from 0.5 to 2.5, y from 0 to 2
    [0.5, 4.5, 8.5, 1.5, 5.5, 9.5, 2.5, 6.5, 10.5]
    """
    batch, rows, columns, _ = at.shape
    steps = jnp.arange(-radius, radius + 1, dtype=at.dtype)
    found = []
    for level, volume in enumerate(pyramid):
        centres = at.reshape(batch, rows * columns, 2) / 2**level
        across, down = (
            _shares(centres[..., axis, None] + steps, volume.shape[3 - axis]).astype(volume.dtype) for axis in (0, 1)
        )
        # In this order the gradient of the volume is a product that comes as it lies in memory: faster on CPU.
        around = jnp.einsum("bpij,bplj->bpil", volume, across)
        around = jnp.einsum("bpil,bpki->bplk", around, down)
        found.append(around.reshape(batch, rows, columns, len(steps) ** 2))
    return jnp.concatenate(found, axis=-1)


def _shares(at: Float[Array, "*any"], places: int) -> Float[Array, "*any places"]:
    """What each of so many places counts at a position between them: one less the distance, and not below zero."""
    distance = jnp.abs(at[..., None] - jnp.arange(places, dtype=at.dtype))
    return jnp.maximum(1 - distance, 0)
