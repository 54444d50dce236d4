"""RoIPool and RoIAlign: from a map, for each box, a small map of one size.

Girshick, 2015, Fast R-CNN, section 2.1; He et al., 2017, Mask R-CNN, section 3; Lin et al., 2017, Feature Pyramid
Networks, section 4.2. Numbers as of torchvision's C++ kernels (torchvision/csrc/ops/cpu), forward and gradient. Rows
L58, L68, L69.

Read `roi_align` first; the forms for levels differ in where a box looks, and `roi_pool` has no samples between places.
What both do in the end, to gather and to scatter rows of a list of places, is in `zoo.detection.places`. Gradients flow
to the features alone, as in torchvision.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from zoo.detection.levels import bins_of, by_level, check_levels, ends_of, fpn_levels, listed
from zoo.detection.places import maxima, weighted_sums


def roi_align(
    features: Float[Array, "batch height width channels"],
    boxes: Float[Array, "batch n 4"],
    output_size: int | tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int = 2,
    aligned: bool = False,
) -> Float[Array, "batch n rows columns channels"]:
    """The mean of bilinear samples in each of the bins that divide a box.

    Samples farther than one place outside the map count as zero.

    Args:
      features: a map of each image.
      boxes: left, top, right, bottom in pixels of the image; rows that stand for no box may hold anything.
      output_size: rows and columns of bins, or one number for both.
      spatial_scale: places of the map a pixel: 1/16 for a map of stride 16.
      sampling_ratio: samples a side of a bin. torchvision's 0, as many as the bin has places, has no fixed size and is
        refused.
      aligned: whether a place is at the centre of its pixels (detectron2) and not at their corner (torchvision's
        detectors). Only where not, a box is at least one place wide and high.

    Raises:
      ValueError: shapes that do not fit, no bins, or no samples.

    >>> features = jnp.arange(25.0).reshape(1, 5, 5, 1)
    >>> roi_align(features, jnp.array([[[1.0, 1.0, 3.0, 3.0]]]), 2, 1.0, aligned=True)[0, 0, ..., 0].tolist()
    [[6.0, 7.0], [11.0, 12.0]]
    """
    return roi_align_levels([features], boxes, output_size, [spatial_scale], sampling_ratio, aligned)


def roi_align_levels(
    features: Sequence[Float[Array, "batch height width channels"]],
    boxes: Float[Array, "batch n 4"],
    output_size: int | tuple[int, int],
    spatial_scales: Sequence[float],
    sampling_ratio: int = 2,
    aligned: bool = False,
    canonical_size: float = 224,
    canonical_level: int = 4,
    sizes: Float[Array, "batch 2"] | None = None,
) -> Float[Array, "batch n rows columns channels"]:
    """`roi_align` in which each box looks at one level of a pyramid alone: the larger it is, the coarser.

    Args:
      features: the levels, from fine to coarse, each half as long as the one before.
      boxes: as for `roi_align`.
      output_size: as for `roi_align`.
      spatial_scales: of each level: 1/4, 1/8, 1/16, 1/32.
      sampling_ratio: as for `roi_align`.
      aligned: as for `roi_align`.
      canonical_size: the root of the area, in pixels, of a box that looks at the canonical level.
      canonical_level: a level's number, which is the binary logarithm of its stride.
      sizes: true heights and widths in pixels of images on a canvas: their maps end with them.

    Raises:
      ValueError: as for `roi_align`; or not one scale for each level.
    """
    rows, columns = bins_of(output_size)
    check_levels(features, boxes, spatial_scales)
    if sampling_ratio < 1:
        raise ValueError(
            f"expected at least one sample a side of a bin, got sampling_ratio={sampling_ratio}: as many samples as a "
            "bin has places (torchvision's 0) is no fixed number"
        )
    places, starts = listed(features)
    wide = jnp.promote_types(places.dtype, jnp.float32)
    boxes = lax.stop_gradient(jnp.asarray(boxes))
    of_level = by_level(fpn_levels(boxes, spatial_scales, canonical_size, canonical_level))
    scaled = boxes.astype(wide) * of_level(spatial_scales, wide)[..., None] - (0.5 if aligned else 0.0)
    y = _samples(scaled[..., 1], scaled[..., 3], rows, sampling_ratio, aligned)
    x = _samples(scaled[..., 0], scaled[..., 2], columns, sampling_ratio, aligned)
    ends = ends_of(features, spatial_scales, of_level, sizes)
    widths = of_level([each.shape[2] for each in features])
    (top, of_top), (left, of_left) = _corners(y, ends[0]), _corners(x, ends[1])
    # (batch, n, rows, columns, 2 samples in y, 2 samples in x): every corner of every sample of a bin.
    top, of_top = (each[:, :, :, None, :, None] for each in (top, of_top))
    left, of_left = (each[:, :, None, :, None, :] for each in (left, of_left))
    first = of_level(starts) + jnp.arange(len(boxes))[:, None] * (len(places) // len(boxes))
    expanded = (..., *(None,) * 4)
    numbers = first[expanded] + top * widths[expanded] + left
    weights = of_top * of_left / sampling_ratio**2
    taps = math.prod(weights.shape[-2:])
    sums = weighted_sums(places, numbers.reshape(-1, taps), weights.reshape(-1, taps))
    return sums.reshape(*boxes.shape[:2], rows, columns, places.shape[1])


def roi_pool(
    features: Float[Array, "batch height width channels"],
    boxes: Float[Array, "batch n 4"],
    output_size: int | tuple[int, int],
    spatial_scale: float,
) -> Float[Array, "batch n rows columns channels"]:
    """The greatest value in each of the bins that divide a box, whose corners are rounded to places of the map.

    Bins share the places at their borders. A bin outside the map gives zero; of equal values the first takes the
    gradient.

    Args:
      features: a map of each image.
      boxes: left, top, right, bottom in pixels, as for `roi_align`.
      output_size: as for `roi_align`.
      spatial_scale: as for `roi_align`.

    Raises:
      ValueError: shapes that do not fit, or no bins.

    >>> features = jnp.arange(16.0).reshape(1, 4, 4, 1)
    >>> roi_pool(features, jnp.array([[[0.0, 0.0, 3.0, 3.0]]]), 2, 1.0)[0, 0, ..., 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    return roi_pool_levels([features], boxes, output_size, [spatial_scale])


def roi_pool_levels(
    features: Sequence[Float[Array, "batch height width channels"]],
    boxes: Float[Array, "batch n 4"],
    output_size: int | tuple[int, int],
    spatial_scales: Sequence[float],
    canonical_size: float = 224,
    canonical_level: int = 4,
    sizes: Float[Array, "batch 2"] | None = None,
) -> Float[Array, "batch n rows columns channels"]:
    """`roi_pool` in which each box looks at one level of a pyramid alone, the one that `roi_align_levels` has for it.

    Args:
      features: as for `roi_align_levels`.
      boxes: left, top, right, bottom in pixels, as for `roi_align`.
      output_size: as for `roi_align`.
      spatial_scales: of each level: 1/4, 1/8, 1/16, 1/32.
      canonical_size: as for `roi_align_levels`.
      canonical_level: as for `roi_align_levels`.
      sizes: as for `roi_align_levels`.

    Raises:
      ValueError: as for `roi_pool`; or not one scale for each level.
    """
    rows, columns = bins_of(output_size)
    check_levels(features, boxes, spatial_scales)
    places, starts = listed(features)
    boxes = lax.stop_gradient(jnp.asarray(boxes))
    of_level = by_level(fpn_levels(boxes, spatial_scales, canonical_size, canonical_level))
    wide = jnp.promote_types(boxes.dtype, jnp.float32)
    scaled = boxes.astype(wide) * of_level(spatial_scales, wide)[..., None]
    is_number = jnp.isfinite(scaled).all(axis=-1, keepdims=True)
    corners = lax.round(jnp.where(is_number, scaled, -1e6).clip(-1e6, 1e6))
    height, width = ends_of(features, spatial_scales, of_level, sizes)
    top, bottom = _bins(corners[..., 1], corners[..., 3], rows, height)
    left, right = _bins(corners[..., 0], corners[..., 2], columns, width)
    # (batch, n, rows, columns): the first place of each bin, and how far it reaches.
    start = of_level(starts) + jnp.arange(len(boxes))[:, None] * (len(places) // len(boxes))
    row = of_level([each.shape[2] for each in features])[..., None, None]
    first = start[..., None, None] + top[..., None] * row + left[..., None, :]
    high, broad, row = jnp.broadcast_arrays((bottom - top)[..., None], (right - left)[..., None, :], row)
    found = maxima(places, first.ravel(), high.ravel(), broad.ravel(), row.ravel(), rows * columns)
    return found.reshape(*boxes.shape[:2], rows, columns, places.shape[1])


def _samples(
    start: Float[Array, "batch n"], end: Float[Array, "batch n"], bins: int, ratio: int, aligned: bool
) -> Float[Array, "batch n bins ratio"]:
    """Where the samples are along one axis, in places."""
    length = end - start if aligned else jnp.maximum(end - start, 1)
    of_bin = (length / bins)[..., None, None]
    within = (jnp.arange(ratio) + 0.5) / ratio
    return start[..., None, None] + jnp.arange(bins)[:, None] * of_bin + within * of_bin


def _corners(
    at: Float[Array, "batch n bins ratio"], length: Int[Array, "batch n"]
) -> tuple[Int[Array, "batch n bins corners"], Float[Array, "batch n bins corners"]]:
    """The two places beside each sample, and their weights: none for samples outside the map."""
    last = length[..., None, None] - 1
    is_inside = (at >= -1) & (at <= last + 1)
    at = jnp.clip(jnp.where(is_inside, at, 0), 0, last)
    low = jnp.floor(at).astype(jnp.int32)
    share = at - low
    places = jnp.concatenate([low, jnp.minimum(low + 1, last)], axis=-1)
    return places, jnp.concatenate([is_inside * (1 - share), is_inside * share], axis=-1)


def _bins(
    start: Float[Array, "batch n"], end: Float[Array, "batch n"], bins: int, places: int
) -> tuple[Int[Array, "batch n bins"], Int[Array, "batch n bins"]]:
    """The first place of each bin along one axis, and the one behind its last, as far as they are on the map."""
    # By a number that XLA does not know to be one for all boxes: by such a one it multiplies with its inverse, and
    # the end of a bin may round to the next place.
    length = jnp.maximum(end - start + 1, 1)
    of_bin = (length / jnp.where(length > 0, bins, 1))[..., None]
    number = jnp.arange(bins, dtype=start.dtype)
    low = start[..., None] + jnp.floor(number * of_bin)
    high = start[..., None] + jnp.ceil((number + 1) * of_bin)
    low, high = (jnp.clip(each, 0, places[..., None]).astype(jnp.int32) for each in (low, high))
    return low, jnp.maximum(high, low)
