"""Names of segmentation networks' weights in torchvision. Lecture rows L61, L65."""

from zoo.dense.deeplab import DeepLabV3
from zoo.dense.dilated_fcn import DilatedFCN
from zoo.dense.lraspp import LRASPP
from zoo.dense.segmenter import Segmenter
from zoo.weights import mobilenet
from zoo.weights.blocks import conv_norm
from zoo.weights.resnet import RESNET
from zoo.weights.rules import Family, Rule, convolution, join, moved

AUXILIARY = ("params/aux1/", "batch_stats/aux1/")
"""A file may have an auxiliary head although the model has none."""


def fcn(model: DilatedFCN) -> Family:
    """torchvision/models/segmentation/fcn.py."""
    return Family(
        join(_body(model), _fcn_head("classifier", "head"), _fcn_head("aux_classifier", "aux1")), optional=AUXILIARY
    )


def deeplabv3(model: DeepLabV3) -> Family:
    """torchvision/models/segmentation/deeplabv3.py."""
    branches = ("conv1x1", *(f"rate{rate}" for rate in model.rates))
    pooled = len(branches)  # whose first layer is the mean
    head = join(
        *(conv_norm(f"classifier.0.convs.{i}", f"aspp/{branch}") for i, branch in enumerate(branches)),
        conv_norm(f"classifier.0.convs.{pooled}", "aspp/pooled", 1),
        conv_norm("classifier.0.project", "aspp/project"),
        conv_norm("classifier", "head/hidden", 1),
        convolution("classifier.4", "head/logits"),
    )
    return Family(join(_body(model), head, _fcn_head("aux_classifier", "aux1")), optional=AUXILIARY)


def lraspp(model: LRASPP) -> Family:
    """torchvision/models/segmentation/lraspp.py."""
    head = join(
        conv_norm("classifier.cbr", "head/high"),
        convolution("classifier.scale.1", "head/gate"),
        convolution("classifier.low_classifier", "head/low_logits"),
        convolution("classifier.high_classifier", "head/high_logits"),
    )
    return Family(join(_body(model), head))


def _body(model: Segmenter) -> tuple[Rule, ...]:
    """The rules of the backbone, a ResNet or a MobileNet V3."""
    rules = RESNET.rules
    if type(model.backbone).__name__ == "MobileNetV3":
        rules = mobilenet.mobilenet_v3(model.backbone).rules
        rules = [rule._replace(theirs=rule.theirs.removeprefix("features.")) for rule in rules]
    return moved(rules, "backbone.", "backbone/")


def _fcn_head(theirs: str, ours: str) -> tuple[Rule, ...]:
    return join(conv_norm(theirs, f"{ours}/hidden"), convolution(f"{theirs}.4", f"{ours}/logits"))
