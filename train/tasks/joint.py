"""A label and a value at once without a sphere: the multi-task baseline of lecture row L95."""

import dataclasses

from jaxtyping import Array, Float

from train.tasks.classification import Classification
from train.tasks.protocol import Batch, OfImages, Prediction, Sums, mean_of
from train.tasks.regression import Regression
from train.tasks.scores import summary


@dataclasses.dataclass(frozen=True)
class Joint(OfImages):
    """Logits of the classes, and one output more for the value: cross entropy and squared error, with equal weights."""

    class_names: tuple[str, ...]
    mean: float
    std: float
    unit: str = ""
    best: str = "accuracy"
    higher_is_better: bool = True

    @property
    def num_outputs(self) -> int:
        """One more than classes."""
        return len(self.class_names) + 1

    def loss(self, outputs: Float[Array, "batch outputs"], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """The mean of both tasks' losses."""
        labels, values = self._parts
        return (labels.loss(outputs[:, :-1], batch)[0] + values.loss(outputs[:, -1:], batch)[0]) / 2, {}

    def metrics(self, outputs: Float[Array, "batch outputs"], batch: Batch) -> Sums:
        """The sums of both tasks; that of the loss is of their mean."""
        labels, values = self._parts
        of_labels, of_values = labels.metrics(outputs[:, :-1], batch), values.metrics(outputs[:, -1:], batch)
        return {**of_labels, **of_values, "loss": (of_labels["loss"] + of_values["loss"]) / 2}

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, accuracy, and mean absolute error in the target's units."""
        return {**summary(sums), "mae": mean_of(sums, "absolute")}

    def predict(self, outputs: Float[Array, "batch outputs"]) -> Prediction:
        """The logits, and the values in the target's units."""
        labels, values = self._parts
        return {**labels.predict(outputs[:, :-1]), **values.predict(outputs[:, -1:])}

    @property
    def _parts(self) -> tuple[Classification, Regression]:
        return Classification(self.class_names), Regression(self.mean, self.std, self.unit)
