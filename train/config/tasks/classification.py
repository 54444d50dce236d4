"""One label an example. Lecture row L17."""

import dataclasses
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """Softmax cross entropy of one label an example."""

    kind: ClassVar[str] = "classification"

    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes, in [0, 1)."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"label_smoothing": 0 <= self.label_smoothing < 1}
