"""Evaluation on the held-out split: exact sums over every example, each counted once."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PyTree

from train import data
from train.assemble import Assembly
from train.data.pipeline import MEMORY_LIMIT
from train.data.source import Arrays
from train.report import Predictions
from train.state import TrainState

POINTS = 500
"""Held-out examples whose places on the sphere are kept."""

_REPORTED = {
    "logits": ("label", "classification"),
    "cosines": ("label", "nearest"),
    "value": ("target", "regression"),
}
"""Of what a task predicts: what it is compared with, and how the report shows it."""


class Evaluator:
    """Runs a model over the held-out split."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._evaluate = assembly.make_evaluate()
        self._decoded: list[Arrays] | None = None
        self.embedding: Float[np.ndarray, "points dims"] | None = None
        """Where the last evaluation found the first held-out examples on the sphere, of a task that has one."""

    def summary(self, state: TrainState, stop: Callable[[], bool] = lambda: False) -> dict[str, float] | None:
        """The metrics of the variables and, as ema_..., of their moving average; None if `stop` said so."""
        state = self._assembly.placement.to_portable(state)
        return self.of_variables(state.variables(), state.ema, stop)

    def of_variables(
        self, variables: PyTree[Array], ema: PyTree[Array] | None = None, stop: Callable[[], bool] = lambda: False
    ) -> dict[str, float] | None:
        """The task's metrics on the held-out split, and those of a moving average of the variables.

        Args:
          variables: what the model applies.
          ema: their moving average, if there is one.
          stop: asked before each batch; when true, the evaluation is given up.
        """
        summary = {}
        for prefix, these in (("", variables), ("ema_", ema)):
            if these is None:
                continue
            sums = self._sums(these, stop, keep=not prefix)
            if sums is None:
                return None
            summary |= {prefix + name: value for name, value in self._assembly.task.summarise(sums).items()}
        return summary

    def predictions(self, state: TrainState) -> list[Predictions]:
        """Every held-out example with what is predicted of it, a class, a value or both, for the report.

        Images are thinned until all fit in memory.
        """
        variables = self._assembly.placement.to_portable(state).variables()
        parts: dict[str, list[np.ndarray]] = {}
        thinning, test = self._thinning, self._assembly.test
        for batch in self._batches():
            _, predicted = self._evaluate(variables, self._assembly.placement.shard_global(batch))
            mask = batch["mask"]
            found = {name: batch[name][mask] for name in ("label", "target") if name in batch}
            found["image"] = batch["image"][mask, ::thinning, ::thinning]
            found |= {name: np.asarray(predicted[name])[mask] for name in _REPORTED if name in predicted}
            for name, array in found.items():
                parts.setdefault(name, []).append(array)
        joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
        return [
            Predictions(joined["image"], joined[truth], joined[name], test.class_names, kind, test.target_unit)
            for name, (truth, kind) in _REPORTED.items()
            if name in joined
        ]

    def _sums(self, variables: PyTree[Array], stop: Callable[[], bool], keep: bool) -> dict[str, float] | None:
        """The sums over the split, added in double precision on the host, one batch late; `keep` the embedding too."""
        total: dict[str, float] = {}

        def add(sums: dict[str, Array]) -> None:
            for name, value in jax.device_get(sums).items():
                total[name] = total.get(name, 0.0) + float(value)

        running = None
        points: list[np.ndarray] = []
        for batch in self._batches():
            if stop():
                return None
            sums, predicted = self._evaluate(variables, self._assembly.placement.shard_global(batch))
            if keep and "embedding" in predicted and sum(map(len, points)) < POINTS:
                points.append(np.asarray(predicted["embedding"])[batch["mask"]])
            if running is not None:
                add(running)
            running = sums
        add(running)
        if keep:
            self.embedding = np.concatenate(points)[:POINTS] if points else None
        return total

    def _batches(self) -> Iterable[Arrays]:
        test, recipe = self._assembly.test, self._assembly.recipe
        if self._decoded is not None:
            return self._decoded
        if self._thinning > 1:  # too much to keep
            return data.evaluation_batches(test, self._assembly.eval_batch_size, recipe.data.workers)
        self._decoded = list(data.evaluation_batches(test, self._assembly.eval_batch_size))
        return self._decoded

    @property
    def _thinning(self) -> int:
        """Every how manieth row and column of the images makes them few enough to be kept: 1 for small sets."""
        bytes_ = len(self._assembly.test) * math.prod(self._assembly.test.image_shape)
        return math.ceil(math.sqrt(bytes_ / MEMORY_LIMIT)) if bytes_ else 1


def first_kernel(params: PyTree[Any]) -> np.ndarray | None:
    """The kernel of the first convolution that sees the image, (height, width, channels, filters), if any."""
    kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 4]
    images = [kernel for kernel in kernels if kernel.shape[2] in (1, 3) and kernel.shape[0] > 1]
    return np.asarray(images[0]) if images else None
