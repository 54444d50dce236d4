"""A fixed matrix before the softmax: what hyperspherical prototypes are compared with. Lecture row L89.

Kasarla et al., 2022, Maximum Class Separation as Inductive Bias in One Matrix.
"""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from train.config.tasks.angles import MaxSeparation as Settings
from train.data.source import Source
from train.tasks.classification.task import Classification
from train.tasks.fitting import Rows, as_rows, class_names
from train.tasks.protocol import Batch, Page, Prediction, Ratio, Totals
from train.tasks.scores import OfLabels
from zoo.hyperspheres import simplex


@dataclasses.dataclass(frozen=True)
class MaxSeparation(OfLabels):
    """Softmax cross entropy after a fixed matrix, whose rows are the corners of a simplex."""

    class_names: tuple[str, ...]
    prototypes: Rows
    """The matrix, a row a class."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes, and their simplex."""
        names = class_names(settings, source)
        return cls(names, as_rows(simplex(len(names), len(names) - 1)))

    def model_options(self) -> dict[str, Any]:
        """The matrix's columns."""
        return {"num_classes": len(self.prototypes[0])}

    def objective(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Ratio:
        """Mean cross entropy; mixed images share it between their two labels."""
        return self._softmax.objective(self._logits(outputs), batch)

    def totals(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Totals:
        """Sums of the cross entropy, of right answers and of right answers among the best five."""
        return self._softmax.totals(self._logits(outputs), batch)

    def decode(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The logits."""
        return self._softmax.decode(self._logits(outputs))

    def page(self) -> Page:
        """See `Task`."""
        return self._softmax.page()

    @property
    def _softmax(self) -> Classification:
        return Classification(self.class_names)

    def _logits(self, outputs: Float[Array, "batch dims"]) -> Float[Array, "batch classes"]:
        matrix = jnp.asarray(self.prototypes, jnp.float32).T
        return jnp.matmul(outputs.astype(jnp.float32), matrix, precision=jax.lax.Precision.HIGHEST)
