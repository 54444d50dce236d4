"""Detection: which objects are in an image, and where. Boxes are left, top, right, bottom in pixels."""

from zoo.detection.boxes import (
    area,
    at_least,
    clipped,
    flipped,
    generalized_iou,
    generalized_iou_of_pairs,
    iou,
    rescaled,
)
from zoo.detection.nms import batched_nms, nms, soft_nms
from zoo.detection.roi import fpn_levels, roi_align, roi_align_levels, roi_pool

__all__ = [
    "area",
    "at_least",
    "batched_nms",
    "clipped",
    "flipped",
    "fpn_levels",
    "generalized_iou",
    "generalized_iou_of_pairs",
    "iou",
    "nms",
    "rescaled",
    "roi_align",
    "roi_align_levels",
    "roi_pool",
    "soft_nms",
]
