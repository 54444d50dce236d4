"""What the engine asks of a task. Outputs and batches may be any dictionaries, so every kind of task fits."""

import math
from typing import Any, Protocol

import flax.linen as nn
from jaxtyping import Array, Float, PyTree

Batch = dict[str, Array]
Sums = dict[str, Float[Array, ""]]
Prediction = dict[str, Float[Array, "batch ..."]]
"""What a person reads, by name: "logits" or "cosines" (batch, classes), the largest of which is the predicted class;
"value" (batch,), a number in the target's units; "embedding" (batch, dims), where on the sphere an example lies."""


class Task(Protocol):
    """A task as pure functions of a model's outputs and a batch.

    Metrics are sums over examples, with "count" among them, so that they add up across batches, devices
    and hosts; a mean of means would be wrong when the last batch is partial.
    """

    num_outputs: int
    """How many numbers the model's head gives; the model's `num_classes`."""
    best: str
    """The summary by which checkpoints are ranked."""
    higher_is_better: bool
    """Whether more of `best` is better."""

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with the layers that the task itself has on top; often the model as it is."""

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The model's positional arguments."""

    def loss(self, outputs: PyTree[Array], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """The scalar to minimise, and further sums to log (often none).

        The scalar is a mean over the batch's examples: under `pmap` each device has it of its equal share, and
        the mean of those must be that of the whole batch.
        """

    def metrics(self, outputs: PyTree[Array], batch: Batch) -> Sums:
        """Sums over the batch's real examples (its "mask"), with "count" and "loss" among them."""

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """The metrics a person reads, from sums over any number of batches."""

    def predict(self, outputs: PyTree[Array]) -> Prediction:
        """The outputs in the units a person reads."""


class OfImages:
    """What most tasks have in common: the model sees the images alone, and has its own head."""

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is."""
        return model

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The images."""
        return (batch["image"],)


def mean_of(sums: dict[str, float], name: str) -> float:
    """A sum over the number of examples; of no examples (every update was skipped, say) it is nan.

    >>> mean_of({"count": 4.0, "loss": 2.0}, "loss")
    0.5
    """
    return sums[name] / sums["count"] if sums["count"] else math.nan
