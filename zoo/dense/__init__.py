"""Dense prediction: a label or a value for every pixel."""

from zoo.dense.confusion import accuracy, confusion, intersection_over_union
from zoo.dense.fcn import FCN
from zoo.dense.flow_colour import colour_wheel, flow_to_colour, wheel_picture
from zoo.dense.flow_metrics import end_point_error, flow_sums
from zoo.dense.horn_schunck import horn_schunck
from zoo.dense.pwc import PWCNet
from zoo.dense.tv_l1 import tv_l1
from zoo.dense.warp import warp

__all__ = [
    "FCN",
    "PWCNet",
    "accuracy",
    "colour_wheel",
    "confusion",
    "end_point_error",
    "flow_sums",
    "flow_to_colour",
    "horn_schunck",
    "intersection_over_union",
    "tv_l1",
    "warp",
    "wheel_picture",
]
