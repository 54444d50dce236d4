"""Segmentation: a class for every pixel, by cross entropy or another loss; mean intersection over union.

Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation. Lecture rows L61, L65.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.segmentation import Segmentation as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source
from train.tasks.protocol import Apply, Batch, Keys, OneForward, Page, Prediction, Ratio, Totals, mean_of
from train.tasks.segmentation.balance import median_frequencies
from zoo.catalog import entry_of
from zoo.dense import (
    FCN,
    accuracy,
    class_accuracies,
    confusion,
    intersection_over_union,
    losses,
    multi_scale,
    tiled,
    trimap,
)

MEAN_IOU = Metric("mean_iou", "Mean IoU", percent=True)
PIXEL_ACCURACY = Metric("pixel_accuracy", "Pixel accuracy", percent=True)
MEAN_ACCURACY = Metric("mean_accuracy", "Mean accuracy of the classes", percent=True)
TRIMAP_IOU = Metric("trimap_iou", "Mean IoU near edges", percent=True)

LABELS = "labels.png"
"""The suffix of the file that holds the numbers of the classes, beside the picture."""

LOSSES = {
    "cross_entropy": losses.cross_entropy,
    "hard_cross_entropy": losses.hard_cross_entropy,
    "focal": losses.focal,
    "dice": losses.dice,
    "squared": losses.squared_error,
}
"""What is minimised, by its name in the settings."""

Logits = Float[Array, "batch height width classes"]
Outputs = Logits | Mapping[str, Logits]
"""Logits; or, of a network with auxiliary heads while it trains, "logits" and those of "aux1", ..."""


@dataclasses.dataclass(frozen=True)
class Segmentation(OneForward):
    """A class a pixel: int32 `batch["label_map"]`. Pixels labelled `ignore` count nowhere."""

    fields: ClassVar[tuple[str, ...]] = ("image", "label_map")
    places: ClassVar[Mapping[str, Kind]] = {"label_map": Kind.LABEL_MAP}
    """Which predictions are one a pixel of the image, for `train.use.predict`."""
    writes: ClassVar[tuple[str, ...]] = (LABELS,)

    class_names: tuple[str, ...]
    background: int | None
    """The label of pixels that belong to no class of `class_names`, or to one that is named so; None: there is none."""
    ignore: int
    maps: tuple[str, ...] = ()
    loss_name: str = "cross_entropy"
    class_weights: tuple[float, ...] = ()
    """What a pixel of each label weighs; none: one."""
    auxiliary: float = 0.5
    scales: tuple[float, ...] = ()
    flips: bool = False
    window: int = 0
    overlap: int = 0
    trimap: int = 0
    """How far from another true class "near edges" reaches, in pixels; 0: that is not measured."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes, which labels mean background and nothing, and what classes weigh.

        Raises:
          RecipeError: weights of another number of classes; or classes are to be balanced and no pixel has one.
        """
        facts = source.facts
        values = dataclasses.asdict(settings)
        balanced, values["loss_name"] = values.pop("balanced"), values.pop("loss")
        task = cls(facts.classes, facts.background, facts.ignore, **values)
        if settings.class_weights and len(settings.class_weights) != len(task.names):
            count, given = len(task.names), len(settings.class_weights)
            raise RecipeError(f"task.class_weights: expected one for each of {count} classes, got {given}")
        if not balanced:
            return task
        weights = median_frequencies(source, len(task.names), facts.ignore)
        return dataclasses.replace(task, class_weights=weights)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See `Task`."""
        return (MEAN_IOU, PIXEL_ACCURACY, MEAN_ACCURACY, *((TRIMAP_IOU,) if self.trimap else ()), LOSS)

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
        """A network for segmentation as it is, with an output a label; any other under a fully convolutional head.

        Raises:
          RecipeError: maps are named, and the network has no such head.
        """
        if not _predicts_pixels(model):
            return FCN(model, len(self.names), self.maps)
        if self.maps:
            kind = type(model).__name__
            raise RecipeError(f"task.maps: {kind} predicts pixels itself: expected none, got {', '.join(self.maps)}")
        return model.clone(num_classes=len(self.names))

    def objective(self, outputs: Outputs, batch: Batch) -> Ratio:
        """The mean loss of all pixels that count; auxiliary heads add theirs, times their weight."""
        if isinstance(outputs, Mapping):
            heads = {name: self.objective(logits, batch) for name, logits in outputs.items()}
            weights = {name: 1.0 if name == "logits" else self.auxiliary for name in heads}
            return Ratio(sum(weights[name] * head.total for name, head in heads.items()), heads["logits"].weight)
        more = {"class_weights": jnp.array(self.class_weights)} if self.class_weights else {}
        return Ratio(*LOSSES[self.loss_name](self._whole(outputs, batch), *self._true(batch), **more))

    def totals(self, outputs: Outputs, batch: Batch) -> Totals:
        """The confusion matrix, and the sum of the plain cross entropy, of all pixels that count.

        With a trimap, the confusion matrix of those near edges too.
        """
        logits = self._whole(outputs["logits"] if isinstance(outputs, Mapping) else outputs, batch)
        labels, counted = self._true(batch)
        total, count = losses.cross_entropy(logits, labels, counted)
        guess, classes = jnp.argmax(logits, axis=-1), len(self.names)
        sums = {"count": count, "loss": total, "confusion": confusion(labels, guess, counted, classes)}
        if self.trimap:
            sums["near"] = confusion(labels, guess, counted & trimap(labels, self.trimap), classes)
        return sums

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean cross entropy, pixel accuracy, and the means over the classes of accuracy and of IoU."""
        counts = np.asarray(totals["confusion"])
        found = {
            "loss": mean_of(totals, "loss"),
            "pixel_accuracy": accuracy(counts),
            "mean_accuracy": mean_of_known(class_accuracies(counts)),
            "mean_iou": mean_of_known(intersection_over_union(counts)),
        }
        if self.trimap:
            found["trimap_iou"] = mean_of_known(intersection_over_union(np.asarray(totals["near"])))
        return found

    def evaluate(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Totals:
        """See `Task`: in windows, sizes and mirrored, as the settings say."""
        return self.totals(self._logits(apply, params, batch), batch)

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """See `Task`: the same."""
        return self.decode(self._logits(apply, params, batch))

    def decode(self, outputs: Logits) -> Prediction:
        """The likeliest class of each pixel."""
        return {"label_map": jnp.argmax(outputs, axis=-1).astype(jnp.int32)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.segmentation.page import LabelMapPage

        return LabelMapPage(self.names, self.background, self.ignore)

    def _logits(self, apply: Apply, params: PyTree[Array], batch: Batch) -> Logits:
        """What the network says, put together from windows and sizes."""

        def whole(images: Float[Array, "batch height width channels"]) -> Logits:
            return apply(params, images)[0]

        def in_windows(images: Float[Array, "batch height width channels"]) -> Logits:
            return tiled(whole, images, self.window, self.overlap) if self.window else whole(images)

        (images,) = self.inputs(batch)
        if not self.scales and not self.flips:
            return in_windows(images)
        return multi_scale(in_windows, images, self.scales or (1.0,), self.flips)

    def _true(self, batch: Batch) -> tuple[Int[Array, "batch height width"], Bool[Array, "batch height width"]]:
        """The labels, and which pixels count."""
        labels = batch["label_map"]
        return labels, (labels != self.ignore) & batch["mask"][:, None, None]

    def _whole(self, logits: Logits, batch: Batch) -> Logits:
        """Logits of every pixel of the label map.

        Raises:
          RecipeError: there are fewer, as of a U-Net with valid convolutions.
        """
        expected = batch["label_map"].shape[1:3]
        if logits.shape[1:3] != expected:
            raise RecipeError(f"expected a model with logits of all {expected} pixels, got {logits.shape[1:3]}")
        return logits


def _predicts_pixels(model: nn.Module) -> bool:
    """Whether it is a network for segmentation, by the catalog."""
    try:
        return entry_of(model).task == "segmentation"
    except ValueError:  # a module of the user's own
        return False


def mean_of_known(values: Float[np.ndarray, "classes"]) -> float:
    """The mean of the values that are not nan; nan of none.

    >>> mean_of_known(np.array([0.5, np.nan, 1.0]))
    0.75
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
