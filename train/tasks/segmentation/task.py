"""Segmentation: softmax cross entropy of every pixel, mean intersection over union.

Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.segmentation import Segmentation as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source
from train.tasks.protocol import Batch, OneForward, Page, Prediction, Ratio, Totals, mean_of
from zoo.dense import FCN, accuracy, confusion, intersection_over_union

MEAN_IOU = Metric("mean_iou", "Mean IoU", percent=True)
PIXEL_ACCURACY = Metric("pixel_accuracy", "Pixel accuracy", percent=True)

Logits = Float[Array, "batch height width classes"]


@dataclasses.dataclass(frozen=True)
class Segmentation(OneForward):
    """A class a pixel: int32 `batch["label_map"]`. Pixels labelled `ignore` count nowhere."""

    metrics: ClassVar[tuple[Metric, ...]] = (MEAN_IOU, PIXEL_ACCURACY, LOSS)
    fields: ClassVar[tuple[str, ...]] = ("image", "label_map")
    places: ClassVar[Mapping[str, Kind]] = {"label_map": Kind.LABEL_MAP}
    """Which predictions are one a pixel of the image, for `train.use.predict`."""

    class_names: tuple[str, ...]
    background: int | None
    """The label of pixels that belong to no class of `class_names`, or to one that is named so; None: there is none."""
    ignore: int
    maps: tuple[str, ...] = ()

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes, and which labels mean background and nothing."""
        facts = source.facts
        return cls(facts.classes, facts.background, facts.ignore, settings.maps)

    @property
    def names(self) -> tuple[str, ...]:
        """Of every label, the background's among them."""
        named = self.background is None or self.background < len(self.class_names)
        return self.class_names if named else (*self.class_names, "background")

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: an image and its label map, of classes that are known."""
        super().check(spec, facts)
        image, labels = spec["image"], spec["label_map"]
        if image.kind != Kind.IMAGE or labels.kind != Kind.LABEL_MAP:
            raise RecipeError(f"expected an image and its label map, found {image.kind} and {labels.kind}")
        if image.shape[:2] != labels.shape:
            raise RecipeError(f"expected a label map of the image's size, found {describe(spec)}")
        if not facts.classes or (facts.background or 0) > len(facts.classes):
            found = f"{len(facts.classes)} names and background {facts.background}"
            raise RecipeError(f"expected classes, and a background among them or next after them, found {found}")
        if (facts.background, facts.ignore) != (self.background, self.ignore):
            expected, found = (self.background, self.ignore), (facts.background, facts.ignore)
            raise RecipeError(f"expected {expected} as labels of background and of nothing, found {found}")

    def model_options(self) -> dict[str, Any]:
        """A network without a head of its own."""
        return {"num_classes": 0}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model under a fully convolutional head."""
        return FCN(model, len(self.names), self.maps)

    def objective(self, outputs: Logits, batch: Batch) -> Ratio:
        """Mean cross entropy of all pixels that count."""
        counted = self._counted(batch)
        return Ratio(jnp.sum(self._losses(outputs, batch), where=counted), jnp.sum(counted, dtype=jnp.float32))

    def totals(self, outputs: Logits, batch: Batch) -> Totals:
        """The confusion matrix, and the sum of the losses, of all pixels that count."""
        counted, guess = self._counted(batch), jnp.argmax(outputs, axis=-1)
        return {
            "count": jnp.sum(counted, dtype=jnp.float32),
            "loss": jnp.sum(self._losses(outputs, batch), where=counted),
            "confusion": confusion(batch["label_map"], guess, counted, len(self.names)),
        }

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean loss, pixel accuracy, and the mean over the classes of intersection over union."""
        counts = np.asarray(totals["confusion"])
        return {
            "loss": mean_of(totals, "loss"),
            "pixel_accuracy": accuracy(counts),
            "mean_iou": mean_of_known(intersection_over_union(counts)),
        }

    def decode(self, outputs: Logits) -> Prediction:
        """The likeliest class of each pixel."""
        return {"label_map": jnp.argmax(outputs, axis=-1).astype(jnp.int32)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.segmentation.page import LabelMapPage

        return LabelMapPage(self.names, self.background, self.ignore)

    def _counted(self, batch: Batch) -> Bool[Array, "batch height width"]:
        return (batch["label_map"] != self.ignore) & batch["mask"][:, None, None]

    def _losses(self, outputs: Logits, batch: Batch) -> Float[Array, "batch height width"]:
        # What is ignored may be no class; its loss is left out of every sum.
        labels = jnp.where(batch["label_map"] == self.ignore, 0, batch["label_map"])
        return optax.softmax_cross_entropy_with_integer_labels(outputs.astype(jnp.float32), labels)


def mean_of_known(values: Float[np.ndarray, "classes"]) -> float:
    """The mean of the values that are not nan; nan of none.

    >>> mean_of_known(np.array([0.5, np.nan, 1.0]))
    0.75
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
