"""Names of two-stage detectors' weights in torchvision. Lecture rows L58-L60, L67-L70.

The first versions' published files have the names of older code, without a level of numbers.
"""

import flax.linen as nn

from zoo.weights import mobilenet
from zoo.weights.resnet import RESNET
from zoo.weights.rules import Family, Rule, batch_norm, convolution, join, linear, moved


def transposed(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A torch transposed convolution, whose weights begin with the input channels."""
    return Rule(f"{theirs}.weight", f"params/{ours}/kernel", (2, 3, 0, 1)), Rule(
        f"{theirs}.bias", f"params/{ours}/bias"
    )


PYRAMID = join(
    convolution("backbone.fpn.inner_blocks.{i}.0", "pyramid/inner{i+1}"),
    batch_norm("backbone.fpn.inner_blocks.{i}.1", "pyramid/inner{i+1}_norm"),
    convolution("backbone.fpn.layer_blocks.{i}.0", "pyramid/layer{i+1}"),
    batch_norm("backbone.fpn.layer_blocks.{i}.1", "pyramid/layer{i+1}_norm"),
)
OLD_PYRAMID = join(
    convolution("backbone.fpn.inner_blocks.{i}", "pyramid/inner{i+1}"),
    convolution("backbone.fpn.layer_blocks.{i}", "pyramid/layer{i+1}"),
)

REGIONS = join(
    convolution("rpn.head.conv.{i}.0", "rpn/conv{i+1}"),
    convolution("rpn.head.cls_logits", "rpn/logits"),
    convolution("rpn.head.bbox_pred", "rpn/deltas"),
    linear("roi_heads.box_predictor.cls_score", "box_head/logits"),
    linear("roi_heads.box_predictor.bbox_pred", "box_head/deltas"),
    convolution("roi_heads.mask_head.{i}.0", "mask_head/conv{i+1}"),
    batch_norm("roi_heads.mask_head.{i}.1", "mask_head/norm{i+1}"),
    transposed("roi_heads.mask_predictor.conv5_mask", "mask_head/up"),
    convolution("roi_heads.mask_predictor.mask_fcn_logits", "mask_head/logits"),
    *(convolution(f"roi_heads.keypoint_head.{2 * i}", f"keypoint_head/conv{i + 1}") for i in range(8)),
    transposed("roi_heads.keypoint_predictor.kps_score_lowres", "keypoint_head/logits"),
)
OLD_REGIONS = join(
    convolution("rpn.head.conv", "rpn/conv1"),
    convolution("roi_heads.mask_head.mask_fcn{i}", "mask_head/conv{i}"),
)


def two_stage(model: nn.Module) -> Family:
    """torchvision/models/detection/faster_rcnn.py, mask_rcnn.py and keypoint_rcnn.py, of ResNet and MobileNet V3."""
    body = RESNET.rules
    if type(model.backbone).__name__ == "MobileNetV3":
        rules = mobilenet.mobilenet_v3(model.backbone).rules
        body = [rule._replace(theirs=rule.theirs.removeprefix("features.")) for rule in rules]
    convs = len(model.convs)
    head = join(
        convolution("roi_heads.box_head.{i}.0", "box_head/conv{i+1}"),
        batch_norm("roi_heads.box_head.{i}.1", "box_head/norm{i+1}"),
        linear(f"roi_heads.box_head.{convs + 1}", "box_head/dense1"),
    )
    dense = join(
        linear("roi_heads.box_head.fc6", "box_head/dense1"), linear("roi_heads.box_head.fc7", "box_head/dense2")
    )
    own = join(moved(body, "backbone.body.", "backbone/"), PYRAMID, REGIONS)
    return Family(join(own, head if convs else dense, OLD_PYRAMID, OLD_REGIONS))
