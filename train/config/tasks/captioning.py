"""A sentence about an image."""

import dataclasses
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Captioning(Task):
    """Cross entropy of each word, of a network such as `captioner_resnet50`; captions are found by beam search."""

    kind: ClassVar[str] = "captioning"

    beams: int = 3
    """Beginnings of a caption that its search keeps at every step; 1: greedy, the most probable word each time."""
    length_power: float = 0.0
    """Captions are ranked by log p / length ** length_power: 0 by their probability, 1 by the mean over their words."""
    words: int = 20
    """Words that a caption which is found has at most."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "beams": 1 <= self.beams <= 1000,
            "length_power": 0 <= self.length_power <= 10,
            "words": 1 <= self.words <= 1000,
        }
