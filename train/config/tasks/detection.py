"""Objects of classes in an image: their boxes, and where the model predicts them their masks and keypoints."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from train.config.errors import RecipeError
from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Detection(Task):
    """A box, a class and a score for each object; with masks or keypoints too, of a model that has heads for them."""

    kind: ClassVar[str] = "detection"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"detections": 10_000})

    masks: bool = False
    """Whether the objects' masks are learned, predicted and judged."""
    keypoints: bool = False
    """Whether the objects' keypoints are learned, predicted and judged."""
    detections: int = 100
    """Objects of an image that are predicted at most; the model may have a lower limit of its own."""
    least_score: float = 0.0
    """Objects of no higher score are not predicted; the model may have a higher limit of its own."""
    judge: Literal["coco", "voc", "voc07"] = "coco"
    """Whose average precision: COCO's, of overlaps from 0.5 to 0.95; or Pascal VOC's at 0.5, of boxes alone: the area
    under the curve (voc), or as in 2007 the mean of 11 recalls (voc07)."""
    flips: bool = False
    """Predict mirror images too, in twice the time: the best of both, without what is found twice."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"detections": self.detections >= 1, "least_score": 0 <= self.least_score < 1}

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          RecipeError: one is out of its range, or masks or keypoints are to be judged as VOC does.
        """
        super().__post_init__()
        if self.judge != "coco" and (self.masks or self.keypoints):
            raise RecipeError(f"task.judge: {self.judge} is of boxes alone: expected coco with masks or keypoints")
