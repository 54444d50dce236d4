"""Dense prediction: a label or a value for every pixel."""

from zoo.dense.confusion import accuracy, confusion, intersection_over_union
from zoo.dense.fcn import FCN
from zoo.dense.fcn_vgg import FCNVGG
from zoo.dense.segnet import SegNet
from zoo.dense.unet import UNet

__all__ = ["FCN", "FCNVGG", "SegNet", "UNet", "accuracy", "confusion", "intersection_over_union"]
