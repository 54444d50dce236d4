"""Regression of one number an example: squared error, mean absolute error as metric. Lecture row L93, its baseline."""

import dataclasses
from typing import Any, Self

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from train.config.tasks.regression import Regression as Settings
from train.data.source import Source
from train.tasks.fitting import targets
from train.tasks.protocol import Batch, Page, Prediction, Ratio, Totals
from train.tasks.scores import OfValues, distances, mean_over


@dataclasses.dataclass(frozen=True)
class Regression(OfValues):
    """One value an example: float32 `batch["target"]`, which the network sees standardised."""

    mean: float
    std: float
    unit: str = ""
    """What the value is measured in, such as degrees."""
    dims: int = 1
    """Outputs of the network; where it is more than one, one more linear layer makes a number of them."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: mean and deviation of the values."""
        return cls.of_targets(targets(settings, source), source.facts.unit, settings.dims or 1, settings.standardise)

    @classmethod
    def of_targets(cls, targets: np.ndarray, unit: str = "", dims: int = 1, standardise: bool = True) -> Self:
        """The task whose values are standardised by the training targets' mean and deviation, or left as they are."""
        if not standardise:
            return cls(0.0, 1.0, unit, dims)
        mean, std = np.mean(targets, dtype=np.float64), np.std(targets, dtype=np.float64)
        return cls(float(mean), float(std) or 1.0, unit, dims)

    def model_options(self) -> dict[str, Any]:
        """The network's outputs."""
        return {"num_classes": self.dims}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, with a linear layer after it if it has more than one output."""
        return model if self.dims == 1 else ThenLinear(model)

    def objective(self, outputs: Float[Array, "batch 1"], batch: Batch) -> Ratio:
        """Mean squared error in standard deviations of the target."""
        return mean_over(self._squared(outputs, batch), batch)

    def totals(self, outputs: Float[Array, "batch 1"], batch: Batch) -> Totals:
        """Sums of the squared standardised error and of the absolute error in the target's units."""
        return distances(self._value(outputs), self._squared(outputs, batch), batch)

    def decode(self, outputs: Float[Array, "batch 1"]) -> Prediction:
        """The values in the target's units."""
        return {"value": self._value(outputs)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.regression.page import ValuePage

        return ValuePage(self.unit)

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
