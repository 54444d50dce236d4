"""Writes `moving.npz` beside it: which parameters torchvision's detectors move when their backbone was trained before.

    pip install torch==2.13.0 torchvision==0.28.0 numpy && python -m tests.detection.goldens.write_moving

No weights are fetched: only names and `requires_grad` are looked at. Nothing here imports the zoo.
"""

from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torchvision.models import get_model
from torchvision.models._api import WeightsEnum

NAMES = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "retinanet_resnet50_fpn",
)


def moving(name: str) -> np.ndarray:
    """The names, as bytes, of the parameters that learn."""
    with (
        mock.patch.object(WeightsEnum, "get_state_dict", return_value={}),
        mock.patch.object(torch.nn.Module, "load_state_dict", return_value=None),
    ):
        model = get_model(name, weights_backbone="DEFAULT")
    names = [key for key, parameter in model.named_parameters() if parameter.requires_grad]
    return np.frombuffer("\n".join(names).encode(), np.uint8)


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("moving.npz"), **{name: moving(name) for name in NAMES})
