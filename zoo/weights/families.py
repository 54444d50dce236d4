"""Every layout in which another library names a model's parameters: "library/family" -> its rules."""

from collections.abc import Callable, Mapping

import flax.linen as nn

from zoo.names import unknown
from zoo.weights import (
    alexnet,
    cifar_resnet,
    convnext,
    densenet,
    detection,
    efficientnet,
    fcn,
    googlenet,
    inception,
    mnasnet,
    mobilenet,
    raft,
    regnet,
    resnet,
    segmentation,
    shufflenet,
    single_stage,
    squeezenet,
    swin,
    vgg,
    video,
    vision_transformer,
)
from zoo.weights.rules import Family

FAMILIES: Mapping[str, Family | Callable[[nn.Module], Family]] = {
    "akamaster/cifar_resnet": cifar_resnet.FAMILY,
    "torchvision/alexnet": alexnet.FAMILY,
    "torchvision/vgg": vgg.vgg,
    "torchvision/shufflenet_v2": shufflenet.FAMILY,
    "torchvision/mnasnet": mnasnet.mnasnet,
    "torchvision/inception": inception.FAMILY,
    "torchvision/googlenet": googlenet.FAMILY,
    "ndf/squeezenet": squeezenet.ndf,
    "torchvision/squeezenet": squeezenet.torchvision,
    "torchvision/mobilenet_v2": mobilenet.mobilenet_v2,
    "torchvision/mobilenet_v3": mobilenet.mobilenet_v3,
    "torchvision/resnet": resnet.RESNET,
    "timm/resnet": resnet.TIMM_RESNET,
    "timm/resnetv2": resnet.TIMM_RESNETV2,
    "torchvision/densenet": densenet.DENSENET,
    "hazyresearch/densenet": densenet.HAZY_DENSENET,
    "torchvision/convnext": convnext.FAMILY,
    "torchvision/vision_transformer": vision_transformer.FAMILY,
    "torchvision/swin": swin.FAMILY,
    "torchvision/regnet": regnet.FAMILY,
    "torchvision/efficientnet": efficientnet.efficientnet,
    "torchvision/two_stage": detection.two_stage,
    "torchvision/retinanet": single_stage.retinanet,
    "torchvision/fcos": single_stage.fcos,
    "torchvision/ssd": single_stage.ssd,
    "torchvision/ssdlite": single_stage.ssdlite,
    "torchvision/fcn": segmentation.fcn,
    "torchvision/deeplabv3": segmentation.deeplabv3,
    "torchvision/lraspp": segmentation.lraspp,
    "torchvision/vgg_as_fcn": fcn.fcn_vgg,
    "torchvision/raft": raft.raft,
    "torchvision/video_resnet": video.video_resnet,
    "torchvision/s3d": video.S3D,
    "torchvision/mvit": video.MVIT,
    "torchvision/swin3d": video.swin3d,
}
"""The rules, or a function that gives those of a module where names depend on the variant, as VGG's do."""


def family_of(layout: str, model: nn.Module | None) -> Family:
    """The rules of a layout for one module.

    Raises:
      UnknownNameError: there is no such layout.
      ValueError: the layout's names depend on the model, and none was given.
    """
    if layout not in FAMILIES:
        raise unknown("layout of weights", layout, FAMILIES)
    family = FAMILIES[layout]
    if isinstance(family, Family):
        return family
    if model is None:
        raise ValueError(f"names in the layout {layout} depend on the model: expected model=, got none")
    return family(model)
