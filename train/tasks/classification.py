"""Classification: softmax cross entropy, accuracy and top-5 accuracy. Lecture row L17, erratum E5."""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from train.tasks.protocol import Batch, OfImages, Prediction, Sums
from train.tasks.scores import mixed, ranked, summary

AUXILIARY_WEIGHT = 0.3
"""The weight of an auxiliary head's loss: Szegedy et al., 2015, Going Deeper with Convolutions, section 5."""

Outputs = Float[Array, "batch classes"] | Mapping[str, Float[Array, "batch classes"]]
"""Logits; or, of a network with auxiliary heads while it trains, "logits" and those of "aux1", "aux2", ..."""


@dataclasses.dataclass(frozen=True)
class Classification(OfImages):
    """One label an example: int32 `batch["label"]`."""

    class_names: tuple[str, ...]
    label_smoothing: float = 0.0
    best: str = "accuracy"
    higher_is_better: bool = True

    @property
    def num_outputs(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def loss(self, outputs: Outputs, batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean cross entropy; mixed images (`mixup`, `cutmix`) share it between their two labels.

        Szegedy et al., 2016, Rethinking the Inception Architecture, section 7, for label smoothing.
        """
        if isinstance(outputs, Mapping):
            heads = [(1.0 if name == "logits" else AUXILIARY_WEIGHT, logits) for name, logits in outputs.items()]
            return sum(weight * self.loss(logits, batch)[0] for weight, logits in heads), {}
        return jnp.mean(mixed(lambda label: self._cross_entropy(outputs, label), batch)), {}

    def metrics(self, outputs: Outputs, batch: Batch) -> Sums:
        """Sums of the plain cross entropy, of right answers and of right answers among the best five."""
        outputs = outputs["logits"] if isinstance(outputs, Mapping) else outputs
        outputs = outputs.astype(jnp.float32)
        return ranked(outputs, optax.softmax_cross_entropy_with_integer_labels(outputs, batch["label"]), batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
        return summary(sums)

    def predict(self, outputs: Float[Array, "batch classes"]) -> Prediction:
        """The logits, in float32."""
        return {"logits": outputs.astype(jnp.float32)}

    def _cross_entropy(
        self, outputs: Float[Array, "batch classes"], label: Int[Array, "batch"]
    ) -> Float[Array, "batch"]:
        outputs = outputs.astype(jnp.float32)
        plain = optax.softmax_cross_entropy_with_integer_labels(outputs, label)
        if not self.label_smoothing:
            return plain
        uniform = optax.softmax_cross_entropy(outputs, jnp.full_like(outputs, 1 / self.num_outputs))
        return (1 - self.label_smoothing) * plain + self.label_smoothing * uniform
