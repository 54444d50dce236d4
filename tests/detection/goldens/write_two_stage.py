"""Writes `<name>.npz` beside it: torchvision's two-stage detectors, small, with weights drawn by name.

    pip install torch==2.13.0 torchvision==0.28.0 numpy && python -m tests.detection.goldens.write_two_stage [NAME ...]

A file holds what each part gives of one image at evaluation (`samples` of maps, whole arrays of what is short), and in
training the terms of the loss of two images, for which all anchors and regions are sampled, with samples of gradients.
Nothing here imports the zoo.
"""

import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import KeypointRCNN, MaskRCNN, faster_rcnn, keypoint_rcnn, mask_rcnn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d

from tests.convnets.goldens import numbers
from tests.detection.goldens import two_stage as made

WIDTH, HIDDEN = made.WIDTH, made.HIDDEN
TWICE = "mask_head.layer4."
"""The second name of a stage that two heads have."""


def backbone(second: bool) -> BackboneWithFPN:
    norm = torch.nn.BatchNorm2d if second else FrozenBatchNorm2d
    body = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=norm)
    layers = {f"layer{i}": str(i - 1) for i in range(1, 5)}
    pyramid_norm = torch.nn.BatchNorm2d if second else None
    return BackboneWithFPN(body, layers, [64, 128, 256, 512], WIDTH, norm_layer=pyramid_norm)


class Below(torch.nn.Module):
    """One map, of the third stage."""

    out_channels = 256

    def __init__(self, body: ResNet) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(body, {"layer3": "0"})

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.body(images)


def of_c4() -> torch.nn.Module:
    """Mask R-CNN whose heads both begin with the fourth stage."""
    body = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=FrozenBatchNorm2d)
    last = ("layer4", body.layer4)
    mean = (("mean", torch.nn.AdaptiveAvgPool2d(1)), ("flat", torch.nn.Flatten()))
    return MaskRCNN(
        Below(body),
        rpn_anchor_generator=AnchorGenerator((made.SIZES,), ((0.5, 1.0, 2.0),)),
        rpn_head=RPNHead(Below.out_channels, 3 * len(made.SIZES)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
        box_head=torch.nn.Sequential(OrderedDict([last, *mean])),
        box_predictor=faster_rcnn.FastRCNNPredictor(512, made.CLASSES),
        mask_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
        mask_head=torch.nn.Sequential(OrderedDict([last])),
        mask_predictor=mask_rcnn.MaskRCNNPredictor(512, WIDTH, made.CLASSES),
        **numbers_of_all(),
    )


def numbers_of_all() -> dict[str, object]:
    """Sizes, thresholds and counts."""
    return {
        "min_size": made.SIZE[0],
        "max_size": made.SIZE[1],
        "image_mean": [0.0] * 3,
        "image_std": [1.0] * 3,
        "rpn_post_nms_top_n_train": made.PROPOSALS,
        "rpn_post_nms_top_n_test": made.PROPOSALS,
        "rpn_batch_size_per_image": made.ALL_ANCHORS,
        "box_batch_size_per_image": made.ALL_REGIONS,
        "box_positive_fraction": 1.0,
        "box_score_thresh": made.LEAST,
    }


def detector(name: str) -> torch.nn.Module:
    if name == "mask_c4":
        return of_c4()
    second = name == "mask_v2"
    anchors = AnchorGenerator(tuple((size,) for size in made.SIZES), len(made.SIZES) * ((0.5, 1.0, 2.0),))
    head = (
        faster_rcnn.FastRCNNConvFCHead((WIDTH, 7, 7), [WIDTH, WIDTH], [HIDDEN], norm_layer=torch.nn.BatchNorm2d)
        if second
        else faster_rcnn.TwoMLPHead(WIDTH * 49, HIDDEN)
    )
    shared = {
        **numbers_of_all(),
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(WIDTH, 3, conv_depth=2 if second else 1),
        "box_head": head,
    }
    if name == "keypoint":
        return KeypointRCNN(
            backbone(second),
            box_predictor=faster_rcnn.FastRCNNPredictor(HIDDEN, 2),
            keypoint_head=keypoint_rcnn.KeypointRCNNHeads(WIDTH, (WIDTH, WIDTH)),
            keypoint_predictor=keypoint_rcnn.KeypointRCNNPredictor(WIDTH, made.POINTS),
            **shared,
        )
    mask_norm = torch.nn.BatchNorm2d if second else None
    return MaskRCNN(
        backbone(second),
        box_predictor=faster_rcnn.FastRCNNPredictor(HIDDEN, made.CLASSES),
        mask_head=mask_rcnn.MaskRCNNHeads(WIDTH, [WIDTH, WIDTH], 1, norm_layer=mask_norm),
        mask_predictor=mask_rcnn.MaskRCNNPredictor(WIDTH, WIDTH, made.CLASSES),
        **shared,
    )


def main(names: Sequence[str]) -> None:
    for name in names or made.NAMES:
        torch.manual_seed(0)
        model = detector(name)
        weights = {
            key: torch.from_numpy(made.weight(key, tuple(value.shape))) if value.ndim else value
            for key, value in model.state_dict().items()
        }
        weights |= {key: weights[key.replace("mask_head", "box_head")] for key in weights if TWICE in key}
        model.load_state_dict(weights)
        names = "\n".join(
            f"{key} {'x'.join(map(str, value.shape))}"
            for key, value in weights.items()
            if not key.endswith("num_batches_tracked") and TWICE not in key
        )
        golden = {"names": np.frombuffer(names.encode(), np.uint8)}
        golden |= at_evaluation(model.eval())
        golden |= in_training(model.train(), name)
        np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **golden)


