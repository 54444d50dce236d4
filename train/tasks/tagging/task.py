"""Tagging: a class at every step of a sequence, such as every column of an image. Lecture row L71."""

import dataclasses
from typing import Any, ClassVar, Self

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.tagging import Tagging as Settings
from train.data.fields import Facts, Kind, Spec
from train.data.source import Source
from train.tasks.protocol import Batch, OneForward, Page, Prediction, Ratio, Totals, mean_of

TAGS = "tags"
"""The field that has a class for each step."""
ACCURACY = Metric("accuracy", "Accuracy of the steps", percent=True)
WHOLE = Metric("whole", "Sequences without an error", percent=True)

Logits = Float[Array, "batch time classes"]


@dataclasses.dataclass(frozen=True)
class Tagging(OneForward):
    """A class a step: int32 `batch["tags"]`, (batch, time).

    Steps that are `ignore` count nowhere, nor do sequences that have no others.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, WHOLE, LOSS)
    fields: ClassVar[tuple[str, ...]] = ("image", TAGS)

    class_names: tuple[str, ...]
    ignore: int = -1

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes.

        Raises:
          RecipeError: the examples have no tags, or these have no names.
        """
        facts = source.facts
        if TAGS not in source.spec or len(facts.classes) < 2:
            raise RecipeError(
                f"tagging needs examples with {TAGS} of two named classes or more; {source.name} has none"
            )
        return cls(facts.classes, facts.ignore)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: an image, and a class for each of its columns."""
        super().check(spec, facts)
        field, width = spec[TAGS], spec["image"].shape[1]
        if field.kind != Kind.COLUMNS or field.shape != (width,):
            raise RecipeError(
                f"expected {TAGS} with a class for each of {width} columns, found {field.kind} {field.shape}"
            )

    def model_options(self) -> dict[str, Any]:
        """A logit a class."""
        return {"num_classes": len(self.class_names)}

    def objective(self, outputs: Logits, batch: Batch) -> Ratio:
        """The mean cross entropy of the steps of real examples that have a class."""
        known = self._known(batch)
        return Ratio(jnp.sum(self._losses(outputs, batch), where=known), jnp.sum(known, dtype=jnp.float32))

    def totals(self, outputs: Logits, batch: Batch) -> Totals:
        """Sums over steps and over sequences."""
        known = self._known(batch)
        right = (jnp.argmax(outputs, axis=-1) == batch[TAGS]) & jnp.isfinite(outputs).all(axis=-1)
        counted = known.any(axis=-1)
        return {
            "count": jnp.sum(known, dtype=jnp.float32),
            "loss": jnp.sum(self._losses(outputs, batch), where=known),
            "correct": jnp.sum(right, where=known, dtype=jnp.float32),
            "sequences": jnp.sum(counted, dtype=jnp.float32),
            "whole": jnp.sum((right | ~known).all(axis=-1), where=counted, dtype=jnp.float32),
        }

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean loss and accuracy of the steps, and the share of the sequences that are right at every step."""
        whole = mean_of({"count": totals["sequences"], "whole": totals["whole"]}, "whole")
        return {"loss": mean_of(totals, "loss"), "accuracy": mean_of(totals, "correct"), "whole": whole}

    def decode(self, outputs: Logits) -> Prediction:
        """The class of each step."""
        return {TAGS: jnp.argmax(outputs, axis=-1).astype(jnp.int32)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.tagging.page import TagPage

        return TagPage(self.class_names, self.ignore)

    def _known(self, batch: Batch) -> Bool[Array, "batch time"]:
        return (batch[TAGS] != self.ignore) & batch["mask"][:, None]

    def _losses(self, outputs: Logits, batch: Batch) -> Float[Array, "batch time"]:
        labels = jnp.where(self._known(batch), batch[TAGS], 0)
        return optax.softmax_cross_entropy_with_integer_labels(outputs.astype(jnp.float32), labels)
