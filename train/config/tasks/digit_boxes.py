"""Where the digits of a scene are, and which."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class DigitBoxes(Task):
    """A box, a class and a score for each digit, by a grid whose cells speak of one digit each."""

    kind: ClassVar[str] = "digit_boxes"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"most_boxes": 10_000})

    most_boxes: int = 8
    """Boxes of an image that are predicted at most."""
    stride: int = 8
    """Pixels a side of a cell of the grid."""
    overlap: float = 0.5
    """Of two boxes whose intersection is a larger share of their union, the better one stays."""
    least_score: float = 0.05
    """Boxes of no higher score are not predicted."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "most_boxes": self.most_boxes >= 1,
            "stride": self.stride >= 1,
            "overlap": 0 < self.overlap <= 1,
            "least_score": 0 <= self.least_score < 1,
        }
