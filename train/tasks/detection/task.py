"""Detection: a detector's own losses, its detections, judged by average precision.

Ren, He, Girshick and Sun, 2015, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks; He,
Gkioxari, Dollar and Girshick, 2017, Mask R-CNN. The model is any detector of `zoo.detection.contract`: it has
`losses`, which has terms, and predicts `Detections`. Lecture rows L55-L60, L67-L70.

Classes are numbered from 0 in the examples and predictions, as everywhere here; the model counts the background first.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key, PyTree

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.detection import Detection as Settings
from train.data.fields import ORIGINAL_SIZE, SIZE, Facts, Kind, Spec, describe
from train.data.proposed import NAME as PROPOSALS
from train.data.source import Source
from train.data.sources.objects import IGNORED
from train.tasks.detection import flips, voc_judge
from train.tasks.detection.judge import CocoJudge, metrics_of
from train.tasks.protocol import (
    Apply,
    Aux,
    Batch,
    HostBatch,
    HostPrediction,
    Judge,
    Keys,
    Page,
    Prediction,
    Ratio,
    Totals,
    need,
    need_classes,
)
from zoo.detection.contract import Detections, Term, Truth

SEEN = 6
"""Held-out examples whose boxes are followed over the run."""
FOLLOWED = 32
"""Boxes of each that are remembered at most, the best."""

KINDS = {
    "image": Kind.IMAGE,
    "boxes": Kind.BOXES,
    "classes": Kind.LABEL,
    "masks": Kind.MASKS,
    "keypoints": Kind.KEYPOINTS,
}
"""Of the fields that it reads."""
BESIDE = (SIZE, ORIGINAL_SIZE, "area", PROPOSALS, *IGNORED)
"""Fields that are read where the examples have them; the areas and the original size are for the judge."""
TERMS = {
    "rpn_object": "Loss: object or background",
    "rpn_box": "Loss: boxes of proposals",
    "class": "Loss: classes",
    "box": "Loss: boxes",
    "mask": "Loss: masks",
    "keypoint": "Loss: keypoints",
    "classification": "Loss: classes",
    "boxes": "Loss: boxes",
    "centerness": "Loss: centredness",
}
"""Titles of the terms of the loss that detectors of the zoo have; others go by their names."""


@dataclasses.dataclass(frozen=True)
class Detection:
    """Objects `batch["boxes"]` (left, top, right, bottom in pixels) of classes `batch["classes"]`, a varying number."""

    mixes: ClassVar[tuple[str, ...]] = ()
    whole_batch: ClassVar[bool] = False
    frames: ClassVar[tuple[str, ...]] = ("image",)
    writes: ClassVar[tuple[str, ...]] = ()
    seen: ClassVar[int] = SEEN

    class_names: tuple[str, ...]
    masks: bool = False
    keypoints: bool = False
    detections: int = 100
    least_score: float = 0.0
    judged_by: str = "coco"
    flips: bool = False
    mirror: tuple[tuple[int, int], ...] = ()
    """Keypoints that change places in a mirror image."""
    ids: tuple[int, ...] = ()
    """Of the classes in COCO's form of what is predicted; counted from 1 where the source has none."""
    beside: tuple[str, ...] = ()
    """Those of `BESIDE` that the examples have."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes."""
        beside = tuple(name for name in BESIDE if name in source.spec)
        values = dataclasses.asdict(settings)
        values |= {"judged_by": values.pop("judge"), "mirror": source.facts.mirror, "ids": source.facts.ids}
        return cls(source.facts.classes, beside=beside, **values)

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Self:
        """See `Task`: the same."""
        return self

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See `Task`: average precision first, then the loss, and its terms as far as the model has them.

        What the judge knows beside these, by size for example, is in metrics.jsonl and on the page, but has no curve.
        """
        precise = (each for each in self._judged if each.name.endswith(("ap", "ap50", "ap75")))
        terms = (Metric(name, title, higher_is_better=False) for name, title in TERMS.items())
        return (*precise, LOSS, *terms)

    @property
    def fields(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("image", "boxes", "classes", *self._asked, *self.beside)

    @property
    def places(self) -> Mapping[str, Kind]:
        """See `Task`: which predictions are in pixels of the image. Masks are shares of their boxes."""
        return {name: KINDS[name] for name in ("boxes", "keypoints") if name in ("boxes", *self._asked)}

    @property
    def _judged(self) -> tuple[Metric, ...]:
        """What the judge knows."""
        return metrics_of("boxes", *self._asked) if self.judged_by == "coco" else voc_judge.OF[self.judged_by]

    @property
    def _asked(self) -> tuple[str, ...]:
        """What is learned beside boxes."""
        return tuple(name for name, is_asked in {"masks": self.masks, "keypoints": self.keypoints}.items() if is_asked)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: an image, boxes, a class for each box; as many masks and keypoints, where they are asked for.

        Raises:
          RecipeError: there is something else.
          DataError: what judges detections is not installed.
        """
        need(spec, *self.fields)
        need_classes(facts, self.class_names)
        kinds = {name: kind for name, kind in KINDS.items() if name in self.fields}
        if wrong := [f"{name} of kind {spec[name].kind}" for name, kind in kinds.items() if spec[name].kind != kind]:
            raise RecipeError(f"expected {', '.join(kinds.values())}, found {', '.join(wrong)}")
        objects = {spec[name].most for name in kinds if name != "image"}
        if len(objects) > 1 or not spec["boxes"].most or len(spec["classes"].shape) != 1:
            raise RecipeError(f"expected one class a box, up to a number, found {describe(spec)}")
        if not facts.classes:
            raise RecipeError("expected examples of named classes, found none")
        self.judge()  # before hours of training

    def model_options(self) -> dict[str, Any]:
        """The classes, and the background before them."""
        return {"num_classes": 1 + len(self.class_names)}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is, which has to be a detector.

        Raises:
          RecipeError: it is none, or the examples lack proposals for it.
        """
        kind = type(model).__name__
        if not hasattr(model, "losses"):
            raise RecipeError(f"expected a detector, such as fasterrcnn_resnet50_fpn, got {kind}")
        takes, has = PROPOSALS in inspect.signature(type(model).__call__).parameters, PROPOSALS in self.beside
        if takes and not has:
            raise RecipeError(f"{kind} is given proposals: expected data.proposals of at least 1, got 0")
        if has and not takes:
            raise RecipeError(f"{kind} makes proposals of its own, or none: expected data.proposals of 0")
        return model

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The images, proposals for a model that is given them, and how large images are if the examples say so."""
        proposals = (batch[PROPOSALS],) if PROPOSALS in self.beside else ()
        return (batch["image"], *proposals, batch.get(SIZE))

    def loss(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> tuple[Ratio, Aux]:
        """See `Task`: the model's terms, each over the weight that it has on all devices."""
        terms, state = self._terms(apply, params, batch, keys.task)
        totals, weights = (jnp.stack([getattr(terms[name], part) for name in terms]) for part in Term._fields)
        return Ratio(totals, weights), Aux({name: tuple(term) for name, term in terms.items()}, state)

    def evaluate(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Totals:
        """The same terms of the model as it is used, image by image.

        What an image's loss draws, such as which proposals it is of, depends on the image's row alone, so that
        evaluations can be compared.
        """

        def of_one(example: Batch) -> dict[str, tuple[Array, Array]]:
            alone = jax.tree.map(lambda value: value[None], example)
            terms, _ = self._terms(apply, params, alone, jax.random.fold_in(keys.task, example["index"]))
            return {name: tuple(term) for name, term in terms.items()}

        each = jax.vmap(of_one)(dict(batch))
        return jax.tree.map(lambda sums: jnp.sum(sums, where=batch["mask"]), each)

    def scores(self, totals: Totals) -> dict[str, float]:
        """Each term's mean, and their sum; the judge knows the rest."""
        sums = Ratio(*np.array([*totals.values()], np.float64).T)
        return {**{name: Ratio(*term).mean() for name, term in totals.items()}, "loss": sums.mean()}

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """At most `detections` objects an image, the best first; "valid" says which are, and what is not is zero.

        "boxes" (left, top, right, bottom) and "keypoints" (x, y, score) are in pixels; "masks" are probabilities of
        the pixels of a box that is divided into as many rows and columns.
        """
        found = jax.tree.map(lambda value: value[:, : self.detections], self._found(apply, params, batch))
        valid = found.valid & (found.scores > self.least_score)
        said = {"boxes": found.boxes, "scores": found.scores, "classes": found.labels - 1}
        said |= {name: getattr(found, name) for name in self._asked}
        if "keypoints" in said:  # the third number as a probability: one of zero says that a point is not there
            x, y, logit = jnp.moveaxis(said["keypoints"], -1, 0)
            said["keypoints"] = jnp.stack([x, y, jax.nn.sigmoid(logit)], axis=-1)
        return {**{name: jnp.where(_along(valid, value), value, 0) for name, value in said.items()}, "valid": valid}

    def judge(self) -> Judge:
        """Average precision, as the recipe says."""
        if self.judged_by != "coco":
            return voc_judge.VocJudge(len(self.class_names))
        return CocoJudge(len(self.class_names), ("boxes", *self._asked))

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.detection.page import DetectionPage

        return DetectionPage(self.class_names, {each.name: each.title for each in self._judged}, self.ids)

    def remember(self, batch: HostBatch, predicted: HostPrediction) -> Mapping[str, np.ndarray]:
        """The best boxes."""
        return {name: predicted[name][:, :FOLLOWED] for name in ("boxes", "scores", "classes", "valid")}

    def _terms(
        self, apply: Apply, params: PyTree[Array], batch: Batch, key: Key[Array, ""]
    ) -> tuple[dict[str, Term], dict[str, PyTree[Array]]]:
        """The model's losses, and its other collections afterwards."""
        *images, sizes = self.inputs(batch)
        return apply(params, *images, self._truth(batch), key, sizes, method="losses")

    def _found(self, apply: Apply, params: PyTree[Array], batch: Batch) -> Detections:
        """What the model predicts, and of mirror images too where the recipe says so."""

        def found_in(*inputs: Any) -> Detections:
            return self._checked(apply(params, *inputs)[0])

        inputs = self.inputs(batch)
        return flips.both_ways(found_in, inputs, self.mirror) if self.flips else found_in(*inputs)

    def _truth(self, batch: Batch) -> Truth:
        valid = batch["boxes_valid"] & batch["mask"][:, None]
        for name in set(self.beside) & set(IGNORED):
            valid &= ~batch[name].astype(bool)
        more = {name: batch[name] for name in self._asked}
        return Truth(batch["boxes"], jnp.where(valid, batch["classes"] + 1, 0), valid, **more)

    def _checked(self, found: Any) -> Detections:
        """What the model predicts.

        Raises:
          RecipeError: it predicts no detections, or not all that the task is about.
        """
        if not isinstance(found, Detections):
            raise RecipeError(f"expected a model that predicts detections, got {type(found).__name__}")
        if lacking := [name for name in self._asked if getattr(found, name) is None]:
            raise RecipeError(f"task.{lacking[0]}: the model predicts none")
        return found


def _along(valid: Bool[Array, "batch most"], value: Array) -> Bool[Array, "batch most ..."]:
    return valid.reshape(*valid.shape, *[1] * (value.ndim - 2))
