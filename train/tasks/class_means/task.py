"""Prototypical networks: prototypes that move, which hyperspherical ones are compared with. Lecture row L89.

Snell, Swersky and Zemel, 2017, Prototypical Networks for Few-shot Learning.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from train.config.tasks.angles import ClassMeans as Settings
from train.data.source import Source
from train.tasks.fitting import class_names
from train.tasks.protocol import Batch, Page, Prediction, Ratio, Totals
from train.tasks.scores import OfLabels, ranked
from zoo.hyperspheres.class_means import leave_one_out_logits, prototypical_logits
from zoo.hyperspheres.heads import MovingPrototypes

Outputs = Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class ClassMeans(OfLabels):
    """Prototypical networks: each batch is an episode, in which the other examples of a class make its prototype.

    Afterwards an example belongs to the nearest of the classes' moving means.
    """

    mixes: ClassVar[tuple[str, ...]] = ()
    whole_batch: ClassVar[bool] = True

    class_names: tuple[str, ...]
    dims: int
    """Of the embedding."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes."""
        names = class_names(settings, source)
        return cls(names, settings.dims or len(names))

    def model_options(self) -> dict[str, Any]:
        """The dimensions of the embedding."""
        return {"num_classes": self.dims}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with a moving mean a class."""
        return MovingPrototypes(model, len(self.class_names))

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The images, and their labels if they are known."""
        return (batch["image"], self._labels(batch) if "label" in batch else None)

    def objective(self, outputs: Outputs, batch: Batch) -> Ratio:
        """Mean cross entropy of minus the squared distances, over the examples whose class has others."""
        logits, has_others = leave_one_out_logits(outputs["embedding"], self._labels(batch), len(self.class_names))
        counts = has_others & batch["mask"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return Ratio(jnp.sum(losses, where=counts), jnp.sum(counts, dtype=jnp.float32))

    def totals(self, outputs: Outputs, batch: Batch) -> Totals:
        """Sums of the cross entropy and of right answers, by the moving means."""
        logits = self._logits(outputs)
        return ranked(logits, optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]), batch)

    def decode(self, outputs: Outputs) -> Prediction:
        """Minus the squared distance to each mean; a class that had no example yet is as good as no answer."""
        return {"logits": self._logits(outputs)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.classification.page import ClassPage

        return ClassPage(self.class_names)

    def _labels(self, batch: Batch) -> Int[Array, "batch"]:
        """The labels; what fills the batch up has one that is no class, and so moves no mean."""
        return jnp.where(batch["mask"], batch["label"], len(self.class_names))

    def _logits(self, outputs: Outputs) -> Float[Array, "batch classes"]:
        return prototypical_logits(outputs["embedding"], outputs["means"], present=outputs["present"])
