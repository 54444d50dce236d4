"""What the golden files of torchvision's whole two-stage detectors were made with."""

import numpy as np

from tests.convnets.goldens import numbers

NUMBERED = ("fasterrcnn_mobilenet_v3_large_320_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2")
"""Those whose numbers are kept: each backbone, both versions and all heads. Of the others there are names alone."""
NAMES = (*NUMBERED, "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn")
SIZE = (96, 128)
PROPOSALS = 32
FOUND = 8
"""Boxes that are said at most."""
LEAST = 0.0
"""Score of what is proposed and said."""


QUIET = {"rpn.head.cls_logits.weight": 0.03, "rpn.head.bbox_pred.weight": 0.03}
QUIET |= {f"roi_heads.box_predictor.{name}.weight": 0.1 for name in ("cls_score", "bbox_pred")}
"""How much smaller these are drawn than others: boxes are then not far from anchors and no score is almost one."""


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As of the backbone's own golden files, where residual branches are smaller."""
    inner = name.removeprefix("backbone.body.")
    if name.startswith("backbone.body.") and inner[0].isdigit():
        inner = f"features.{inner}"  # MobileNet's
    return numbers.weight(inner, shape) * np.float32(QUIET.get(name, 1))


def image() -> np.ndarray:
    """Channels first, as torch takes it."""
    return (2 * np.random.default_rng(7).random((3, *SIZE)) - 1).astype(np.float32)
