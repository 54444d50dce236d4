"""Reflectance and shading: an image as what its surfaces are painted with, times the light that falls on them.

Barrow and Tenenbaum, 1978, Recovering Intrinsic Scene Characteristics from Images; measured as Grosse, Johnson, Adelson
and Freeman, 2009, Ground Truth Dataset and Baseline Evaluations for Intrinsic Image Algorithms. Lecture row L64.

An image alone does not say how bright the light was: reflectance may be twice what it is and shading half, so that each
is compared after the best factor was found.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from zoo.nn.precision import widened

Maps = Float[Array, "batch height width channels"]
Counted = Bool[Array, "batch height width"]

WINDOW = 20
"""Pixels a side of the windows of the local error."""


def reconstruct(reflectance: Maps, shading: Float[Array, "batch height width 1"]) -> Maps:
    """The image, in linear light: their product."""
    return reflectance * shading


def scale_invariant_error(
    predicted: Maps, true: Maps, counted: Counted | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean squared error over each image's known pixels after the factor that makes it smallest.

    Args:
      predicted: any numbers.
      true: where a channel is nan a pixel counts nowhere.
      counted: which others do.

    Returns:
      the sum over the images, and the number of those of which a pixel is known.
    """
    x, y, is_known = _known(predicted, true, counted)
    pixels = jnp.sum(is_known, axis=(1, 2), dtype=jnp.float32)
    errors = _least(*(jnp.sum(term, axis=(1, 2, 3)) for term in (x * x, x * y, y * y)))
    return jnp.sum(errors / jnp.maximum(pixels * true.shape[-1], 1)), jnp.sum(pixels > 0, dtype=jnp.float32)


def local_error(
    predicted: Maps, true: Maps, counted: Counted | None = None, window: int = WINDOW
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """LMSE: squared errors after the best factor of each window, over those of zero; section 4.1 of Grosse et al.

    Windows begin half their side apart, and of an image that is smaller are as large as it is. Zero is perfect, and one
    is no better than black.

    Args:
      predicted: any numbers.
      true: where a channel is nan a pixel counts nowhere.
      counted: which others do.
      window: pixels a side.

    Returns:
      the sum over the images, and the number of those that are not black.

    Raises:
      ValueError: a window of less than two pixels.
    """
    if window < 2:
        raise ValueError(f"expected a window of at least 2 pixels, got {window}")
    x, y, _ = _known(predicted, true, counted)
    shape = tuple(min(window, side) for side in true.shape[1:3])

    def summed(values: Maps) -> Float[Array, "batch rows columns"]:
        planes = jnp.sum(values, axis=-1)
        strides = tuple(max(side // 2, 1) for side in shape)
        return lax.reduce_window(planes, 0.0, lax.add, (1, *shape), (1, *strides), "VALID")

    squares = summed(y * y)
    errors = jnp.sum(_least(summed(x * x), summed(x * y), squares), axis=(1, 2))
    black = jnp.sum(squares, axis=(1, 2))
    return jnp.sum(errors / jnp.where(black > 0, black, 1)), jnp.sum(black > 0, dtype=jnp.float32)


def _known(predicted: Maps, true: Maps, counted: Counted | None) -> tuple[Maps, Maps, Counted]:
    """Both, zero where the truth is not known, and where it is."""
    is_known = jnp.all(jnp.isfinite(true), axis=-1)
    is_known = is_known if counted is None else is_known & counted
    return *(jnp.where(is_known[..., None], widened(each), 0) for each in (predicted, true)), is_known


def _least(xx: Array, xy: Array, yy: Array) -> Array:
    """The smallest sum of (a x - y)^2 that a factor a gives, from the sums of the products."""
    factor = xy / jnp.where(xx > 0, xx, 1)
    return jnp.maximum(yy - factor * xy, 0)
