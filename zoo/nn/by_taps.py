"""The kernel's gradient of a convolution that is strided, or two taps wide: tap by tap, on CPU.

The gradient at a tap is a matrix product, over all places of all images, of the pixels that the tap sees with the
slopes. XLA has one convolution for it, whose window is as large as the output: slow where the places lie strides apart,
and 6 to 68 times as slow where the result, which is the kernel, has a side of two. The convolution itself and the
images' gradient are XLA's own.
"""

import jax.numpy as jnp
from jaxtyping import Array

from zoo.nn.forms import Form, transpose_of_weight_gradient
from zoo.nn.geometry import Geometry, padded, plain, taps
from zoo.nn.products import narrow_first

CHANNELS = 32
"""So many input and output channels make a strided tap's product worth its slice."""

PLACES = 2048
"""So many places over all images do."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether the gradient is worth another form."""
    batch, window = images.shape[0], kernel.shape[:-2]
    if not isinstance(batch, int) or images.dtype != jnp.float32 or len(window) != 2 or geometry.dilation != (1, 1):
        return False
    if geometry.strides == (1, 1):
        return 2 in window
    strided = min(geometry.strides) > 1 and window == (3, 3)
    return strided and min(kernel.shape[-2:]) >= CHANNELS and batch * places >= PLACES


def _weight_gradient(geometry: Geometry, shape: tuple[int, ...], images: Array, out: Array) -> Array:
    slopes = out.reshape(-1, shape[-1])
    seen = taps(geometry, padded(geometry, images), shape[:-2])
    return jnp.stack([narrow_first(pixels.reshape(-1, shape[-2]), slopes) for _, pixels in seen]).reshape(shape)


FORM = Form(plain, along_kernel=transpose_of_weight_gradient(_weight_gradient))
