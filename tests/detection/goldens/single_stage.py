"""What the golden files of detectors without proposals were computed from."""

import numpy as np

from tests.convnets.goldens import numbers

CLASSES, WIDTH, MOST = 5, 64, 20
SIZES = np.array([[80, 128], [96, 100]])
"""Height and width of the two images, on a canvas of 96 x 128. torchvision resizes neither: its shorter side is to have
96 pixels, unless the longer one would have more than 128."""
MODELS = {"retinanet": 0.03, "retinanet_v2": 0.4, "fcos": 0.4}
"""How much smaller than others the weights of the last layers are drawn: scores are to differ."""


def weight(model: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As for classifiers; with sides that are positive and a background that is never detected."""
    values = numbers.weight(name, shape)
    if model in SSD_SIZES:
        if name.startswith("head.") and len(shape) == 4 and shape[1] > 1:
            values = values * 0.2
        return (values + 20 if name.endswith("scale_weight") else values).astype(np.float32)
    if any(part in name for part in ("cls_logits.", "bbox_reg.", "bbox_ctrness.")):
        if name.endswith("weight"):
            values = values * MODELS[model]
        elif "bbox_reg" in name:
            values = values + 2 if model == "fcos" else values
        else:
            values = values - 1
    if name.endswith("cls_logits.bias"):
        values[::CLASSES] = -30  # of each anchor
    return values.astype(np.float32)


def images() -> np.ndarray:
    """(batch, height, width, channels), normalised; zero outside the images."""
    drawn = numbers.images(2, 128)[:, :, :96].transpose(0, 2, 3, 1).copy()
    drawn[0, SIZES[0, 0] :] = 0
    drawn[1, :, SIZES[1, 1] :] = 0
    return drawn


SSD_SIZES = {"ssd": 300, "ssdlite": 320}
"""Pixels a side of the images of SSD and SSDlite."""
SSD_WIDTHS, SSDLITE_WIDTH, SSD_TRUTH_SCALE = (8, 16, 32, 512, 512), 0.25, 2.5
"""Channels of VGG's five stages, of one convolution each; the MobileNetV3's factor; and by what objects are larger."""


def ssd_images(name: str) -> np.ndarray:
    """(batch, height, width, channels), normalised, all real."""
    return numbers.images(2, SSD_SIZES[name]).transpose(0, 2, 3, 1).copy()


def truth() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, labels, and which are real; of the second image one alone."""
    boxes = [
        [[8, 10, 60, 70], [30, 20, 120, 78], [100, 4, 124, 20], [50, 50, 58, 59]],
        [[20, 16, 84, 76], [0] * 4, [0] * 4, [0] * 4],
    ]
    return (
        np.array(boxes, np.float32),
        np.array([[1, 2, 4, 3], [2, 0, 0, 0]], np.int32),
        np.array([[True] * 4, [True, False, False, False]]),
    )
