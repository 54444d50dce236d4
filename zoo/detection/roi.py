"""RoIPool and RoIAlign: from a map, for each box, a small map of one size.

Girshick, 2015, Fast R-CNN, section 2.1; He et al., 2017, Mask R-CNN, section 3; Lin et al., 2017, Feature Pyramid
Networks, section 4.2. Numbers as of torchvision's C++ kernels (torchvision/csrc/ops/cpu), forward and gradient. Rows
L58, L68, L69.

Read `roi_align` first; `roi_align_levels` differs in where a box looks, and `roi_pool` has no samples between places.
What both do in the end, to gather and to scatter rows of a list of places, is in `zoo.detection.places`. Gradients flow
to the features alone, as in torchvision.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from zoo.detection.boxes import area
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
    rows, columns = _output_size(output_size)
    _check(features, boxes, spatial_scales)
    if sampling_ratio < 1:
        raise ValueError(
            f"expected at least one sample a side of a bin, got sampling_ratio={sampling_ratio}: as many samples as a "
            "bin has places (torchvision's 0) is no fixed number"
        )
    places, starts = _listed(features)
    wide = jnp.promote_types(places.dtype, jnp.float32)
    boxes = lax.stop_gradient(jnp.asarray(boxes))
    level = fpn_levels(boxes, spatial_scales, canonical_size, canonical_level)

    def of_level(values: Sequence[float], dtype: type = jnp.int32) -> Array:
        """The value of each box's own level."""
        return jnp.asarray(values, dtype)[level]

    heights, widths = (of_level([each.shape[axis] for each in features]) for axis in (1, 2))
    scaled = boxes.astype(wide) * of_level(spatial_scales, wide)[..., None] - (0.5 if aligned else 0.0)
    y = _samples(scaled[..., 1], scaled[..., 3], rows, sampling_ratio, aligned)
    x = _samples(scaled[..., 0], scaled[..., 2], columns, sampling_ratio, aligned)
    ends = heights, widths
    if sizes is not None:
        true = jnp.ceil(sizes[:, None] * of_level(spatial_scales, wide)[..., None]).astype(jnp.int32)
        ends = jnp.minimum(true[..., 0], heights), jnp.minimum(true[..., 1], widths)
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
    return sums.reshape(*boxes.shape[:2], rows, columns, -1)


def fpn_levels(
    boxes: Float[Array, "*n 4"],
    spatial_scales: Sequence[float],
    canonical_size: float = 224,
    canonical_level: int = 4,
) -> Int[Array, "*n"]:
    """Which of the levels each box looks at, counted from 0, the finest: equation 1 of the paper.

    As torchvision's `LevelMapper`, of boxes in pixels; one without an area looks at the finest.

    >>> boxes = jnp.array([[0.0, 0.0, 111.0, 111.0], [0.0, 0.0, 112.0, 112.0], [0.0, 0.0, 900.0, 900.0]])
    >>> fpn_levels(boxes, [1 / 4, 1 / 8, 1 / 16, 1 / 32]).tolist()
    [0, 1, 3]
    """
    finest, coarsest = (int(-math.log2(scale)) for scale in (spatial_scales[0], spatial_scales[-1]))
    size = jnp.sqrt(area(boxes))
    level = jnp.floor(canonical_level + jnp.log2(jnp.where(size > 0, size, 1e-6) / canonical_size) + 1e-6)
    return jnp.clip(level, finest, coarsest).astype(jnp.int32) - finest


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
    rows, columns = _output_size(output_size)
    _check([features], boxes, [spatial_scale])
    places, _ = _listed([features])
    boxes = lax.stop_gradient(jnp.asarray(boxes))
    scaled = boxes.astype(jnp.promote_types(boxes.dtype, jnp.float32)) * spatial_scale
    is_number = jnp.isfinite(scaled).all(axis=-1, keepdims=True)
    corners = lax.round(jnp.where(is_number, scaled, -1e6).clip(-1e6, 1e6))
    _, height, width, _ = features.shape
    top, bottom = _bins(corners[..., 1], corners[..., 3], rows, height)
    left, right = _bins(corners[..., 0], corners[..., 2], columns, width)
    # (batch, n, rows, columns): the first place of each bin, and how far it reaches.
    first = jnp.arange(len(boxes))[:, None, None, None] * (height * width) + top[..., None] * width + left[..., None, :]
    high, broad = jnp.broadcast_arrays((bottom - top)[..., None], (right - left)[..., None, :])
    found = maxima(places, first.ravel(), high.ravel(), broad.ravel(), width, rows * columns)
    return found.reshape(*boxes.shape[:2], rows, columns, -1)


def _output_size(size: int | tuple[int, int]) -> tuple[int, int]:
    rows, columns = (size, size) if isinstance(size, int) else size
    if rows < 1 or columns < 1:
        raise ValueError(f"expected bins, got an output of {rows} x {columns}")
    return rows, columns


def _check(features: Sequence[Array], boxes: Array, scales: Sequence[float]) -> None:
    shapes = [each.shape for each in features]
    fit = all(len(shape) == 4 and (shape[0], shape[3]) == (shapes[0][0], shapes[0][3]) for shape in shapes)
    if not shapes or not fit or boxes.ndim != 3 or boxes.shape[::2] != (shapes[0][0], 4):
        raise ValueError(
            f"expected maps (batch, height, width, channels) and boxes (batch, n, 4), got {shapes} and {boxes.shape}"
        )
    if len(scales) != len(shapes):
        raise ValueError(f"expected a scale for each level, got {len(scales)} for {len(shapes)}")


def _listed(features: Sequence[Array]) -> tuple[Float[Array, "places channels"], list[int]]:
    """All places of all levels, image by image, and where each level starts within an image."""
    batch, _, _, channels = features[0].shape
    flat = [each.reshape(batch, -1, channels) for each in features]
    starts = [sum(each.shape[1] for each in flat[:i]) for i in range(len(flat))]
    return jnp.concatenate(flat, axis=1).reshape(-1, channels), starts


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
    low, high = (jnp.clip(each, 0, places).astype(jnp.int32) for each in (low, high))
    return low, jnp.maximum(high, low)