def at_evaluation(model: torch.nn.Module) -> dict[str, np.ndarray]:
    kept: dict[str, object] = {}
    parts = {"pyramid": model.backbone, "rpn": model.rpn.head, "proposals": model.rpn}
    parts |= {"boxes": model.roi_heads.box_predictor}
    if model.roi_heads.has_mask():
        parts["masks"] = model.roi_heads.mask_predictor
    if model.roi_heads.has_keypoint():
        parts["heatmaps"] = model.roi_heads.keypoint_predictor
    hooks = [
        part.register_forward_hook(lambda _, __, output, key=key: kept.__setitem__(key, output))
        for key, part in parts.items()
    ]
    with torch.no_grad():
        (found,) = model([torch.from_numpy(made.images(1)[0])])
    for hook in hooks:
        hook.remove()
    golden = {}
    for level, value in enumerate(kept["pyramid"].values()):
        golden[f"map/{level}"] = numbers.samples(f"map/{level}", value.numpy())
    logits, deltas = kept["rpn"]
    for level, (logit, delta) in enumerate(zip(logits, deltas, strict=True)):
        golden[f"rpn_logits/{level}"] = numbers.samples(f"rpn_logits/{level}", logit.numpy())
        golden[f"rpn_deltas/{level}"] = numbers.samples(f"rpn_deltas/{level}", delta.numpy())
    golden["proposals"] = kept["proposals"][0][0].numpy()
    golden["class_logits"], golden["box_deltas"] = (each.numpy() for each in kept["boxes"])
    for key in ("boxes", "labels", "scores"):
        golden[f"found/{key}"] = found[key].numpy()
    if "masks" in kept:
        of_class = kept["masks"][torch.arange(len(found["labels"])), found["labels"]]
        golden["found/mask_logits"] = of_class.numpy()[:8]
    if "heatmaps" in kept:
        golden["heatmaps"] = numbers.samples("heatmaps", kept["heatmaps"].numpy())
        points = np.concatenate([found["keypoints"].numpy()[..., :2], found["keypoints_scores"].numpy()[..., None]], -1)
        golden["found/keypoints"] = points
    return golden


def in_training(model: torch.nn.Module, name: str) -> dict[str, np.ndarray]:
    truth = made.truth()
    targets = []
    for row, real in enumerate(truth["valid"]):
        target = {"boxes": torch.from_numpy(truth["boxes"][row][real])}
        target["labels"] = torch.from_numpy(truth["labels"][row][real]).long()
        if name == "keypoint":
            target["labels"] = torch.ones_like(target["labels"])
        target["masks"] = torch.from_numpy(truth["masks"][row][real]).to(torch.uint8)
        target["keypoints"] = torch.from_numpy(truth["keypoints"][row][real])
        targets.append(target)
    losses = model([torch.from_numpy(image) for image in made.images(2)], targets)
    sum(losses.values()).backward()
    golden = {f"loss/{key}": np.float32(value.item()) for key, value in losses.items()}
    for key, parameter in model.named_parameters():
        if made.compares(key) and parameter.grad is not None:
            golden[f"gradient/{key}"] = numbers.samples(f"gradient/{key}", parameter.grad.numpy())
    return golden


if __name__ == "__main__":
    main(sys.argv[1:])
