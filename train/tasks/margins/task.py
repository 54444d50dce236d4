"""Angular margins: what hyperspherical prototypes are compared with. Lecture row L89.

Wang et al., 2018, CosFace; Deng et al., 2019, ArcFace; Liu et al., 2017, SphereFace.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Self

import flax.linen as nn
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from train.config.tasks.angles import Embedding
from train.data.source import Source
from train.tasks.fitting import class_names
from train.tasks.protocol import Batch, Page, Prediction, Ratio, Totals
from train.tasks.scores import OfLabels, mean_over, mixed, ranked
from zoo.hyperspheres.heads import LearnedDirections
from zoo.hyperspheres.margins import arcface, cosface, sphereface

SCALE = 16.0
"""Of the logits of angular margins: the papers' 64 is for tens of thousands of faces."""

TIMES = 2
"""How many times its angle the own class of SphereFace has. With the paper's 4 a network has to be led there by a
mixture with the plain cosine; without one it learns nothing."""

Outputs = Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class AngularMargin(OfLabels):
    """Softmax cross entropy of scaled cosines with learned directions, with a margin for the own class."""

    class_names: tuple[str, ...]
    margin: str
    """cosface, arcface or sphereface."""
    dims: int
    """Of the embedding."""

    @classmethod
    def fit(cls, settings: Embedding, source: Source) -> Self:
        """See `Task`: the names of the classes."""
        names = class_names(settings, source)
        return cls(names, settings.kind, settings.dims or len(names))

    def model_options(self) -> dict[str, Any]:
        """The dimensions of the embedding."""
        return {"num_classes": self.dims}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with a direction a class."""
        return LearnedDirections(model, len(self.class_names))

    def objective(self, outputs: Outputs, batch: Batch) -> Ratio:
        """Mean cross entropy; mixed images share it between their two labels."""
        return mean_over(mixed(functools.partial(self._losses, outputs), batch), batch)

    def totals(self, outputs: Outputs, batch: Batch) -> Totals:
        """Sums of the loss, of right answers and of right answers among the best five, these without margin."""
        return ranked(outputs["cosines"], self._losses(outputs, batch["label"]), batch)

    def decode(self, outputs: Outputs) -> Prediction:
        """The cosine with each direction."""
        return {"cosines": outputs["cosines"]}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.classification.page import ClassPage

        return ClassPage(self.class_names, "cosines")

    def _losses(self, outputs: Outputs, labels: Array) -> Float[Array, "batch"]:
        cosines = outputs["cosines"]
        if self.margin == "sphereface":
            logits = sphereface(cosines, labels, TIMES, jnp.linalg.norm(outputs["embedding"], axis=1))
        else:
            logits = {"cosface": cosface, "arcface": arcface}[self.margin](cosines, labels, scale=SCALE)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
