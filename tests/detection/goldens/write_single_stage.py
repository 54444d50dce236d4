"""Writes `<model>.npz` beside it: torchvision's RetinaNet and FCOS above a small residual network, and narrow SSDs.

    pip install torch==2.13.0 torchvision==0.28.0 numpy
    python -m tests.detection.goldens.write_single_stage

A file holds
  names: the state dict, as text in bytes (see tests/convnets/goldens/numbers.py);
  outputs/<name>: `numbers.samples` of what the head says of both images, at evaluation;
  boxes, scores, labels: the detections of the images, one behind the other; counts: how many of each;
  losses/<name>: the terms of the loss in training, with frozen statistics;
  idle: how many parameters the loss does not depend on.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models.detection import FCOS, RetinaNet, _utils
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG
from torchvision.models.detection.ssdlite import SSDLiteHead, _mobilenet_extractor
from torchvision.models.mobilenetv3 import mobilenet_v3_large
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vgg import make_layers
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

from tests.convnets.goldens import numbers
from tests.detection.goldens import single_stage as given

PLAIN = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "min_size": 96, "max_size": 128}


def network(name: str) -> nn.Module:
    body = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=FrozenBatchNorm2d)
    coarser = LastLevelP6P7(512 if name == "retinanet_v2" else given.WIDTH, given.WIDTH)
    layers = {"layer2": "0", "layer3": "1", "layer4": "2"}
    backbone = BackboneWithFPN(body, layers, [128, 256, 512], given.WIDTH, coarser)
    options = {**PLAIN, "detections_per_img": given.MOST}
    if name == "fcos":
        return FCOS(backbone, given.CLASSES, head=FCOSHead(given.WIDTH, 1, given.CLASSES), **options)
    norm = partial(nn.GroupNorm, 32) if name == "retinanet_v2" else None
    head = RetinaNetHead(given.WIDTH, 9, given.CLASSES, norm_layer=norm)
    head.regression_head._loss_type = "giou" if name == "retinanet_v2" else "l1"
    return RetinaNet(backbone, given.CLASSES, head=head, **options)


def ssd(name: str) -> nn.Module:
    if name == "ssdlite":
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
        body = mobilenet_v3_large(width_mult=given.SSDLITE_WIDTH, reduced_tail=True, norm_layer=norm)
        backbone = _mobilenet_extractor(body, 6, norm)
        boxes = DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
        channels = _utils.retrieve_out_channels(backbone, (320, 320))
        head = SSDLiteHead(channels, boxes.num_anchors_per_location(), given.CLASSES, norm)
        options = {"head": head, "score_thresh": 0.001, "nms_thresh": 0.55, "topk_candidates": 300}
    else:
        layers: list = []
        for width in given.SSD_WIDTHS:
            layers += [width, "M"]
        backbone = SSDFeatureExtractorVGG(make_layers(layers), highres=False)
        ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
        scales, steps = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], [8, 16, 32, 64, 100, 300]
        boxes, options = DefaultBoxGenerator(ratios, scales=scales, steps=steps), {}
    options |= {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "detections_per_img": given.MOST}
    return SSD(backbone, boxes, (given.SSD_SIZES[name],) * 2, given.CLASSES, **options)


def golden(name: str) -> dict[str, np.ndarray]:
    model = ssd(name) if name in given.SSD_SIZES else network(name)
    state = model.state_dict()
    shapes = {key: tuple(array.shape) for key, array in state.items()}
    for key, shape in shapes.items():
        if state[key].is_floating_point():
            state[key] = torch.from_numpy(given.weight(name, key, shape))
    model.load_state_dict(state)
    images = [
        torch.from_numpy(image[:height, :width].copy()).permute(2, 0, 1)
        for image, (height, width) in zip(given.images(), given.SIZES, strict=True)
    ]
    scale = 1.0
    if name in given.SSD_SIZES:
        images = list(torch.from_numpy(given.ssd_images(name)).permute(0, 3, 1, 2))
        scale = given.SSD_TRUTH_SCALE
    found: dict[str, np.ndarray] = {}

    def keep(module: nn.Module, inputs: tuple, outputs: dict[str, torch.Tensor]) -> None:
        found.update({f"outputs/{key}": numbers.samples(key, value.numpy()) for key, value in outputs.items()})

    hook = model.head.register_forward_hook(keep)
    with torch.no_grad():
        detected = model.eval()(images)
    hook.remove()
    for key in ("boxes", "scores", "labels"):
        found[key] = np.concatenate([each[key].numpy() for each in detected])
    found["counts"] = np.array([len(each["scores"]) for each in detected])
    targets = [
        {"boxes": torch.from_numpy(scale * boxes[valid]), "labels": torch.from_numpy(labels[valid].astype(np.int64))}
        for boxes, labels, valid in zip(*given.truth(), strict=True)
    ]
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    losses = model(images, targets)
    found |= {f"losses/{key}": np.float32(value.detach()) for key, value in losses.items()}
    sum(losses.values()).backward()
    slopes = [parameter.grad for parameter in model.parameters()]
    found["idle"] = np.int32(sum(each is None or not each.any() for each in slopes))
    lines = "\n".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in shapes.items())
    return {"names": np.frombuffer(lines.encode(), np.uint8), **found}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in (*given.MODELS, *given.SSD_SIZES):
        np.savez_compressed(Path(__file__).with_name(f"{each}.npz"), **golden(each))
