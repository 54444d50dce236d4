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
from zoo.detection.contract import Detections, Term, Truth
from zoo.detection.fast_rcnn import FastRCNN
from zoo.detection.faster_rcnn import FasterRCNN
from zoo.detection.fcos import FCOS
from zoo.detection.keypoint_rcnn import KeypointRCNN
from zoo.detection.levels import fpn_levels
from zoo.detection.mask_rcnn import MaskRCNN
from zoo.detection.nms import batched_nms, nms, soft_nms
from zoo.detection.rcnn import RCNN
from zoo.detection.retinanet import RetinaNet
from zoo.detection.roi import roi_align, roi_align_levels, roi_pool, roi_pool_levels
from zoo.detection.ssd import SSD
from zoo.detection.ssdlite import SSDLite

__all__ = [
    "FCOS",
    "RCNN",
    "SSD",
    "Detections",
    "FastRCNN",
    "FasterRCNN",
    "KeypointRCNN",
    "MaskRCNN",
    "RetinaNet",
    "SSDLite",
    "Term",
    "Truth",
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
    "roi_pool_levels",
    "soft_nms",
]
