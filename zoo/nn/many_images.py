"""The kernel's gradient of many images with few channels as a sum over pieces of the batch, on CPU.

XLA's own gradient is a convolution whose window is as large as the output, and uses its processors badly where there
is little else. The convolution itself and the images' gradient are XLA's own.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from zoo.nn.forms import Form
from zoo.nn.geometry import Geometry, plain
from zoo.nn.window import bound

PIECES = (8, 4)
"""Into how many pieces the batch may be cut, the first that fits."""

PIECE_IMAGES, PIECE_PLACES = 8, 2048
"""How many images, and places of the window over all of them, a piece has at least: below, it gains too little for
what it costs the compiler."""

FEW_CHANNELS = 64
"""Up to this many input and output channels; with more XLA's own is as fast."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether the gradient is worth another form."""
    return _pieces(images, kernel, places) > 1


def _pieces(images: Array, kernel: Array, places: int) -> int:
    """Into how many pieces the batch is cut; 1 where that does not pay."""
    batch = images.shape[0]
    if (
        not isinstance(batch, int)  # of symbolic size, in an export
        or kernel.ndim != 4
        or max(kernel.shape[-2:]) > FEW_CHANNELS
        or images.dtype != jnp.float32
    ):
        return 1
    most = min(batch // PIECE_IMAGES, batch * places // PIECE_PLACES)
    return next((count for count in PIECES if count <= most and batch % count == 0), 1)


def _in_pieces(geometry: Geometry, images: Array, kernel: Array) -> Array:
    out = jax.eval_shape(bound(plain, geometry), images, kernel)
    count = _pieces(images, kernel, math.prod(out.shape[1:-1]))
    pieces = images.reshape(images.shape[0] // count, count, *images.shape[1:])  # see `zoo.nn.pieces`
    results = [plain(geometry, pieces[:, i], kernel) for i in range(count)]
    return jnp.stack(results, axis=1).reshape(images.shape[0], *results[0].shape[1:])


FORM = Form(along_kernel=_in_pieces)
