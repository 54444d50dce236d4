"""Dense prediction: a label or a value for every pixel."""

from zoo.dense.confusion import accuracy, class_accuracies, confusion, frequency_weighted_iou, intersection_over_union
from zoo.dense.correlation import correlation
from zoo.dense.correlation_pyramid import correlation_pyramid, look_up
from zoo.dense.deeplab import DeepLabV3
from zoo.dense.depth import depth_scores, depth_sums, scale_invariant_loss
from zoo.dense.dilated_fcn import DilatedFCN
from zoo.dense.encoder_decoder import EncoderDecoder
from zoo.dense.fcn import FCN
from zoo.dense.fcn_vgg import FCNVGG
from zoo.dense.flow_colour import colour_wheel, flow_to_colour, wheel_picture
from zoo.dense.flow_losses import multi_scale_loss, photometric_loss, sequence_loss, smoothness_loss
from zoo.dense.flow_metrics import end_point_error, flow_sums
from zoo.dense.flownet import FlowNetC, FlowNetS
from zoo.dense.horn_schunck import horn_schunck
from zoo.dense.intrinsic import local_error, reconstruct, scale_invariant_error
from zoo.dense.lraspp import LRASPP
from zoo.dense.normals import angle_scores, angle_sums, angles, cosine_loss, orthographic_normals, pinhole_normals
from zoo.dense.pwc import PWCNet
from zoo.dense.raft import RAFT
from zoo.dense.scales import multi_scale
from zoo.dense.segnet import SegNet
from zoo.dense.tiles import tiled
from zoo.dense.trimap import trimap
from zoo.dense.tv_l1 import tv_l1
from zoo.dense.unet import UNet
from zoo.dense.warp import warp

__all__ = [
    "FCN",
    "FCNVGG",
    "LRASPP",
    "RAFT",
    "DeepLabV3",
    "DilatedFCN",
    "EncoderDecoder",
    "FlowNetC",
    "FlowNetS",
    "PWCNet",
    "SegNet",
    "UNet",
    "accuracy",
    "angle_scores",
    "angle_sums",
    "angles",
    "class_accuracies",
    "colour_wheel",
    "confusion",
    "correlation",
    "correlation_pyramid",
    "cosine_loss",
    "depth_scores",
    "depth_sums",
    "end_point_error",
    "flow_sums",
    "flow_to_colour",
    "frequency_weighted_iou",
    "horn_schunck",
    "intersection_over_union",
    "local_error",
    "look_up",
    "multi_scale",
    "multi_scale_loss",
    "orthographic_normals",
    "photometric_loss",
    "pinhole_normals",
    "reconstruct",
    "scale_invariant_error",
    "scale_invariant_loss",
    "sequence_loss",
    "smoothness_loss",
    "tiled",
    "trimap",
    "tv_l1",
    "warp",
    "wheel_picture",
]
