"""What the golden files of torchvision's segmentation networks were made with."""

import numpy as np

from tests.convnets.goldens import numbers

CLASSES = 5
SIZE = (57, 75)
"""Height and width of the images: no multiples of the stride, so the maps are 8 x 10."""
IMAGES = 3
"""Of which one at evaluation, and all in training."""
AUX_WEIGHT = 0.5
THIN = ("fcn", "deeplabv3", "deeplabv3_mobilenet", "lraspp")
"""The same on smaller backbones: a residual network of 1, 1, 1 and 2 units, and a MobileNetV3 of a quarter of the
width."""
UNITS, CHANNELS, WIDTH = (1, 1, 1, 2), 8, 0.25
PUBLISHED = (
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
)
NUMBERED = ("deeplabv3_resnet50",)
"""Those published ones whose numbers are kept too."""
RESNET_MAPS = {"stage3": "layer3", "stage4": "layer4"}
MOBILENET_MAPS = {"stage3/block1": "4", "final": "16"}
ATROUS_MAP, ATROUS_WIDTH = (2, 8, 41, 38), 16
"""Batch, channels, height and width of what DeepLab's pyramid alone is given, larger than half of its widest window;
and the channels of its branches."""
SLOPES = {
    "atrous": tuple(f"convs.{i}.{layer}.weight" for i, layer in ((1, 0), (3, 0), (4, 1))),
    "fcn": (
        "backbone.layer4.1.conv2.weight",
        "classifier.0.weight",
        "aux_classifier.0.weight",
        "aux_classifier.4.bias",
    ),
    "deeplabv3": ("backbone.conv1.weight", "classifier.0.convs.1.0.weight", "classifier.4.bias"),
    "deeplabv3_mobilenet": ("backbone.0.0.weight", "classifier.0.project.0.weight", "aux_classifier.4.bias"),
    "deeplabv3_resnet50": ("backbone.conv1.weight", "classifier.0.convs.3.0.weight", "aux_classifier.0.weight"),
    "lraspp": ("backbone.0.0.weight", "classifier.scale.1.weight", "classifier.high_classifier.weight"),
}
"""Parameters whose gradients are kept; of the first network late ones alone, which are compiled sooner."""


def maps_of(name: str) -> dict[str, str]:
    """The backbone's maps that are compared: our names, and the modules of theirs."""
    return MOBILENET_MAPS if "mobilenet" in name or "lraspp" in name else RESNET_MAPS


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As of the backbone's own golden files, where residual branches are smaller."""
    inner = name.removeprefix("backbone.")
    return numbers.weight(f"features.{inner}" if inner[0].isdigit() else inner, shape)


def images() -> np.ndarray:
    """Channels first, as torch takes them; of different brightness, so that their means differ."""
    drawn = numbers.images(IMAGES, max(SIZE))[:, :, : SIZE[0], : SIZE[1]]
    return drawn + np.linspace(-1, 1, IMAGES, dtype=np.float32)[:, None, None, None]


def atrous_map() -> np.ndarray:
    """Channels first; of different brightness."""
    drawn = np.random.default_rng(3).standard_normal(ATROUS_MAP)
    return (drawn + np.arange(ATROUS_MAP[0])[:, None, None, None]).astype(np.float32)
