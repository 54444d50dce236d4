"""Where the digits of a scene are: a detector with one box a cell, decoded with suppression, judged by AP at IoU 0.5.

Redmon, Divvala, Girshick and Farhadi, 2016, You Only Look Once: Unified, Real-Time Object Detection.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.digit_boxes import DigitBoxes as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source
from train.tasks.digit_boxes.judge import AP50, AveragePrecision
from train.tasks.protocol import Batch, HostBatch, HostPrediction, Judge, OneForward, Page, Prediction, Ratio, Totals
from zoo.detection import Cells, GridDetector, decode, encode, iou, losses, nms, scores

CELL_IOU = Metric("cell_iou", "IoU of the box in a digit's cell", percent=True)
CELL_ACCURACY = Metric("cell_accuracy", "Accuracy in a digit's cell", percent=True)

SEEN = 6
"""Held-out examples whose boxes are followed over the run."""


@dataclasses.dataclass(frozen=True)
class DigitBoxes(OneForward):
    """Boxes `batch["boxes"]` (left, top, right, bottom in pixels) of classes `batch["classes"]`, a varying number."""

    metrics: ClassVar[tuple[Metric, ...]] = (AP50, CELL_IOU, CELL_ACCURACY, LOSS)
    fields: ClassVar[tuple[str, ...]] = ("image", "boxes", "classes")
    seen: ClassVar[int] = SEEN
    places: ClassVar[Mapping[str, Kind]] = {"boxes": Kind.BOXES}
    """Which predictions are in pixels of the image, for `train.use.predict`."""

    class_names: tuple[str, ...]
    most_boxes: int = 8
    stride: int = 8
    overlap: float = 0.5
    least_score: float = 0.05

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes."""
        return cls(source.facts.classes, **dataclasses.asdict(settings))

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: an image, boxes, and a class for each box."""
        super().check(spec, facts)
        kinds = {"image": Kind.IMAGE, "boxes": Kind.BOXES, "classes": Kind.LABEL}
        if wrong := [f"{name} of kind {spec[name].kind}" for name, kind in kinds.items() if spec[name].kind != kind]:
            raise RecipeError(f"expected an image, boxes and labels, found {', '.join(wrong)}")
        boxes, classes = spec["boxes"], spec["classes"]
        if not boxes.most or boxes.most != classes.most or len(classes.shape) != 1:
            raise RecipeError(f"expected one class a box, up to a number, found {describe(spec)}")
        if not facts.classes:
            raise RecipeError("expected examples of named classes, found none")

    def model_options(self) -> dict[str, Any]:
        """A network without a head of its own."""
        return {"num_classes": 0}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model under a head whose cells speak of one digit each."""
        return GridDetector(model, len(self.class_names), self.stride)

    def objective(self, outputs: Cells, batch: Batch) -> Ratio:
        """The sum over the cells, for each digit; an image without digits counts as one."""
        right = self._right(outputs, batch)
        total = jnp.sum(losses(outputs, right), where=batch["mask"])
        return Ratio(total, jnp.sum(self._weight(right), where=batch["mask"]))

    def totals(self, outputs: Cells, batch: Batch) -> Totals:
        """Sums of the loss; of overlaps with the true boxes and right classes, over the cells that have a digit."""
        right = self._right(outputs, batch)
        real = right.object & batch["mask"][:, None, None]
        guess, true = decode(outputs.box, self.stride), decode(right.box, self.stride)
        overlaps = iou(guess[..., None, :], true[..., None, :])[..., 0, 0]
        is_right = jnp.argmax(outputs.label, axis=-1) == right.label
        return {
            "loss": jnp.sum(losses(outputs, right), where=batch["mask"]),
            "weight": jnp.sum(self._weight(right), where=batch["mask"]),
            "cells": jnp.sum(real, dtype=jnp.float32),
            "iou": jnp.sum(overlaps, where=real),
            "right": jnp.sum(is_right, where=real, dtype=jnp.float32),
        }

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean loss; overlap and share of right classes in the cells that have a digit. The judge knows the AP."""
        means = {"loss": ("loss", "weight"), "cell_iou": ("iou", "cells"), "cell_accuracy": ("right", "cells")}
        return {
            name: float(totals[total] / totals[of]) if totals[of] else float("nan")
            for name, (total, of) in means.items()
        }

    def decode(self, outputs: Cells) -> Prediction:
        """At most `most_boxes` boxes an image in pixels, the best first, with score and class; "valid" says which are.

        What is not valid is zero.
        """
        score, label = scores(outputs)
        boxes = decode(outputs.box, self.stride)
        size = len(score)
        return jax.vmap(self._suppressed)(boxes.reshape(size, -1, 4), score.reshape(size, -1), label.reshape(size, -1))

    def judge(self) -> Judge:
        """Average precision."""
        return AveragePrecision(len(self.class_names))

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.digit_boxes.page import BoxPage

        return BoxPage(self.class_names)

    def remember(self, batch: HostBatch, predicted: HostPrediction) -> Mapping[str, np.ndarray]:
        """All that is predicted."""
        return dict(predicted)

    def _suppressed(
        self, boxes: Float[Array, "cells 4"], score: Float[Array, "cells"], label: Int[Array, "cells"]
    ) -> Prediction:
        """Digits of two classes do not stand in one place: boxes suppress each other whatever their class."""
        kept, valid = nms(boxes, score, self.overlap, self.most_boxes, score > self.least_score)
        found = {"boxes": boxes[kept], "scores": score[kept], "classes": label[kept]}
        return {
            **{name: jnp.where(_along(valid, value), value, 0) for name, value in found.items()},
            "valid": valid,
        }

    def _right(self, outputs: Cells, batch: Batch) -> Cells:
        grid = outputs.object.shape[1:3]
        arguments = batch["boxes"], batch["classes"], batch["boxes_valid"]
        return jax.vmap(lambda boxes, labels, real: encode(boxes, labels, real, grid, self.stride))(*arguments)

    def _weight(self, right: Cells) -> Float[Array, "batch"]:
        return jnp.maximum(jnp.sum(right.object, axis=(1, 2), dtype=jnp.float32), 1)


def _along(valid: Bool[Array, "most"], value: Array) -> Bool[Array, "most ..."]:
    return valid.reshape(-1, *[1] * (value.ndim - 1))
