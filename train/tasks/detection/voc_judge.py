"""Average precision at an intersection over union of 0.5, as Pascal VOC counts it.

Everingham et al., 2010, The Pascal Visual Object Classes (VOC) Challenge, section 4.2; the development kit's
`VOCevaldet.m`.
"""

import numpy as np
from jaxtyping import Float, Int

from train.config import Metric
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.detection import iou

VOC07 = Metric("voc07_ap50", "AP at IoU 0.5, mean of 11 recalls (VOC 2007)", percent=True)
VOC12 = Metric("voc12_ap50", "AP at IoU 0.5, area under the curve (VOC 2010-2012)", percent=True)
OF = {"voc": (VOC12, VOC07), "voc07": (VOC07, VOC12)}
"""By the setting `task.judge`: what the judge knows, the number that ranks checkpoints first."""
MATCHED = 0.5


class VocJudge:
    """A prediction is right where the object of its class that it overlaps with most was not found by a surer one.

    What finds a difficult object (`is_difficult`, or `is_crowd`) counts neither way. Of a prediction it keeps score,
    class and whether it is right. Expects predictions in the order of their scores.

    Args:
      num_classes: of objects.
    """

    def __init__(self, num_classes: int) -> None:
        self.objects: Int[np.ndarray, "classes"] = np.zeros(num_classes, np.int64)
        """How many there are of each class that are not difficult."""
        self._kept = [np.zeros(0, [("score", np.float32), ("label", np.int32), ("right", bool)])]

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Judge`."""
        difficult = np.zeros(batch["boxes_valid"].shape, bool)
        for name in ("is_difficult", "is_crowd"):
            difficult |= batch.get(name, False)
        counted = batch["boxes_valid"] & ~difficult
        self.objects += np.bincount(batch["classes"][counted], minlength=len(self.objects))
        right, wrong = _verdicts(batch, predicted, difficult)
        chosen = right | wrong
        part = np.empty(np.count_nonzero(chosen), self._kept[0].dtype)
        part["score"], part["label"] = predicted["scores"][chosen], predicted["classes"][chosen]
        part["right"] = right[chosen]
        self._kept.append(part)

    def merge(self, other: "VocJudge") -> None:
        """See `Judge`."""
        self.objects = self.objects + other.objects
        self._kept += other._kept

    def scores(self) -> dict[str, float]:
        """See `Judge`: means over the classes that have an object; nan of none."""
        labels = np.flatnonzero(self.objects)
        curves = [self.curve(int(label)) for label in labels]
        ways = {VOC07.name: eleven_points, VOC12.name: area_under}
        return {
            name: float(np.mean([way(*curve) for curve in curves])) if curves else float("nan")
            for name, way in ways.items()
        }

    def curve(self, label: int) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """Recall and precision after each prediction of a class, the best first; of equal scores the earlier first."""
        self._kept = [np.concatenate(self._kept)]
        these = self._kept[0][self._kept[0]["label"] == label]
        found = np.cumsum(these["right"][np.argsort(-these["score"], kind="stable")])
        return found / self.objects[label], found / np.arange(1, len(found) + 1)


def eleven_points(recall: Float[np.ndarray, "n"], precision: Float[np.ndarray, "n"]) -> float:
    """The mean, over the recalls 0, 0.1, ..., 1, of the best precision at that recall or a higher one.

    >>> round(eleven_points(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])), 4)  # 6 x 1 and 5 x 2/3
    0.8485
    """
    best = [max(precision[recall >= place / 10 - 1e-12], default=0.0) for place in range(11)]
    return float(np.mean(best))


def area_under(recall: Float[np.ndarray, "n"], precision: Float[np.ndarray, "n"]) -> float:
    """The area under the best precision at each recall or a higher one.

    >>> round(area_under(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])), 4)  # 1/2 x 1 and 1/2 x 2/3
    0.8333
    """
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def _verdicts(batch: HostBatch, predicted: HostPrediction, difficult: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which predictions are right, and which wrong; those that are neither are of difficult objects or not valid."""
    right = np.zeros(predicted["valid"].shape, bool)
    wrong = np.zeros_like(right)
    overlaps = iou(predicted["boxes"].astype(np.float64), batch["boxes"].astype(np.float64))
    same = predicted["classes"][:, :, None] == batch["classes"][:, None, :]
    overlaps = np.where(same & batch["boxes_valid"][:, None, :], overlaps, -1.0)
    for image in range(len(right)):
        taken: set[int] = set()
        for place in np.flatnonzero(predicted["valid"][image]):
            best = int(overlaps[image, place].argmax())
            if overlaps[image, place, best] < MATCHED:
                wrong[image, place] = True
            elif not difficult[image, best]:
                right[image, place], wrong[image, place] = best not in taken, best in taken
                taken.add(best)
    return right, wrong
