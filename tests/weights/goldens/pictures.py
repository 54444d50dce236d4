"""The pictures that `preprocessing.npz` was made with, and what it keeps of each result."""

import numpy as np

PRESETS = (
    ("resnet50", "IMAGENET1K_V1"),
    ("resnet50", "IMAGENET1K_V2"),
    ("efficientnet_b3", "IMAGENET1K_V1"),
    ("efficientnet_v2_l", "IMAGENET1K_V1"),
    ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
    ("deeplabv3_resnet50", "COCO_WITH_VOC_LABELS_V1"),
)
CLIPS = (
    ("r3d_18", "KINETICS400_V1"),
    ("s3d", "KINETICS400_V1"),
    ("mvit_v1_b", "KINETICS400_V1"),
    ("swin3d_t", "KINETICS400_V1"),
)
"""Of networks for clips: one of each transform."""
CLIP_SHAPES = ((3, 240, 320, 3), (2, 131, 97, 3), (2, 360, 637, 3))
SHAPES = ((375, 500), (500, 333, 3), (97, 64, 3), (256, 256, 3), (300, 1001, 3))


def picture(shape: tuple[int, ...]) -> np.ndarray:
    """Noise upon a slope, uint8."""
    slope = np.add.outer(np.linspace(0, 100, shape[0]), np.linspace(0, 100, shape[1]))
    noise = np.random.default_rng(shape).integers(0, 56, shape)
    return (slope.reshape(*slope.shape, *[1] * (len(shape) - 2)) + noise).astype(np.uint8)


def clip(shape: tuple[int, ...]) -> np.ndarray:
    """Frames of one size, each a picture of its own."""
    return np.stack([np.roll(picture(shape[1:]), 7 * i, axis=1) for i in range(shape[0])])


def samples(result: np.ndarray) -> np.ndarray:
    """The shape, 60 values, and the sum."""
    values = result.ravel()
    positions = np.random.default_rng(0).integers(values.size, size=60)
    return np.array([*result.shape, *values[positions], values.sum(dtype=np.float64)])
