"""One label a set of points. Lecture row L79."""

import dataclasses
import math
from typing import ClassVar

from train.config.tasks.classification import Classification


@dataclasses.dataclass(frozen=True)
class PointClassification(Classification):
    """Softmax cross entropy of one label a set of points."""

    kind: ClassVar[str] = "point_classification"

    orthogonality: float = 0.001
    """Weight of how far the matrix that a network multiplies features with is from turning alone; of networks that
    give one."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {**super().ranges(), "orthogonality": 0 <= self.orthogonality < math.inf}
