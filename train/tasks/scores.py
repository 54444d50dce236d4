"""What tasks are measured by: right answers, those among the best five, and distances. And what such tasks share."""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from train.config import LOSS, Metric, RecipeError
from train.data.fields import Facts, Kind, Spec
from train.tasks.fitting import one_an_example
from train.tasks.protocol import Batch, OneForward, Ratio, Totals, mean_of

FEW_CLASSES = 10
"""Of so many classes the best five are no news."""

ACCURACY = Metric("accuracy", "Accuracy", percent=True)
TOP5 = Metric("top5", "Top-5 accuracy", percent=True)


class OfLabels(OneForward):
    """One label an example: classes are ranked by scores. A subclass has `class_names` among its own fields."""

    fields: ClassVar[tuple[str, ...]] = ("image", "label")
    mixes: ClassVar[tuple[str, ...]] = ("label",)
    class_names: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy first."""
        return of_labels(self.class_names)

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
        return summary(totals)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`."""
        super().check(spec, facts)
        one_an_example(spec, "label", Kind.LABEL)


class OfValues(OneForward):
    """One number an example. A subclass has its `unit` among its own fields."""

    fields: ClassVar[tuple[str, ...]] = ("image", "target")
    unit: str

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The mean absolute error first."""
        return mean_error(self.unit), LOSS

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean loss, and mean absolute error in the target's units."""
        return {"loss": mean_of(totals, "loss"), "mae": mean_of(totals, "absolute")}

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`."""
        super().check(spec, facts)
        same_unit(self.unit, spec, facts)


class OfBoth(OneForward):
    """A label and a number an example. A subclass has `class_names` and `unit` among its own fields."""

    fields: ClassVar[tuple[str, ...]] = ("image", "label", "target")
    class_names: tuple[str, ...]
    unit: str

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy first."""
        return *of_labels(self.class_names), mean_error(self.unit)

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean loss, accuracy, and mean absolute error in the target's units."""
        return {**summary(totals), "mae": mean_of(totals, "absolute")}

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`."""
        super().check(spec, facts)
        one_an_example(spec, "label", Kind.LABEL)
        same_unit(self.unit, spec, facts)


def mean_over(losses: Float[Array, "batch"], batch: Batch) -> Ratio:
    """The mean of the losses of the batch's real examples."""
    mask = batch["mask"]
    return Ratio(jnp.sum(losses, where=mask), jnp.sum(mask, dtype=jnp.float32))


def mixed(loss_of: Callable[[Int[Array, "batch"]], Float[Array, "batch"]], batch: Batch) -> Float[Array, "batch"]:
    """The loss of each example; mixed images (`mixup`, `cutmix`) share it between their two labels."""
    losses = loss_of(batch["label"])
    if "mix" not in batch:
        return losses
    return batch["mix"] * losses + (1 - batch["mix"]) * loss_of(batch["label_b"])  # mix: the share of the first image


def ranked(scores: Float[Array, "batch classes"], losses: Float[Array, "batch"], batch: Batch) -> Totals:
    """Sums of the losses, of right answers and of right answers among the best five.

    Of equal scores the first ranks first, as in argmax. A score that is not a number is no right answer.
    """
    mask, label = batch["mask"], batch["label"]
    own = jnp.take_along_axis(scores, label[:, None], axis=-1)
    from_own_on = jnp.arange(scores.shape[-1]) >= label[:, None]
    not_above = (scores < own) | ((scores == own) & from_own_on)
    rank = jnp.sum(~not_above, axis=-1)
    sums = {
        "count": jnp.sum(mask, dtype=jnp.float32),
        "loss": jnp.sum(losses, where=mask),
        "correct": jnp.sum(rank == 0, where=mask, dtype=jnp.float32),
    }
    if scores.shape[-1] > FEW_CLASSES:
        sums["correct5"] = jnp.sum(rank < 5, where=mask, dtype=jnp.float32)
    return sums


def distances(value: Float[Array, "batch"], losses: Float[Array, "batch"], batch: Batch) -> Totals:
    """Sums of the losses, and of the absolute errors of the values."""
    mask = batch["mask"]
    return {
        "count": jnp.sum(mask, dtype=jnp.float32),
        "loss": jnp.sum(losses, where=mask),
        "absolute": jnp.sum(jnp.abs(value - batch["target"]), where=mask),
    }


def summary(totals: Totals) -> dict[str, float]:
    """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
    found = {"loss": mean_of(totals, "loss"), "accuracy": mean_of(totals, "correct")}
    if "correct5" in totals:
        found["top5"] = mean_of(totals, "correct5")
    return found


def of_labels(class_names: tuple[str, ...]) -> tuple[Metric, ...]:
    """What `summary` gives, the accuracy first."""
    return (ACCURACY, TOP5, LOSS) if len(class_names) > FEW_CLASSES else (ACCURACY, LOSS)


def mean_error(unit: str) -> Metric:
    """The mean absolute error, in a unit."""
    return Metric("mae", "Mean absolute error", unit, higher_is_better=False)


def same_unit(unit: str, spec: Spec, facts: Facts) -> None:
    """Refuses examples whose target is not one number in this unit.

    Raises:
      RecipeError: says what was expected.
    """
    one_an_example(spec, "target", Kind.VALUE)
    if facts.unit != unit:
        raise RecipeError(f"expected targets in {unit or 'no unit'}, got {facts.unit or 'no unit'}")
