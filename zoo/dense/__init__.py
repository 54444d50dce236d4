"""Dense prediction: a label or a value for every pixel."""

from zoo.dense.confusion import accuracy, confusion, intersection_over_union
from zoo.dense.fcn import FCN
from zoo.dense.flow_metrics import end_point_error, flow_sums
from zoo.dense.warp import warp

__all__ = ["FCN", "accuracy", "confusion", "end_point_error", "flow_sums", "intersection_over_union", "warp"]
