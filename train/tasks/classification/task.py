"""Classification: softmax cross entropy, accuracy and top-5 accuracy. Lecture row L17, erratum E5."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from train.config.tasks.classification import Classification as Settings
from train.data.source import Source
from train.tasks.fitting import class_names
from train.tasks.protocol import Batch, Page, Prediction, Ratio, Totals
from train.tasks.scores import OfLabels, mean_over, mixed, ranked

AUXILIARY_WEIGHT = 0.3
"""The weight of an auxiliary head's loss: Szegedy et al., 2015, Going Deeper with Convolutions, section 5."""

Outputs = Float[Array, "batch classes"] | Mapping[str, Float[Array, "batch classes"]]
"""Logits; or, of a network with auxiliary heads while it trains, "logits" and those of "aux1", "aux2", ..."""


@dataclasses.dataclass(frozen=True)
class Classification(OfLabels):
    """One label an example: int32 `batch["label"]`."""

    class_names: tuple[str, ...]
    label_smoothing: float = 0.0

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes."""
        return cls(class_names(settings, source, at_least=1), settings.label_smoothing)

    def model_options(self) -> dict[str, Any]:
        """A logit a class."""
        return {"num_classes": len(self.class_names)}

    def objective(self, outputs: Outputs, batch: Batch) -> Ratio:
        """Mean cross entropy; mixed images (`mixup`, `cutmix`) share it between their two labels.

        Szegedy et al., 2016, Rethinking the Inception Architecture, section 7, for label smoothing.
        """
        if isinstance(outputs, Mapping):
            heads = {name: self.objective(logits, batch) for name, logits in outputs.items()}
            weights = {name: 1.0 if name == "logits" else AUXILIARY_WEIGHT for name in heads}
            return Ratio(sum(weights[name] * head.total for name, head in heads.items()), heads["logits"].weight)
        return mean_over(mixed(lambda label: self._cross_entropy(outputs, label), batch), batch)

    def totals(self, outputs: Outputs, batch: Batch) -> Totals:
        """Sums of the plain cross entropy, of right answers and of right answers among the best five."""
        outputs = outputs["logits"] if isinstance(outputs, Mapping) else outputs
        outputs = outputs.astype(jnp.float32)
        return ranked(outputs, optax.softmax_cross_entropy_with_integer_labels(outputs, batch["label"]), batch)

    def decode(self, outputs: Float[Array, "batch classes"]) -> Prediction:
        """The logits, in float32."""
        return {"logits": outputs.astype(jnp.float32)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.classification.page import ClassPage

        return ClassPage(self.class_names)

    def _cross_entropy(
        self, outputs: Float[Array, "batch classes"], label: Int[Array, "batch"]
    ) -> Float[Array, "batch"]:
        outputs = outputs.astype(jnp.float32)
        plain = optax.softmax_cross_entropy_with_integer_labels(outputs, label)
        if not self.label_smoothing:
            return plain
        uniform = optax.softmax_cross_entropy(outputs, jnp.full_like(outputs, 1 / len(self.class_names)))
        return (1 - self.label_smoothing) * plain + self.label_smoothing * uniform
