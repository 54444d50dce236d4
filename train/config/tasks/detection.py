"""Objects of classes in an image: their boxes, and where the model predicts them their masks and keypoints."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

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

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"detections": self.detections >= 1, "least_score": 0 <= self.least_score < 1}
