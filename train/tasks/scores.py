"""What every classifier is measured by, whatever its scores are: right answers, and those among the best five."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from train.tasks.protocol import Batch, Sums, mean_of

FEW_CLASSES = 10
"""Of so many classes the best five are no news."""


def ranked(scores: Float[Array, "batch classes"], losses: Float[Array, "batch"], batch: Batch) -> Sums:
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


def summary(sums: dict[str, float]) -> dict[str, float]:
    """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
    found = {"loss": mean_of(sums, "loss"), "accuracy": mean_of(sums, "correct")}
    if "correct5" in sums:
        found["top5"] = mean_of(sums, "correct5")
    return found


def mixed(loss_of: Callable[[Int[Array, "batch"]], Float[Array, "batch"]], batch: Batch) -> Float[Array, "batch"]:
    """The loss of each example; mixed images (`mixup`, `cutmix`) share it between their two labels."""
    losses = loss_of(batch["label"])
    if "mix" not in batch:
        return losses
    return batch["mix"] * losses + (1 - batch["mix"]) * loss_of(batch["label_b"])  # mix: the share of the first image
