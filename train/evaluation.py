"""Evaluation on the held-out split: exact sums over every example, each counted once."""

from collections.abc import Iterable

import jax
import numpy as np
from jaxtyping import Array, PyTree

from train import data
from train.assemble import Assembly
from train.data.pipeline import MEMORY_LIMIT
from train.data.source import Arrays
from train.report import Predictions
from train.state import TrainState


class Evaluator:
    """Runs a model over the held-out split."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._evaluate = assembly.make_evaluate()
        self._decoded: list[Arrays] | None = None

    def summary(self, state: TrainState) -> dict[str, float]:
        """The metrics of the parameters and, as ema_..., of their moving average."""
        state = self._assembly.placement.to_portable(state)
        summary = self.of_variables(state.variables())
        if state.ema is not None:
            averaged = self.of_variables(state.ema)
            summary |= {f"ema_{name}": value for name, value in averaged.items()}
        return summary

    def of_variables(self, variables: PyTree[Array]) -> dict[str, float]:
        """The task's metrics on the held-out split."""
        total = None
        for batch in self._each_batch():
            sums, _ = self._evaluate(variables, self._assembly.placement.shard_global(batch))
            total = sums if total is None else jax.tree.map(jax.numpy.add, total, sums)
        return self._assembly.task.summarise({k: float(v) for k, v in jax.device_get(total).items()})

    def predictions(self, state: TrainState) -> Predictions:
        """Every held-out example with its prediction, for the report."""
        variables = self._assembly.placement.to_portable(state).variables()
        parts: dict[str, list[np.ndarray]] = {"image": [], "truth": [], "output": []}
        truth = "label" if self._assembly.recipe.task.name == "classification" else "target"
        for batch in self._each_batch():
            _, outputs = self._evaluate(variables, self._assembly.placement.shard_global(batch))
            mask = batch["mask"]
            parts["image"].append(batch["image"][mask])
            parts["truth"].append(batch[truth][mask])
            parts["output"].append(np.asarray(outputs)[mask])
        joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
        return Predictions(
            images=joined["image"],
            targets=joined["truth"],
            outputs=joined["output"],
            class_names=self._assembly.test.class_names,
            kind=self._assembly.recipe.task.name,
        )

    def _each_batch(self) -> Iterable[Arrays]:
        test = self._assembly.test
        if self._decoded is not None:
            return self._decoded
        batches = data.evaluation_batches(test, self._assembly.recipe.data.eval_batch_size)
        if len(test) * np.prod(test.image_shape) > MEMORY_LIMIT:
            return batches
        self._decoded = list(batches)
        return self._decoded
