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
from zoo.dense.fcn_vgg import FCNVGG
from zoo.dense.lraspp import LRASPP
from zoo.dense.scales import multi_scale
from zoo.dense.segnet import SegNet
from zoo.dense.tiles import tiled
from zoo.dense.unet import UNet

__all__ = [
    "FCN",
    "FCNVGG",
    "LRASPP",
    "DeepLabV3",
    "DilatedFCN",
    "SegNet",
    "UNet",
    "accuracy",
    "class_accuracies",
    "confusion",
    "frequency_weighted_iou",
    "intersection_over_union",
    "multi_scale",
    "tiled",
]
