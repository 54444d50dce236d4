"""Training metrics, read back one dispatch late so that the device never waits; and the watch for NaN."""

import itertools
import time
import warnings
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree

from train.config import Recipe, RunError
from train.engine.step import Sums
from train.tasks.protocol import Task

_ROWS_SHOWN = 128


class NonFiniteError(RunError):
    """The loss, a gradient or the training state was not finite."""


class Meter:
    """The steps since the last line of metrics.

    Args:
      recipe: batch size, accumulation, and what to do when something is not finite.
      task: makes scores of its totals.
      rates: the learning rate after each number of updates.
      step: how many steps were done before.
      skipped: how many updates were skipped in them.
    """

    def __init__(self, recipe: Recipe, task: Task, rates: Sequence[float], step: int, skipped: int) -> None:
        self.skipped = skipped
        self._recipe, self._task, self._rates = recipe, task, rates
        self._dispatches: list[tuple[int, Sums, Int[np.ndarray, "steps batch"]]] = []
        self._first_step = self._next_step = self._timed_from = step
        self._started = time.perf_counter()

    def restart_clock(self) -> None:
        """Forgets what went on until now, such as a compilation or an evaluation, in images a second."""
        self._timed_from, self._started = self._next_step, time.perf_counter()

    def add(self, sums: Sums, rows: Int[np.ndarray, "steps batch"]) -> None:
        """Notes a dispatch: the sums of its steps, which may still be running, and their batches' rows."""
        self._dispatches.append((self._next_step, sums, rows))
        self._next_step += len(rows)

    def is_due(self) -> bool:
        """Whether the steps before the newest dispatch are enough for a line."""
        return bool(self._dispatches) and self._dispatches[-1][0] - self._first_step >= self._recipe.log_every

    def read(self, late: int = 0) -> tuple[int, dict[str, float]] | None:
        """The step, and the mean of the steps since the last line but for the newest `late` dispatches.

        None where there was no step, or the updates of all of them were skipped.

        Raises:
          NonFiniteError: a step was not finite, and the recipe says to stop.
        """
        count = len(self._dispatches) - late
        ready, self._dispatches = self._dispatches[:count], self._dispatches[count:]
        if not ready:
            return None
        fetched = jax.device_get([sums for _, sums, _ in ready])
        for (first, _, rows), sums in zip(ready, fetched, strict=True):
            self._check(first, np.atleast_1d(sums.finite), rows)
        total = _added(fetched)
        step = self._dispatches[0][0] if self._dispatches else self._next_step
        now = time.perf_counter()
        images = (step - self._timed_from) * self._recipe.data.batch_size
        rate = {"images_per_second": images / (now - self._started)} if images > 0 else {}
        self._first_step = self._timed_from = step
        self._started = now
        if not total.finite:
            return None
        learning_rate = float(self._rates[(step - self.skipped) // self._recipe.optimizer.accumulate])
        skipped = {"skipped": self.skipped} if self.skipped else {}
        scores = {**self._task.scores(total.totals), "loss": total.loss.mean()}
        return step, {**scores, "learning_rate": learning_rate, **rate, **skipped}

    def _check(self, first: int, finite: np.ndarray, rows: Int[np.ndarray, "steps batch"]) -> None:
        bad = np.flatnonzero(finite < 1)
        if not bad.size:
            return
        step, batch = first + int(bad[0]) + 1, rows[bad[0]]
        listed = " ".join(map(str, batch[:_ROWS_SHOWN])) + (" ..." if len(batch) > _ROWS_SHOWN else "")
        what = f"step {step}: loss or gradient is not finite; rows of its batch of {len(batch)}: {listed}"
        if self._recipe.on_nan == "stop":
            raise NonFiniteError(what)
        self.skipped += bad.size
        warnings.warn(f"{what}; update skipped ({self.skipped} so far)", stacklevel=2)


def _added(fetched: Sequence[Sums]) -> Sums:
    """The sums of all steps, in double precision; those of several steps have a leading axis of steps."""

    def add(*arrays: np.ndarray) -> np.ndarray:
        steps = (np.asarray(array, np.float64) for array in arrays)
        return sum(array.sum(axis=0) if several else array for array, several in zip(steps, stacked, strict=True))

    stacked = [np.ndim(sums.finite) == 1 for sums in fetched]
    return jax.tree.map(add, *fetched)


def check_state(state: PyTree[Array], step: int) -> None:
    """Refuses a training state that is not finite: its losses were, but the last update went too far.

    The copies to the host are all started before the first is waited for; a checkpoint of one device then uses them.

    Raises:
      NonFiniteError: names the arrays.
    """
    parts = {
        jax.tree_util.keystr(path, simple=True, separator="/"): _parts(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact)
    }
    for part in itertools.chain.from_iterable(parts.values()):
        part.copy_to_host_async()
    bad = [name for name, arrays in parts.items() if not all(np.isfinite(np.asarray(array)).all() for array in arrays)]
    if bad:
        shown = ", ".join(bad[:4]) + (f" and {len(bad) - 4} more" if len(bad) > 4 else "")
        raise NonFiniteError(f"step {step}: after the update, not finite: {shown}")


def _parts(array: Array) -> list[Array]:
    """What this process has of an array, of replicas the first, which is what a checkpoint holds."""
    return list({str(shard.index): shard.data for shard in reversed(array.addressable_shards)}.values())
