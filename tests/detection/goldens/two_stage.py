"""What the golden files of two-stage detectors were made with: sizes, weights, images and objects."""

import numpy as np

from tests.convnets.goldens import numbers

NAMES = ("mask", "mask_v2", "mask_c4", "keypoint")
SIZE = (96, 128)
WIDTH, HIDDEN, CLASSES, POINTS = 16, 32, 5, 3
SIZES = (12, 24, 48, 80, 112)
"""Of anchors, a map each."""
PROPOSALS = 64
LEAST = 0.01
"""Score of a detection."""
ALL_ANCHORS, ALL_REGIONS = 3072, 68
"""At least as many as there are: all are sampled."""

_QUIETER = (
    "rpn.head.bbox_pred.weight",
    "roi_heads.box_predictor.bbox_pred.weight",
    "roi_heads.box_predictor.cls_score.weight",
)
COMPARED = (
    "backbone.body.layer1.0.conv1.weight",
    "backbone.body.layer4.0.conv2.weight",
    "backbone.fpn.inner_blocks.1.0.weight",
    "backbone.fpn.layer_blocks.0.0.weight",
    "rpn.head.conv.0.0.weight",
    "rpn.head.bbox_pred.weight",
    "roi_heads.box_head.fc6.weight",
    "roi_heads.box_head.3.weight",
    "roi_heads.box_head.layer4.0.conv1.weight",
    "roi_heads.box_head.layer4.0.downsample.0.weight",
    "roi_heads.box_predictor.cls_score.weight",
    "roi_heads.box_predictor.bbox_pred.bias",
    "roi_heads.mask_head.0.0.weight",
    "roi_heads.mask_predictor.conv5_mask.weight",
    "roi_heads.keypoint_head.0.weight",
    "roi_heads.keypoint_predictor.kps_score_lowres.weight",
)


def compares(name: str) -> bool:
    """Whether a file holds samples of this parameter's gradient."""
    return name in COMPARED


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As of classifiers; differences of boxes are small."""
    values = numbers.weight(name, shape)
    return values * np.float32(0.3) if name in _QUIETER else values


def images(count: int) -> np.ndarray:
    """Channels first, as torch takes them."""
    return (2 * np.random.default_rng(7).random((count, 3, *SIZE)) - 1).astype(np.float32)


def truth() -> dict[str, np.ndarray]:
    """Objects of two images, of which the second has one less: boxes, labels, masks, keypoints, valid."""
    random = np.random.default_rng(3)
    boxes = np.array(
        [[[10, 12, 50, 60], [40, 30, 120, 90], [60, 5, 75, 21]], [[5, 40, 90, 92], [80, 10, 110, 44], [0, 0, 0, 0]]],
        np.float32,
    )
    valid = np.array([[True, True, True], [True, True, False]])
    masks = np.zeros((2, 3, *SIZE), bool)
    for image in range(2):
        for number in range(3):
            left, top, right, bottom = boxes[image, number].astype(int)
            masks[image, number, top:bottom, left:right] = random.random((bottom - top, right - left)) < 0.6
    keypoints = np.zeros((2, 3, POINTS, 3), np.float32)
    keypoints[..., :2] = (
        boxes[..., None, :2] + random.random((2, 3, POINTS, 2)) * (boxes[..., 2:] - boxes[..., :2])[..., None, :]
    )
    keypoints[..., 2] = random.random((2, 3, POINTS)) < 0.8
    labels = np.array([[1, 4, 2], [3, 1, 0]], np.int32)
    return {"boxes": boxes, "labels": labels, "valid": valid, "masks": masks, "keypoints": keypoints}
