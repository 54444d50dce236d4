"""A label and a value at once without a sphere: the multi-task baseline of lecture row L95."""

import dataclasses
from typing import Any, Self

from jaxtyping import Array, Float

from train.config.tasks.regression import Joint as Settings
from train.data.source import Source
from train.tasks.classification.task import Classification
from train.tasks.fitting import class_names, targets
from train.tasks.protocol import Batch, Page, Prediction, Ratio, Totals
from train.tasks.regression.task import Regression
from train.tasks.scores import OfBoth


@dataclasses.dataclass(frozen=True)
class Joint(OfBoth):
    """Logits of the classes, and one output more for the value: cross entropy and squared error, with equal weights."""

    class_names: tuple[str, ...]
    mean: float
    std: float
    unit: str = ""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes, mean and deviation of the values."""
        names = class_names(settings, source)
        values = Regression.of_targets(targets(settings, source), standardise=settings.standardise)
        return cls(names, values.mean, values.std, source.facts.unit)

    def model_options(self) -> dict[str, Any]:
        """One output more than classes."""
        return {"num_classes": len(self.class_names) + 1}

    def objective(self, outputs: Float[Array, "batch outputs"], batch: Batch) -> Ratio:
        """The mean of both tasks' losses."""
        labels, values = self._parts
        of_labels, of_values = labels.objective(outputs[:, :-1], batch), values.objective(outputs[:, -1:], batch)
        return Ratio((of_labels.total + of_values.total) / 2, of_labels.weight)

    def totals(self, outputs: Float[Array, "batch outputs"], batch: Batch) -> Totals:
        """The sums of both tasks; that of the loss is of their mean."""
        labels, values = self._parts
        of_labels, of_values = labels.totals(outputs[:, :-1], batch), values.totals(outputs[:, -1:], batch)
        return {**of_labels, **of_values, "loss": (of_labels["loss"] + of_values["loss"]) / 2}

    def decode(self, outputs: Float[Array, "batch outputs"]) -> Prediction:
        """The logits, and the values in the target's units."""
        labels, values = self._parts
        return {**labels.decode(outputs[:, :-1]), **values.decode(outputs[:, -1:])}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.joint.page import JointPage

        return JointPage(self.class_names, self.unit)

    @property
    def _parts(self) -> tuple[Classification, Regression]:
        return Classification(self.class_names), Regression(self.mean, self.std, self.unit)
