"""What of a batch and its predictions is counted and shown: real objects that are judged, images not too large."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from train.report.figures import viewable
from train.tasks.detection.drawing import Objects
from train.tasks.detection.task import IGNORED
from train.tasks.digit_boxes.judge import MATCHED
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.detection.boxes import area, iou

LARGEST = 320
"""Pixels a side of an image that is kept; a larger one is reduced to it."""


def objects_of(some: Mapping[str, np.ndarray], least: float = 0.0) -> Objects:
    """The objects of one example that are real and at least as sure."""
    valid = some["valid"] & (some["scores"] >= least) if "scores" in some else some["valid"]
    return Objects(**{name: some[name][valid] for name in Objects._fields if name in some})


def reduced(images: UInt8[np.ndarray, "n height width channels"]) -> tuple[np.ndarray, float]:
    """Images of at most `LARGEST` pixels a side, and how long their sides are of what they were."""
    longer = max(images.shape[1:3])
    if longer <= LARGEST or not len(images):
        return images, 1.0
    from PIL import Image

    scale = LARGEST / longer
    height, width = (max(1, round(scale * side)) for side in images.shape[1:3])
    return np.stack([np.asarray(Image.fromarray(viewable(image)).resize((width, height))) for image in images]), scale


def without_ignored(batch: HostBatch, predicted: HostPrediction) -> tuple[HostBatch, HostPrediction]:
    """Without the objects that are not to be judged, and the predictions that lie in one of them and on no other."""
    ignored = np.zeros(batch["boxes_valid"].shape, bool)
    for name in IGNORED:
        if name in batch:
            ignored |= batch[name].astype(bool) & batch["boxes_valid"]
    if not ignored.any():
        return batch, predicted
    real, found = batch["boxes_valid"] & ~ignored, predicted["boxes"].astype(np.float64)
    on_real = np.any((iou(found, batch["boxes"].astype(np.float64)) >= MATCHED) & real[:, None], axis=2)
    left_top, right_bottom = (part[:, None] for part in np.split(batch["boxes"], 2, axis=-1))
    left_top = np.maximum(found[:, :, None, :2], left_top)
    right_bottom = np.minimum(found[:, :, None, 2:], right_bottom)
    covered = area(np.concatenate([left_top, right_bottom], axis=-1)) >= MATCHED * area(found)[..., None]
    on_ignored = np.any(covered & ignored[:, None], axis=2)
    valid = predicted["valid"] & (on_real | ~on_ignored)
    return {**batch, "boxes_valid": real}, {**predicted, "valid": valid}
