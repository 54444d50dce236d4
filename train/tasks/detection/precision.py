"""Average precision at an intersection over union of 0.5, as COCO counts it.

Lin et al., 2014, Microsoft COCO: Common Objects in Context; pycocotools, `COCOeval`, which this follows for objects
of any size. Everingham et al., 2010, The Pascal Visual Object Classes Challenge, section 4.2, for what it means.
"""

import numpy as np
from jaxtyping import Float, Int

from train.config import Metric
from train.data.sources.objects import IGNORED
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.detection.boxes import area, iou

AP50 = Metric("ap50", "AP at IoU 0.5", percent=True)

MATCHED = 0.5
"""The smallest intersection over union of a prediction and the object that it found."""
RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the precision off."""


class AveragePrecision:
    """Matches predictions with objects, image by image; of a prediction it keeps score, class and whether it is right.

    A prediction is right where it overlaps with an object of its class that no better prediction found. Expects
    predictions in order of their scores, as `Detection.predict` gives them.

    It grows with the predictions that are valid, by 6 bytes each (of up to 256 classes), and not with the images'
    size: the precision at a recall needs the order of all scores.
    """

    def __init__(self, num_classes: int) -> None:
        self.objects: Int[np.ndarray, "classes"] = np.zeros(num_classes, np.int64)
        """How many there are of each class."""
        label = np.min_scalar_type(num_classes - 1)
        self._kept = [np.zeros(0, [("score", np.float32), ("label", label), ("right", bool)])]
        """A row a prediction, in parts that are put together when they are read."""

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Judge`."""
        self.add_matched(batch, predicted, matches(batch, predicted))

    def add_matched(self, batch: HostBatch, predicted: HostPrediction, found: Int[np.ndarray, "batch most"]) -> None:
        """The same where it is known what `matches` says."""
        valid = predicted["valid"]
        self.objects += np.bincount(batch["classes"][batch["boxes_valid"]], minlength=len(self.objects))
        part = np.empty(np.count_nonzero(valid), self._kept[0].dtype)
        part["score"], part["label"] = predicted["scores"][valid], predicted["classes"][valid]
        part["right"] = found[valid] >= 0
        self._kept.append(part)

    def merge(self, other: "AveragePrecision") -> None:
        """See `Judge`."""
        self.objects = self.objects + other.objects
        self._kept += other._kept

    def scores(self) -> dict[str, float]:
        """See `Judge`: the mean over the classes that have an object; nan of none."""
        known = [value for value in self.by_class() if not np.isnan(value)]
        return {AP50.name: float(np.mean(known)) if known else float("nan")}

    def by_class(self) -> Float[np.ndarray, "classes"]:
        """The average precision of each class; nan where it has no object."""
        return np.array([self._of(label) for label in range(len(self.objects))])

    def curve(self, label: int) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """Recall and precision after each prediction of a class, the best first; of equal scores the earlier first."""
        self._kept = [np.concatenate(self._kept)]
        these = self._kept[0][self._kept[0]["label"] == label]
        found = np.cumsum(these["right"][np.argsort(-these["score"], kind="stable")])
        return found / self.objects[label], found / np.arange(1, len(found) + 1)

    def _of(self, label: int) -> float:
        return average_precision(*self.curve(label)) if self.objects[label] else float("nan")


def matches(batch: HostBatch, predicted: HostPrediction) -> Int[np.ndarray, "batch most"]:
    """The number of the object that each prediction found; -1 of those that found none or are not valid.

    Each in turn takes, of the objects of its class that are left, the one with the largest overlap, if that is at
    least `MATCHED`.
    """
    overlaps = iou(predicted["boxes"].astype(np.float64), batch["boxes"].astype(np.float64))
    same = predicted["classes"][:, :, None] == batch["classes"][:, None, :]
    possible = same & predicted["valid"][:, :, None] & batch["boxes_valid"][:, None, :] & (overlaps >= MATCHED)
    found = np.full(overlaps.shape[:2], -1)
    examples = np.arange(len(found))
    for place in range(found.shape[1]):
        left = np.where(possible[:, place], overlaps[:, place], -1.0)
        best = left.argmax(axis=1)
        hit = left[examples, best] >= 0
        found[hit, place] = best[hit]
        possible[examples[hit], :, best[hit]] = False
    return found


def average_precision(recall: Float[np.ndarray, "n"], precision: Float[np.ndarray, "n"]) -> float:
    """The mean, over 101 recalls, of the best precision at that recall or a higher one.

    >>> round(average_precision(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])), 4)  # 51 x 1 and 50 x 2/3
    0.835
    """
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(best, 0.0)[places].mean())


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
