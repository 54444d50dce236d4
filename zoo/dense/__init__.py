"""Dense prediction: a label or a value for every pixel."""

from zoo.dense.confusion import accuracy, confusion, intersection_over_union
from zoo.dense.correlation import correlation
from zoo.dense.correlation_pyramid import correlation_pyramid, look_up
from zoo.dense.fcn import FCN
from zoo.dense.flow_losses import multi_scale_loss, photometric_loss, sequence_loss, smoothness_loss
from zoo.dense.flow_metrics import end_point_error, flow_sums
from zoo.dense.flownet import FlowNetC, FlowNetS
from zoo.dense.raft import RAFT
from zoo.dense.warp import warp

__all__ = [
    "FCN",
    "RAFT",
    "FlowNetC",
    "FlowNetS",
    "accuracy",
    "confusion",
    "correlation",
    "correlation_pyramid",
    "end_point_error",
    "flow_sums",
    "intersection_over_union",
    "look_up",
    "multi_scale_loss",
    "photometric_loss",
    "sequence_loss",
    "smoothness_loss",
    "warp",
]
