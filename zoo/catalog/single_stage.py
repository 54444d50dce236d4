"""The catalog's rows of detectors without proposals, of the chapter `zoo.detection`."""

from typing import Any

from zoo.catalog.entry import Entry, Ref

LIN_2017 = "Lin et al., 2017, Focal Loss for Dense Object Detection"
LIU_2016 = "Liu et al., 2016, SSD: Single Shot MultiBox Detector"
HOWARD_2019 = "Howard et al., 2019, Searching for MobileNetV3"
TIAN_2019 = "Tian et al., 2019, FCOS: Fully Convolutional One-Stage Object Detection"

RESNET50 = Ref("resnet50", num_classes=0)
SMALL = {
    "backbone": Ref("resnet_tiny", num_classes=0),
    "num_classes": 10,
    "width": 16,
}
"""Of the variants for tests."""

SIDES = {"ssd": 300, "ssdlite": 320}
"""Pixels a side of the images of families that take one size alone."""


def _row(name: str, builder: str, paper: str, options: dict[str, Any]) -> Entry:
    """One row; those for tests take images of 64 x 64 pixels, but for SSD, all of whose maps need more."""
    family = builder.partition(":")[0]
    side = SIDES.get(family, 64 if name.endswith("_tiny") else 0)
    shape = (side, side, 3) if side else (800, 1344, 3)
    layouts = (f"torchvision/{family}",)
    heads = tuple(f"head/logits{level}" for level in range(1, 7)) if family in SIDES else ("head/logits",)
    return Entry(name, f"zoo.detection.{builder}", "detection", shape, paper, "L55, L60", options, layouts, heads)


RETINANETS = {
    "retinanet_resnet50_fpn": {"backbone": RESNET50},
    "retinanet_resnet50_fpn_v2": {
        "backbone": RESNET50,
        "coarser_from": "backbone",
        "frozen_norm": False,
        "groups": 32,
        "box_loss": "giou",
    },
    "retinanet_tiny": {**SMALL, "groups": 4},
}
FCOSES = {"fcos_resnet50_fpn": {"backbone": RESNET50}, "fcos_tiny": {**SMALL, "groups": 4}}
SSDS = {
    "ssd300_vgg16": {},
    "ssd300_tiny": {"counts": (1,) * 5, "widths": (4, 8, 8, 16, 16), "num_classes": 10},
}
SSDLITES = {
    "ssdlite320_mobilenet_v3_large": {},
    "ssdlite320_tiny": {"size": "tiny", "num_classes": 10},
}

ENTRIES = (
    *(_row(name, "retinanet:RetinaNet", LIN_2017, options) for name, options in RETINANETS.items()),
    *(_row(name, "fcos:FCOS", TIAN_2019, options) for name, options in FCOSES.items()),
    *(_row(name, "ssd:ssd300", LIU_2016, options) for name, options in SSDS.items()),
    *(_row(name, "ssdlite:ssdlite320", HOWARD_2019, options) for name, options in SSDLITES.items()),
)
