"""Evaluation on the held-out split: exact sums over every example, each counted once, and predictions as they come.

Totals are summed at every evaluation. Predictions are made only for a judge, a page, or the few examples that a task
follows over a run; they stream through, so that memory does not grow with the split. The examples of a small split
stay on the devices from the first evaluation on, see `train.engine.held_out`.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree

from train import data
from train.data.pipeline import is_small
from train.data.source import Arrays
from train.engine import hosts
from train.engine.assemble import Assembly
from train.engine.held_out import HeldOut
from train.engine.state import TrainState
from train.tasks.protocol import Judge, Page, Totals

Stop = Callable[[], bool]


def never() -> bool:
    """Of an evaluation that is not given up."""
    return False


class Evaluator:
    """Runs a model over the held-out split.

    Args:
      assembly: of the run.
      scores: makes numbers of totals; by default the task does.
    """

    def __init__(self, assembly: Assembly, scores: Callable[[Totals], dict[str, Any]] | None = None) -> None:
        self._assembly, self._scores = assembly, scores or assembly.task.scores
        self._evaluate = assembly.placement.evaluate(assembly.evaluate())

    def summary(self, state: TrainState, stop: Stop = never) -> dict[str, float] | None:
        """The metrics of the variables and, as ema_..., of their moving average; None if `stop` said so."""
        state = self._assembly.placement.to_portable(state)
        return self.of_variables(state.variables(), state.ema, stop)

    def of_variables(
        self, variables: PyTree[Array], ema: PyTree[Array] | None = None, stop: Stop = never
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
            totals, judge = self._totals(these, stop)
            if totals is None:
                return None
            scores = self._scores(totals)
            if judge is not None:
                scores |= hosts.merged(judge).scores()
            summary |= {prefix + name: value for name, value in scores.items()}
        return summary

    def page(self, state: TrainState) -> Page:
        """The task's page, after it saw every held-out example with what is predicted of it."""
        page = self._assembly.task.page()
        variables = self._assembly.placement.to_portable(state).variables()
        for batch, predicted in self._predictions(variables, self._batches):
            page.add(batch, predicted)
        return hosts.merged(page)

    def followed(self) -> Arrays:
        """The first held-out examples, as many as the task follows over the run; of most tasks none."""
        count = min(self._assembly.task.seen, len(self._test))
        return self._test.read(range(count)) if count else {}

    def seen(self, state: TrainState) -> dict[str, np.ndarray]:
        """What the task remembers of those examples now."""
        task = self._assembly.task
        if not task.seen:
            return {}
        variables = self._assembly.placement.to_portable(state).variables()
        parts = [task.remember(*pair) for pair in self._predictions(variables, self._few)]
        gathered = [hosts.rows_of_all(dict(part)) for part in parts]
        return {name: np.concatenate([part[name] for part in gathered]) for name in gathered[0]}

    def _totals(self, variables: PyTree[Array], stop: Stop) -> tuple[PyTree[np.ndarray] | None, Judge | None]:
        """The sums over the split, added in double precision on the host, one batch late; and a judge of it."""
        judge, total, running = self._assembly.task.judge(), None, None
        batches = self._batches
        pairs = ((None, arrays) for arrays in batches.on_devices()) if judge is None else batches.pairs()
        for batch, arrays in pairs:
            if stop():
                return None, None
            sums = self._evaluate(variables, arrays)
            if judge is not None:
                judge.add(*self._on_the_host(batch, self._predict(variables, arrays)))
            if running is not None:
                total = _added(total, running)
            running = sums
        return _added(total, running), judge

    def _predictions(self, variables: PyTree[Array], batches: HeldOut) -> Iterator[tuple[Arrays, Any]]:
        """Batches of real examples with what is predicted of them, both on the host."""
        for batch, arrays in batches.pairs():
            yield self._on_the_host(batch, self._predict(variables, arrays))

    def _on_the_host(self, batch: Arrays, predicted: PyTree[Array]) -> tuple[Arrays, Any]:
        mask, predicted = batch["mask"], self._assembly.placement.local(predicted)
        return jax.tree.map(lambda array: array[mask], (batch, predicted))

    @functools.cached_property
    def _test(self) -> data.Source:
        """The held-out split; decoded once where it is so small that a training set would stay on the device."""
        return data.in_memory(self._assembly.test) if self._is_small else self._assembly.test

    @functools.cached_property
    def _is_small(self) -> bool:
        return is_small(self._assembly.test)

    @functools.cached_property
    def _predict(self) -> Callable[..., Any]:
        return self._assembly.placement.predict(self._assembly.predict())

    @functools.cached_property
    def _batches(self) -> HeldOut:
        """Those of the split."""
        test, size = self._test, self._assembly.eval_batch_size
        stays = self._assembly.recipe.data.pipeline != "grain" and is_small(test, -(-len(test) // size) * size)
        return self._batches_of(test, 0 if self._is_small else self._assembly.recipe.data.workers, stays)

    @functools.cached_property
    def _few(self) -> HeldOut:
        """Those of the examples that the task follows."""
        count = min(self._assembly.task.seen, len(self._test))
        return self._batches_of(data.Subset(self._test, np.arange(count)))

    def _batches_of(self, source: data.Source, workers: int = 0, stays: bool = False) -> HeldOut:
        """Batches of this process, which may stay on the devices."""
        assembly = self._assembly
        part = workers, jax.process_index(), hosts.count()
        read = functools.partial(data.evaluation_batches, source, assembly.eval_batch_size, *part)
        return HeldOut(read, assembly.placement.shard, stays)


def _added(total: PyTree[np.ndarray] | None, sums: PyTree[Array]) -> PyTree[np.ndarray]:
    fetched = jax.tree.map(lambda array: np.asarray(array, np.float64), jax.device_get(sums))
    return fetched if total is None else jax.tree.map(np.add, total, fetched)
