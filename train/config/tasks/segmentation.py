"""A class for every pixel."""

import dataclasses
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Segmentation(Task):
    """Softmax cross entropy of each pixel, by a fully convolutional head on the model's maps."""

    kind: ClassVar[str] = "segmentation"

    maps: tuple[str, ...] = ()
    """Names of the model's maps that are scored, such as stage3; none: the last of each size."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"maps": len(set(self.maps)) == len(self.maps) and all(self.maps)}
