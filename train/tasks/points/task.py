"""Classification of sets of points: as of images, whose points are given instead. Lecture row L79.

Qi et al., 2017, PointNet, section 4.2 and equation 2.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax.numpy as jnp
from jaxtyping import Array

from train.config import RecipeError
from train.config.tasks.points import PointClassification as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source
from train.tasks.classification.task import Classification, Outputs
from train.tasks.fitting import class_names
from train.tasks.protocol import Batch, Ratio, Totals
from train.tasks.scores import mean_over
from zoo.geometric import orthogonality

POINTS, TRANSFORM = "points", "transform"
"""The field that is learned from, and the matrix beside the logits."""


@dataclasses.dataclass(frozen=True)
class PointClassification(Classification):
    """One label a set of points: int32 `batch["label"]` and `batch["points"]`, (batch, points, 3), on an image.

    The model is given x and y, from -1 to 1 over the image's longer side, and which points are there.
    """

    fields: ClassVar[tuple[str, ...]] = ("image", POINTS, "label")
    frames: ClassVar[tuple[str, ...]] = (POINTS,)
    mixes: ClassVar[tuple[str, ...]] = ()

    orthogonality: float = 0.0

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes."""
        return cls(class_names(settings, source, at_least=1), settings.label_smoothing, settings.orthogonality)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: a set of points an example.

        Raises:
          RecipeError: the points are of another kind.
        """
        super().check(spec, facts)
        kind, shape = spec[POINTS].kind, spec[POINTS].shape
        if kind != Kind.KEYPOINTS or len(shape) != 2 or spec[POINTS].most:
            raise RecipeError(f"expected {POINTS} as keypoints (points, 3), found {describe(spec)}")

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """Coordinates, and which points are in the image."""
        height, width = batch["image"].shape[1:3]
        points, centre = batch[POINTS], jnp.array([width, height], jnp.float32) / 2
        return (points[..., :2] - centre) / centre.max(), points[..., 2] > 0

    def objective(self, outputs: Outputs, batch: Batch) -> Ratio:
        """Mean cross entropy; of a network that gives a `transform`, with its weighted distance from turning alone."""
        if not isinstance(outputs, Mapping):
            return super().objective(outputs, batch)
        loss = super().objective(outputs["logits"], batch)
        return loss._replace(total=loss.total + self.orthogonality * _distance(outputs, batch))

    def totals(self, outputs: Outputs, batch: Batch) -> Totals:
        """See `Classification`."""
        return super().totals(outputs["logits"] if isinstance(outputs, Mapping) else outputs, batch)


def _distance(outputs: Mapping[str, Array], batch: Batch) -> Array:
    return mean_over(orthogonality(outputs[TRANSFORM]), batch).total
