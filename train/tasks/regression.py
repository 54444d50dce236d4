"""Regression of one number an example: squared error of the standardised value, mean absolute error as metric."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from train.tasks.protocol import Batch, Sums, mean_of


@dataclasses.dataclass(frozen=True)
class Regression:
    """One value an example: float32 `batch["target"]`, which the network sees standardised."""

    mean: float
    std: float
    unit: str = ""
    """What the value is measured in, such as degrees."""
    num_outputs: int = 1
    best: str = "mae"
    higher_is_better: bool = False

    @classmethod
    def of_targets(cls, targets: np.ndarray, unit: str = "") -> "Regression":
        """The task whose values are standardised by the training targets' mean and deviation."""
        mean, std = np.mean(targets, dtype=np.float64), np.std(targets, dtype=np.float64)
        return cls(float(mean), float(std) or 1.0, unit)

    def inputs(self, batch: Batch) -> tuple[Array]:
        """The images."""
        return (batch["image"],)

    def loss(self, outputs: Float[Array, "batch 1"], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean squared error in standard deviations of the target."""
        return jnp.mean(self._squared(outputs, batch)), {}

    def metrics(self, outputs: Float[Array, "batch 1"], batch: Batch) -> Sums:
        """Sums of the squared standardised error and of the absolute error in the target's units."""
        mask = batch["mask"]
        absolute = jnp.abs(self.predict(outputs) - batch["target"])
        return {
            "count": jnp.sum(mask, dtype=jnp.float32),
            "loss": jnp.sum(self._squared(outputs, batch), where=mask),
            "absolute": jnp.sum(absolute, where=mask),
        }

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, and mean absolute error in the target's units."""
        return {"loss": mean_of(sums, "loss"), "mae": mean_of(sums, "absolute")}

    def predict(self, outputs: Float[Array, "batch 1"]) -> Float[Array, "batch"]:
        """The values in the target's units."""
        return self.mean + self.std * outputs[:, 0].astype(jnp.float32)

    def _squared(self, outputs: Array, batch: Batch) -> Float[Array, "batch"]:
        standardised = (batch["target"] - self.mean) / self.std
        return jnp.square(outputs[:, 0].astype(jnp.float32) - standardised)
