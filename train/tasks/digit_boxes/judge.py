"""Average precision at an intersection over union of 0.5, as COCO counts it.

Lin et al., 2014, Microsoft COCO: Common Objects in Context; pycocotools, `COCOeval`, which this follows for objects
of any size. Everingham et al., 2010, The Pascal Visual Object Classes Challenge, section 4.2, for what it means.
"""

import numpy as np
from jaxtyping import Float, Int

from train.config import Metric
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.detection import iou

AP50 = Metric("ap50", "AP at IoU 0.5", percent=True)

MATCHED = 0.5
"""The smallest intersection over union of a prediction and the object that it found."""
RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the precision off."""


class AveragePrecision:
    """Matches predictions with objects, image by image; of a prediction it keeps score, class and whether it is right.

    A prediction is right where it overlaps with an object of its class that no better prediction found. Expects
    predictions in order of their scores, as `DigitBoxes.decode` gives them.
    """

    def __init__(self, num_classes: int) -> None:
        self.objects: Int[np.ndarray, "classes"] = np.zeros(num_classes, np.int64)
        """How many there are of each class."""
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Judge`."""
        real, valid = batch["boxes_valid"], predicted["valid"]
        self.objects += np.bincount(batch["classes"][real], minlength=len(self.objects))
        right = matches(batch, predicted) >= 0
        self._parts.append((predicted["scores"][valid], predicted["classes"][valid], right[valid]))

    def merge(self, other: "AveragePrecision") -> None:
        """See `Judge`."""
        self.objects = self.objects + other.objects
        self._parts += other._parts

    def scores(self) -> dict[str, float]:
        """See `Judge`: the mean over the classes that have an object; nan of none."""
        known = [value for value in self.by_class() if not np.isnan(value)]
        return {AP50.name: float(np.mean(known)) if known else float("nan")}

    def by_class(self) -> Float[np.ndarray, "classes"]:
        """The average precision of each class; nan where it has no object."""
        return np.array([self._of(label) for label in range(len(self.objects))])

    def curve(self, label: int) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """Recall and precision after each prediction of a class, the best first; of equal scores the earlier first."""
        if not self._parts:
            return np.zeros(0), np.zeros(0)
        scores, labels, right = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        these = labels == label
        order = np.argsort(-scores[these], kind="stable")
        found = np.cumsum(right[these][order])
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
