"""What classical optical flow has in common: grey images, a pyramid of them, and a flow that goes from coarse to fine.

Burt and Adelson, 1983, The Laplacian Pyramid as a Compact Image Code. As `skimage.registration` makes it, whose results
those of `zoo.dense.tv_l1` equal. Inside, images are (batch, height, width) and flows (batch, 2, height, width).
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from zoo.dense.warp import warp

Plane = Float[Array, "batch height width"]
Planes = Float[Array, "batch 2 height width"]
Solver = Callable[[Plane, Plane, Planes], Planes]
"""Improves a flow between two images of one size."""

DOWNSCALE = 2
GREY = (0.2125, 0.7154, 0.0721)
"""Of red, green and blue, as scikit-image's `rgb2gray` has them: ITU-R BT.709."""
_SIGMA, _RADIUS = 2 * DOWNSCALE / 6, 3
"""Of the Gaussian that smooths before each reduction, in pixels."""


def grey(images: Num[Array, "batch height width channels"]) -> Plane:
    """Brightness from 0 to 1; of bytes or other numbers without a sign, or of floats as they are.

    Raises:
      ValueError: neither grey nor colour images in a batch.
      TypeError: integers with a sign, of which nobody knows what white is.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"expected images (batch, height, width, 1 or 3), got {images.shape}")
    if not jnp.issubdtype(images.dtype, jnp.floating) and not jnp.issubdtype(images.dtype, jnp.unsignedinteger):
        raise TypeError(f"expected bytes, or floats from 0 to 1, got {images.dtype}")
    scale = 1 if jnp.issubdtype(images.dtype, jnp.floating) else jnp.iinfo(images.dtype).max
    images = images.astype(jnp.promote_types(images.dtype, jnp.float32)) / scale
    if images.shape[-1] == 1:
        return images[..., 0]
    return sum(share * images[..., channel] for channel, share in enumerate(GREY))


def coarse_to_fine(
    first: Num[Array, "batch height width channels"],
    second: Num[Array, "batch height width channels"],
    solver: Solver,
    levels: int,
    min_size: int,
) -> Float[Array, "batch height width 2"]:
    """The flow that a solver finds on the smallest images, enlarged and improved on each larger size.

    Args:
      first: grey or colour; bytes, or floats from 0 to 1.
      second: of the same size.
      solver: what is done on each size.
      levels: sizes at most, each half of the one before.
      min_size: the shorter side is halved while it is more than twice as long, in pixels.

    Raises:
      ValueError: no images, of two sizes, or less than one level or pixel.
    """
    if first.shape != second.shape:
        raise ValueError(f"expected two images of one size, got {first.shape} and {second.shape}")
    if levels < 1 or min_size < 1:
        raise ValueError(f"expected at least one level and pixel, got {levels} and {min_size}")
    pairs = [(stored(grey(first)), stored(grey(second)))]
    while len(pairs) < levels and min(pairs[-1][0].shape[1:]) > DOWNSCALE * min_size:
        pairs.append(tuple(_reduced(image) for image in pairs[-1]))
    coarsest = pairs[-1][0]
    flow = jnp.zeros((len(coarsest), 2, *coarsest.shape[1:]), coarsest.dtype)
    for pair in reversed(pairs):
        flow = solver(*pair, enlarged_flow(flow, pair[0].shape[1:]))
    return jnp.moveaxis(flow, 1, -1)


def enlarged_flow(flow: Planes, size: tuple[int, int]) -> Planes:
    """A flow of a larger image, of the nearest place in the smaller one, and as much longer as the image grew."""
    before = flow.shape[2:]
    if before == size:
        return flow
    rows, columns = (
        np.floor(np.arange(new) * ((old - 1) / max(new - 1, 1)) + 0.5).astype(np.int32)
        for old, new in zip(before, size, strict=True)
    )
    growth = np.array([size[1] / before[1], size[0] / before[0]], flow.dtype)
    return growth[:, None, None] * flow[:, :, rows[:, None], columns]


def warped(image: Plane, flow: Planes) -> Plane:
    """See `zoo.dense.warp`."""
    return stored(warp(image[..., None], jnp.moveaxis(flow, 1, -1))[0][..., 0])


def gradient(image: Plane) -> Planes:
    """Slopes along x and y: central differences, at the border one-sided, as `numpy.gradient` has them."""
    wide = stored(jnp.pad(image, ((0, 0), (1, 1), (1, 1))))
    before_x, after_x = wide[:, 1:-1, :-2], wide[:, 1:-1, 2:]
    before_y, after_y = wide[:, :-2, 1:-1], wide[:, 2:, 1:-1]
    return stored(jnp.stack([_slope(before_x, image, after_x, 2), _slope(before_y, image, after_y, 1)], axis=1))


def _slope(before: Plane, image: Plane, after: Plane, axis: int) -> Plane:
    places = np.arange(image.shape[axis]).reshape([-1 if each == axis else 1 for each in range(3)])
    is_first, is_last = places == 0, places == image.shape[axis] - 1
    steps = np.where(is_first | is_last, 1, 2).astype(image.dtype)
    return (jnp.where(is_last, image, after) - jnp.where(is_first, image, before)) / steps


def stored(values: Array) -> Array:
    """Written down before it is read: what several places read would be computed anew for each of them."""
    return jax.lax.optimization_barrier(values)


def _reduced(image: Plane) -> Plane:
    """Smoothed, and half as large, rounded up: a product with a matrix on each side."""
    rows, columns = (jnp.asarray(_reduction(side), image.dtype) for side in image.shape[1:])
    product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    return stored(product("ij,bjk,lk->bil", rows, image, columns))


@functools.cache
def _reduction(side: int) -> Float[np.ndarray, "smaller side"]:
    """What half as many pixels in a row take of each: a Gaussian, looked up between its pixels.

    >>> np.round(_reduction(4), 1).tolist()
    [[0.5, 0.4, 0.1, 0.0], [0.0, 0.1, 0.4, 0.5]]
    """
    weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    smooth = np.zeros((side, side))
    mirrored = np.pad(np.arange(side), _RADIUS, mode="symmetric")  # beyond the border
    for place in range(side):
        np.add.at(smooth[place], mirrored[place : place + len(weights)], weights / weights.sum())
    smaller = math.ceil(side / DOWNSCALE)
    places = np.clip((np.arange(smaller) + 0.5) * (side / smaller) - 0.5, 0, side - 1)
    before = np.floor(places).astype(int)
    share = (places - before)[:, None]
    return (1 - share) * smooth[before] + share * smooth[np.minimum(before + 1, side - 1)]
