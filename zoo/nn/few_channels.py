"""The kernel's gradient of a convolution of few input channels, the stem of a network, on CPU.

The gradient is one matrix product: of what every tap of the window sees of every channel, (taps x channels, places),
with the slopes, (places, features). With three channels a row of pixels is too short to copy: so the images are
turned to have their channels first and columns last. A stride would leave gaps between the columns; sorted by their
remainders (even and odd ones at a stride of 2) they are neighbours again. One image after another, so that the copies
stay in the caches. The convolution itself is XLA's own, and so is the images' gradient, which a stem does not need.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from zoo.nn.forms import Form, transpose_of_weight_gradient
from zoo.nn.geometry import Geometry, plain
from zoo.nn.pieces import pieces, summed_over_pieces
from zoo.nn.products import product

CHANNELS, FEATURES, PLACES = 4, 32, 2048
"""The most input channels, and the fewest filters and places over all images, with which this is faster."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether the gradient is worth another form."""
    batch, (*window, channels, features) = images.shape[0], kernel.shape
    if not isinstance(batch, int) or images.dtype != jnp.float32 or kernel.ndim != 4 or geometry.dilation != (1, 1):
        return False
    return 1 < max(window) <= 7 and channels <= CHANNELS and features >= FEATURES and batch * places >= PLACES


def _weight_gradient(geometry: Geometry, shape: tuple[int, ...], images: Array, out: Array) -> Array:
    (height, width, channels, features), (down, right) = shape, geometry.strides
    batch, rows, columns, _ = out.shape
    pads = []
    for size, (before, after), step in zip(images.shape[1:3], geometry.padding, geometry.strides, strict=True):
        pads.append((before, after + -(size + before + after) % step, 0))
    images = lax.pad(images.transpose(0, 3, 1, 2), jnp.zeros((), images.dtype), ((0, 0, 0), (0, 0, 0), *pads))
    sorted_images = images.reshape(batch, channels, images.shape[2] // down, down, images.shape[3] // right, right)
    sorted_images = lax.optimization_barrier(sorted_images.transpose(0, 3, 5, 1, 2, 4))

    def of_piece(images: Array, out: Array) -> Array:
        seen = []
        for i, j in np.ndindex(height, width):
            rest = images[:, i % down, j % right, :, i // down :, j // right :][..., :rows, :columns]
            seen.append(jnp.moveaxis(rest, 1, 0).reshape(channels, -1))
        return product(lax.optimization_barrier(jnp.concatenate(seen)), out.reshape(-1, features))

    return summed_over_pieces(of_piece, pieces(batch, batch), sorted_images, out).reshape(shape)


FORM = Form(plain, along_kernel=transpose_of_weight_gradient(_weight_gradient))
