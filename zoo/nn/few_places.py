"""A convolution of many channels at few places as one matrix product, on CPU: XLA's own would turn its kernel around.

The channels of all taps beside each other, times the whole kernel.
"""

import jax.numpy as jnp
from jaxtyping import Array

from zoo.nn.forms import Form
from zoo.nn.geometry import Geometry, padded, taps
from zoo.nn.products import product

MANY_CHANNELS = 256
"""From so many input and output channels on, and no more than twice as many places of all images together."""

SMALL_MAP, SMALL_MAP_CHANNELS = 4, 32
"""Or at no more places an image, from so many channels on: XLA's own takes three times as long for 2x2 places as for
3x3."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether XLA's own form would spend its time on the kernel, or on a map's few places, not on the images."""
    batch, narrow = images.shape[0], min(kernel.shape[-2:])
    if not isinstance(batch, int) or not jnp.issubdtype(images.dtype, jnp.floating):  # of symbolic size, in an export
        return False
    if kernel.ndim == 4 and places <= SMALL_MAP and narrow >= SMALL_MAP_CHANNELS:
        return True
    return narrow >= MANY_CHANNELS and batch * places <= 2 * narrow


def _forward(geometry: Geometry, images: Array, kernel: Array) -> Array:
    seen = jnp.concatenate([pixels for _, pixels in taps(geometry, padded(geometry, images), kernel.shape[:-2])], -1)
    result = product(seen.reshape(-1, seen.shape[-1]), kernel.reshape(-1, kernel.shape[-1]))
    return result.reshape(*seen.shape[:-1], kernel.shape[-1])


FORM = Form(_forward)
