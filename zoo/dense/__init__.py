"""Dense prediction: a label or a value for every pixel."""

from zoo.dense.confusion import (
    accuracy,
    class_accuracies,
    confusion,
    frequency_weighted_iou,
    intersection_over_union,
)
from zoo.dense.deeplab import DeepLabV3
from zoo.dense.dilated_fcn import DilatedFCN
from zoo.dense.fcn import FCN
from zoo.dense.lraspp import LRASPP
from zoo.dense.scales import multi_scale
from zoo.dense.tiles import tiled

__all__ = [
    "FCN",
    "LRASPP",
    "DeepLabV3",
    "DilatedFCN",
    "accuracy",
    "class_accuracies",
    "confusion",
    "frequency_weighted_iou",
    "intersection_over_union",
    "multi_scale",
    "tiled",
]
