"""An image looked up where a flow points: what the second frame looks like from the first.

Jaderberg, Simonyan, Zisserman and Kavukcuoglu, 2015, Spatial Transformer Networks, section 3.3 (bilinear sampling).
Lecture row L62.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from zoo.nn.precision import widened


def warp(
    images: Num[Array, "batch height width channels"], flow: Float[Array, "batch height width 2"]
) -> tuple[Float[Array, "batch height width channels"], Bool[Array, "batch height width"]]:
    """Each image at its pixels' places plus the flow, bilinearly; differentiable by both.

    Pixel (x, y) of the result is the image at (x + flow x, y + flow y). Beyond the border the nearest pixel of the
    border continues. Where the flow is no number the pixel itself stands, and no gradient comes of it. A pixel that is
    nan takes its neighbour before with it, also where the flow leads to that one alone.

    Args:
      images: of any numbers; the result is float32 at least.
      flow: x before y, in pixels.

    Returns:
      The images, and which of their pixels were looked up between pixels of the image, by a flow that is known.

    Raises:
      ValueError: shapes that do not fit.

    >>> row = jnp.array([0.0, 1.0, 2.0]).reshape(1, 1, 3, 1)
    >>> warped, inside = warp(row, jnp.full((1, 1, 3, 2), jnp.array([0.5, 0.0])))
    >>> warped[0, 0, :, 0].tolist(), inside[0, 0].tolist()
    ([0.5, 1.5, 2.0], [True, True, False])
    """
    if images.ndim != 4 or flow.shape != (*images.shape[:3], 2):
        raise ValueError(
            f"expected images (batch, height, width, channels) and a flow (batch, height, width, 2) of their size, "
            f"got {images.shape} and {flow.shape}"
        )
    images, flow = widened(images), widened(flow)
    batch, height, width, channels = images.shape
    known = jnp.all(jnp.isfinite(flow), axis=-1)
    flow = jnp.where(known[..., None], flow, 0)  # before anything is computed of it: no gradient is nan
    x = jnp.arange(width, dtype=flow.dtype) + flow[..., 0]
    y = jnp.arange(height, dtype=flow.dtype)[:, None] + flow[..., 1]
    inside = known & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    left, right, to_right = _between(x, width)
    upper, lower, to_lower = _between(y, height)
    pixels = images.reshape(batch, height * width, channels)

    def at(row: Array, column: Array) -> Array:
        places = (row * width + column).reshape(batch, height * width, 1)
        found = jnp.take_along_axis(pixels, places, axis=1, mode="promise_in_bounds")
        return found.reshape(images.shape)

    above = _mixed(at(upper, left), at(upper, right), to_right)
    below = _mixed(at(lower, left), at(lower, right), to_right)
    return _mixed(above, below, to_lower), inside


def _between(
    place: Float[Array, "batch height width"], count: int
) -> tuple[Num[Array, "batch height width"], Num[Array, "batch height width"], Float[Array, "batch height width"]]:
    """The pixels before and after a place in a row of so many, and how far it is from the one to the other."""
    # No clip, which would halve the gradient of a place exactly on the border, as all there are of no flow.
    place = jnp.where(place < 0, 0, jnp.where(place > count - 1, count - 1, place))
    before = jnp.floor(place)
    first = before.astype(jnp.int32)
    return first, jnp.minimum(first + 1, count - 1), place - before


def _mixed(first: Array, second: Array, share: Array) -> Array:
    return first + share[..., None].astype(first.dtype) * (second - first)
