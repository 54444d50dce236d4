"""Images larger than memory likes: predicted window by window, and blended where windows overlap.

As the sliding windows of Zhao et al., 2017, Pyramid Scene Parsing Network, section 5.1, whose mean is weighted here.
Lecture row L61.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Predict = Callable[[Float[Array, "batch _ _ channels"]], Float[Array, "batch _ _ outputs"]]
"""Maps of images, of which each pixel has its place: logits, for example."""


def tiled(
    predict: Predict, images: Float[Array, "batch height width channels"], window: int, overlap: int
) -> Float[Array, "batch height width outputs"]:
    """What a network says of each pixel, from windows of the images, one after the other. Pure.

    Windows begin `window - overlap` pixels apart; the last ends with the image. Where several see a pixel, the mean of
    what they say counts, each weighted by how far its border is, up to the overlap.

    Of pixels that are farther from every border between windows than the network sees, that is what it says of the
    whole image; if it has strides, windows must begin at multiples of them for that. A layer that looks at the whole
    image, such as DeepLab's pooling, looks at the window instead.

    Args:
      predict: maps of images of the same height and width; traced twice, however many windows there are.
      images: channels last. A side that is no longer than the window is not cut.
      window: pixels a side.
      overlap: pixels that neighbouring windows have in common, at least.

    Returns:
      float32 at least.

    Raises:
      ValueError: images of the wrong rank, an overlap that is not below the window, or maps of another size.

    >>> tiled(lambda images: 2 * images, jnp.arange(6.0).reshape(1, 1, 6, 1), window=4, overlap=1)[0, 0, :, 0].tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if images.ndim != 4:
        raise ValueError(f"expected images (batch, height, width, channels), got shape {images.shape}")
    if not 0 <= overlap < window:
        raise ValueError(f"expected a window of at least one pixel and an overlap below it, got {window} and {overlap}")
    batch, height, width, channels = images.shape
    rows, columns = (windows_of(extent, window, overlap) for extent in (height, width))
    cut = jax.ShapeDtypeStruct((batch, rows.weights.shape[1], columns.weights.shape[1], channels), images.dtype)
    said = jax.eval_shape(predict, cut)
    if said.shape[:-1] != cut.shape[:-1]:
        raise ValueError(f"expected maps of the size of the images {cut.shape}, got shape {said.shape}")
    dtype = jnp.promote_types(said.dtype, jnp.float32)
    if cut.shape == images.shape:
        return predict(images).astype(dtype)
    starts, weights = ((jnp.asarray(rows[i]), jnp.asarray(columns[i])) for i in (0, 1))

    def add(total: Array, place: Int[Array, "2"]) -> tuple[Array, None]:
        row, column = place
        corner = 0, starts[0][row], starts[1][column], 0
        maps = predict(lax.dynamic_slice(images, corner, cut.shape))
        maps = maps * weights[0][row][:, None, None] * weights[1][column][:, None]
        return lax.dynamic_update_slice(total, lax.dynamic_slice(total, corner, maps.shape) + maps, corner), None

    places = np.stack(np.meshgrid(np.arange(len(rows.starts)), np.arange(len(columns.starts)), indexing="ij"), axis=-1)
    return lax.scan(add, jnp.zeros((batch, height, width, said.shape[-1]), dtype), places.reshape(-1, 2))[0]


class Windows(NamedTuple):
    """Windows along one axis."""

    starts: Int[np.ndarray, "count"]
    """The first pixel of each."""
    weights: Float[np.ndarray, "count window"]
    """Of each pixel of each; of all windows that see a pixel they add up to one."""


def windows_of(extent: int, window: int, overlap: int) -> Windows:
    """The windows along an axis of so many pixels; they are shorter if it is.

    >>> windows_of(5, window=4, overlap=3).weights.tolist()
    [[1.0, 0.6666666865348816, 0.5, 0.3333333432674408], [0.3333333432674408, 0.5, 0.6666666865348816, 1.0]]
    """
    window = min(window, extent)
    last = extent - window
    starts = np.minimum(np.arange(-(-last // (window - overlap)) + 1) * (window - overlap), last) if last else [0]
    at = np.arange(window)
    ramp = np.minimum(np.minimum(at, window - 1 - at), overlap) + 1.0
    total = np.zeros(extent)
    for start in starts:
        total[start : start + window] += ramp
    weights = [ramp / total[start : start + window] for start in starts]
    return Windows(np.asarray(starts, np.int32), np.asarray(weights, np.float32))
