"""Regression of one number an example: squared error, mean absolute error as metric. Lecture row L93, its baseline."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from train.tasks.protocol import Batch, OfImages, Prediction, Sums, mean_of


@dataclasses.dataclass(frozen=True)
class Regression(OfImages):
    """One value an example: float32 `batch["target"]`, which the network sees standardised."""

    mean: float
    std: float
    unit: str = ""
    """What the value is measured in, such as degrees."""
    num_outputs: int = 1
    """Of the network; where it is more than one, one more linear layer makes a number of them."""
    best: str = "mae"
    higher_is_better: bool = False

    @classmethod
    def of_targets(cls, targets: np.ndarray, unit: str = "", dims: int = 1, standardise: bool = True) -> "Regression":
        """The task whose values are standardised by the training targets' mean and deviation, or left as they are."""
        if not standardise:
            return cls(0.0, 1.0, unit, dims)
        mean, std = np.mean(targets, dtype=np.float64), np.std(targets, dtype=np.float64)
        return cls(float(mean), float(std) or 1.0, unit, dims)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, with a linear layer after it if it has more than one output."""
        return model if self.num_outputs == 1 else ThenLinear(model)

    def loss(self, outputs: Float[Array, "batch 1"], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean squared error in standard deviations of the target."""
        return jnp.mean(self._squared(outputs, batch)), {}

    def metrics(self, outputs: Float[Array, "batch 1"], batch: Batch) -> Sums:
        """Sums of the squared standardised error and of the absolute error in the target's units."""
        return distances(self._value(outputs), self._squared(outputs, batch), batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, and mean absolute error in the target's units."""
        return {"loss": mean_of(sums, "loss"), "mae": mean_of(sums, "absolute")}

    def predict(self, outputs: Float[Array, "batch 1"]) -> Prediction:
        """The values in the target's units."""
        return {"value": self._value(outputs)}

    def _value(self, outputs: Float[Array, "batch 1"]) -> Float[Array, "batch"]:
        return self.mean + self.std * outputs[:, 0].astype(jnp.float32)

    def _squared(self, outputs: Float[Array, "batch 1"], batch: Batch) -> Float[Array, "batch"]:
        standardised = (batch["target"] - self.mean) / self.std
        return jnp.square(outputs[:, 0].astype(jnp.float32) - standardised)


class ThenLinear(nn.Module):
    """A model, and one number of its outputs."""

    backbone: nn.Module

    @nn.compact
    def __call__(self, *inputs: Array, train: bool = False) -> Float[Array, "batch 1"]:
        """The number, float32 at least."""
        return nn.Dense(1, name="value")(self.backbone(*inputs, train=train))


def distances(value: Float[Array, "batch"], losses: Float[Array, "batch"], batch: Batch) -> Sums:
    """Sums of the losses, and of the absolute errors of the values."""
    mask = batch["mask"]
    return {
        "count": jnp.sum(mask, dtype=jnp.float32),
        "loss": jnp.sum(losses, where=mask),
        "absolute": jnp.sum(jnp.abs(value - batch["target"]), where=mask),
    }
