"""A sentence about an image."""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Captioning(Task):
    """Cross entropy of each word, of a network such as `captioner_resnet50`; captions are found by beam search."""

    kind: ClassVar[str] = "captioning"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"beams": 1000, "words": 1000})

    beams: int = 3
    """Beginnings of a caption that its search keeps at every step; 1: greedy, the most probable word each time."""
    length_power: float = 0.0
    """Captions are ranked by log p / length ** length_power: 0 by their probability, 1 by the mean over their words."""
    words: int = 20
    """Words that a caption which is found has at most; one that goes on is cut off."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "beams": self.beams >= 1,
            "length_power": 0 <= self.length_power < math.inf,
            "words": self.words >= 1,
        }
