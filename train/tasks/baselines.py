"""What hyperspherical prototypes are compared with: a fixed matrix, angular margins, moving prototypes. Lecture L89."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from train.tasks.classification import Classification
from train.tasks.protocol import Batch, OfImages, Prediction, Sums
from train.tasks.scores import mixed, ranked, summary
from train.tasks.sphere import Rows
from zoo.hyperspheres.class_means import leave_one_out_logits, prototypical_logits
from zoo.hyperspheres.heads import LearnedDirections, MovingPrototypes
from zoo.hyperspheres.margins import arcface, cosface, sphereface

SCALE = 16.0
"""Of the logits of angular margins: the papers' 64 is for tens of thousands of faces."""

TIMES = 2
"""How many times its angle the own class of SphereFace has. With the paper's 4 a network has to be led there by a
mixture with the plain cosine; without one it learns nothing."""

Outputs = Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class MaxSeparation(OfImages):
    """Softmax cross entropy after a fixed matrix, whose rows are the corners of a simplex.

    Kasarla et al., 2022, Maximum Class Separation as Inductive Bias in One Matrix.
    """

    class_names: tuple[str, ...]
    prototypes: Rows
    """The matrix, a row a class."""
    best: str = "accuracy"
    higher_is_better: bool = True

    @property
    def num_outputs(self) -> int:
        """The matrix's columns."""
        return len(self.prototypes[0])

    def loss(self, outputs: Float[Array, "batch dims"], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean cross entropy; mixed images share it between their two labels."""
        return self._softmax.loss(self._logits(outputs), batch)

    def metrics(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Sums:
        """Sums of the cross entropy, of right answers and of right answers among the best five."""
        return self._softmax.metrics(self._logits(outputs), batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
        return summary(sums)

    def predict(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The logits."""
        return self._softmax.predict(self._logits(outputs))

    @property
    def _softmax(self) -> Classification:
        return Classification(self.class_names)

    def _logits(self, outputs: Float[Array, "batch dims"]) -> Float[Array, "batch classes"]:
        matrix = jnp.asarray(self.prototypes, jnp.float32).T
        return jnp.matmul(outputs.astype(jnp.float32), matrix, precision=jax.lax.Precision.HIGHEST)


@dataclasses.dataclass(frozen=True)
class AngularMargin:
    """Softmax cross entropy of scaled cosines with learned directions, with a margin for the own class."""

    class_names: tuple[str, ...]
    margin: str
    """cosface, arcface or sphereface."""
    num_outputs: int
    """Dimensions of the embedding."""
    best: str = "accuracy"
    higher_is_better: bool = True

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with a direction a class."""
        return LearnedDirections(model, len(self.class_names))

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The images."""
        return (batch["image"],)

    def loss(self, outputs: Outputs, batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean cross entropy; mixed images share it between their two labels."""
        return jnp.mean(mixed(functools.partial(self._losses, outputs), batch)), {}

    def metrics(self, outputs: Outputs, batch: Batch) -> Sums:
        """Sums of the loss, of right answers and of right answers among the best five, these without margin."""
        return ranked(outputs["cosines"], self._losses(outputs, batch["label"]), batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
        return summary(sums)

    def predict(self, outputs: Outputs) -> Prediction:
        """The cosine with each direction."""
        return {"cosines": outputs["cosines"]}

    def _losses(self, outputs: Outputs, labels: Array) -> Float[Array, "batch"]:
        cosines = outputs["cosines"]
        if self.margin == "sphereface":
            logits = sphereface(cosines, labels, TIMES, jnp.linalg.norm(outputs["embedding"], axis=1))
        else:
            logits = {"cosface": cosface, "arcface": arcface}[self.margin](cosines, labels, scale=SCALE)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


@dataclasses.dataclass(frozen=True)
class ClassMeans:
    """Prototypical networks: each batch is an episode, in which the other examples of a class make its prototype.

    Afterwards an example belongs to the nearest of the classes' moving means.
    """

    class_names: tuple[str, ...]
    num_outputs: int
    """Dimensions of the embedding."""
    best: str = "accuracy"
    higher_is_better: bool = True

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with a moving mean a class."""
        return MovingPrototypes(model, len(self.class_names))

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The images, and their labels if they are known."""
        return (batch["image"], batch.get("label"))

    def loss(self, outputs: Outputs, batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean cross entropy of minus the squared distances, over the examples whose class has others."""
        logits, has_others = leave_one_out_logits(outputs["embedding"], batch["label"], len(self.class_names))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return jnp.sum(losses, where=has_others) / jnp.maximum(has_others.sum(), 1), {}

    def metrics(self, outputs: Outputs, batch: Batch) -> Sums:
        """Sums of the cross entropy and of right answers, by the moving means."""
        logits = self._logits(outputs)
        return ranked(logits, optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]), batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
        return summary(sums)

    def predict(self, outputs: Outputs) -> Prediction:
        """Minus the squared distance to each mean; a class that had no example yet is as good as no answer."""
        return {"logits": self._logits(outputs)}

    def _logits(self, outputs: Outputs) -> Float[Array, "batch classes"]:
        return prototypical_logits(outputs["embedding"], outputs["means"], present=outputs["present"])
