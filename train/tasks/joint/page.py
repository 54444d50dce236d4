"""How a label and a value are shown: the sections of both, the label's headline."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from train.report import Results, Run, together
from train.report.picture import example_picture
from train.tasks.classification.page import ClassPage
from train.tasks.protocol import HostBatch, HostPrediction
from train.tasks.regression.page import ValuePage


class JointPage:
    """The page of a task with a label and a number an example.

    Args:
      class_names: one a class.
      unit: of the number.
      scores: what the prediction ranks the classes by.
    """

    def __init__(
        self, class_names: Sequence[str], unit: str = "", scores: Literal["logits", "cosines"] = "logits"
    ) -> None:
        self.labels, self.values = ClassPage(class_names, scores), ValuePage(unit)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        self.labels.add(batch, predicted)
        self.values.add(batch, predicted)

    def merge(self, other: "JointPage") -> None:
        """See `Page`."""
        self.labels.merge(other.labels)
        self.values.merge(other.values)

    def results(self, run: Run) -> Results:
        """See `Page`."""
        return together(self.labels.results(run), self.values.results(run))

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: the classes with their scores, and the value."""
        return {**self.labels.record(predicted), **self.values.record(predicted)}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the leading classes, and the value."""
        return f"{self.labels.words(predicted)}; {self.values.words(predicted)}"

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image over the value, and the leading classes as bars."""
        return example_picture(example["image"], self.labels.bars(predicted), self.values.words(predicted))
