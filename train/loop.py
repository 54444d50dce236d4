"""The training loop: steps, metrics one dispatch late, evaluation, checkpoints, and a report at the end."""

import dataclasses
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from train.assemble import Assembly, assemble
from train.checkpoint import Checkpoints
from train.console import Console, describe
from train.evaluation import Evaluator
from train.interrupt import Interrupt
from train.journal import Journal
from train.recipe import Recipe
from train.state import TrainState, fingerprint
from train.workdir import Workdir, resume_command, write_json


class NonFiniteError(RuntimeError):
    """The loss or a gradient was not finite."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    step: int
    metrics: dict[str, float]
    """Of the last evaluation on the held-out split."""
    fingerprint: str | None
    """Of the final parameters; None when a signal stopped the run before its end."""
    exit_code: int = 0


def fit(recipe: Recipe, path: Path, *, resume: bool = False, console: Console | None = None) -> Outcome:
    """Runs a recipe, from the start or from its last checkpoint, to its end or to a signal.

    Args:
      recipe: what to run; to resume, the recipe that is in the folder.
      path: the run's folder.
      resume: go on with the run that is there, bit for bit as if it had never stopped.
      console: where progress is shown.

    Raises:
      WorkdirError: the folder holds something that this run must not touch.
      CheckpointError: there are checkpoints and none can be read, or the last could not be written.
      NonFiniteError: the loss was not finite and the recipe says to stop.
    """
    console = console or Console()
    files = Workdir(path)
    if not resume:
        files.claim(recipe)
    assembly = assemble(recipe)
    if not resume:
        files.write_card(recipe, about(assembly))
    with Interrupt() as interrupt:
        return _Run(assembly, files, console, interrupt).go()


def about(assembly: Assembly) -> dict[str, Any]:
    """What `recipe.json` says of model and data, so that predictions need neither the data nor a guess."""
    shapes = jax.eval_shape(assembly.make_state)
    return {
        "model": {"parameters": sum(leaf.size for leaf in jax.tree.leaves(shapes.params))},
        "data": {
            "train_examples": len(assembly.train),
            "test_examples": len(assembly.test),
            "image_shape": list(assembly.train.image_shape),
        },
        "task": dataclasses.asdict(assembly.task),
        "steps_per_epoch": assembly.steps_per_epoch,
        "total_steps": assembly.total_steps,
    }


class _Run:
    """One call of `fit`: the state, and what is to happen at which step."""

    def __init__(self, assembly: Assembly, files: Workdir, console: Console, interrupt: Interrupt) -> None:
        self.assembly, self.recipe, self.files = assembly, assembly.recipe, files
        self.console, self.interrupt = console, interrupt
        task = assembly.task
        self.checkpoints = Checkpoints(files.checkpoints, task.best, task.higher_is_better)
        self.evaluator = Evaluator(assembly)
        self.feed = assembly.make_feed()
        self.step = 0
        self.best: float | None = None
        self.evaluations_since_best = 0
        self.metrics: dict[str, float] = {}
        self.seconds_before = 0.0
        self.pending: list[tuple[int, Any, np.ndarray]] = []
        self.skipped = 0

    def go(self) -> Outcome:
        """Trains until the end, an early stop or a signal."""
        self.started = self.window_started = time.perf_counter()
        state = self._restore() or self._initialise()
        self.journal = Journal(self.files.path, self.step)
        self.window_step = self.step
        try:
            with self.console.progress(self.assembly.total_steps, self.step):
                with self.console.timed("compiling the training step"):
                    state = self._dispatch(state)
                while not (self.interrupt.signal or self._is_done()):
                    state = self._dispatch(state)
                self._log()
                return self._finish(state) if self._is_done() else self._leave(state)
        finally:
            self.journal.close()
            self.feed.close()
            self.checkpoints.close()

    def _initialise(self) -> TrainState:
        with self.console.timed("initialising"):
            return self.assembly.placement.initialise(self.assembly.make_state)

    def _restore(self) -> TrainState | None:
        placement = self.assembly.placement
        restored = self.checkpoints.restore(placement.abstract(self.assembly.make_state))
        if restored is None:
            return None
        self.step = restored.step
        progress = restored.progress
        self.feed.restore(progress["feed"])
        self.best, self.evaluations_since_best = progress["best"], progress["evaluations_since_best"]
        self.metrics, self.seconds_before = progress["metrics"], progress["seconds"]
        self.skipped = progress["skipped"]
        self.console.say(f"resuming {self.files.path} at step {self.step}")
        return placement.from_portable(restored.state)

    def _dispatch(self, state: TrainState) -> TrainState:
        """Runs the next few steps and what is due after them."""
        if self._is_done():  # resumed when all but the report was done
            return state
        count = min(self.feed.steps_per_dispatch, self._next_event() - self.step)
        state, sums, indices = self.feed.advance(state, self.step, count)
        self.pending.append((self.step, sums, indices))
        self.step += count
        if self._is_due(self.recipe.log_every):
            self._log(late=1)
        if self._evaluation_is_due():
            self._evaluate(state)
            self._save(state)
        elif self._is_due(self.recipe.checkpoint_every or self.assembly.steps_per_epoch):
            self._save(state)
        return state

    def _is_done(self) -> bool:
        stopped_early = 0 < self.recipe.early_stop <= self.evaluations_since_best
        return stopped_early or self.step >= self.assembly.total_steps

    def _is_due(self, interval: int) -> bool:
        return self.step % interval == 0

    def _evaluation_is_due(self) -> bool:
        every = self.recipe.eval_every * self.assembly.steps_per_epoch
        return self._is_due(every) or self.step == self.assembly.total_steps

    def _next_event(self) -> int:
        """The next step at which the host has something to do: a function of the step alone, so that an
        interrupted run is cut into the same dispatches."""
        recipe, per_epoch = self.recipe, self.assembly.steps_per_epoch
        intervals = (recipe.log_every, per_epoch, recipe.checkpoint_every or per_epoch)
        upcoming = (self.step - self.step % interval + interval for interval in intervals)
        return min(*upcoming, self.assembly.total_steps)

    def _log(self, late: int = 0) -> None:
        """Writes the mean of the steps since the last line, but for the newest `late` dispatches, which
        may still be running."""
        ready, self.pending = (
            self.pending[: len(self.pending) - late],
            self.pending[len(self.pending) - late :],
        )
        if not ready:
            return
        fetched = [jax.tree.map(np.atleast_1d, jax.device_get(sums)) for _, sums, _ in ready]
        self._check_finite(ready, fetched)
        total = {name: float(sum(sums[name].sum() for sums in fetched)) for name in fetched[0]}
        last = self.pending[0][0] if self.pending else self.step
        now = time.perf_counter()
        images = (last - self.window_step) * self.recipe.data.batch_size
        metrics = {
            **self.assembly.task.summarise(total),
            "learning_rate": float(self.assembly.schedule(last // self.recipe.optimizer.accumulate)),
            "images_per_second": images / (now - self.window_started),
        }
        self.window_started, self.window_step = now, last
        self.journal.write("train", last, {"epoch": last / self.assembly.steps_per_epoch, **metrics})
        self.console.step(self.step, metrics)

    def _check_finite(self, ready: list, fetched: list[dict[str, np.ndarray]]) -> None:
        for (first_step, _, indices), sums in zip(ready, fetched, strict=True):
            for offset in np.flatnonzero(sums["finite"] < 1):
                rows = " ".join(str(row) for row in indices[offset])
                what = f"step {first_step + offset + 1}: loss or gradient is not finite; batch rows {rows}"
                if self.recipe.on_nan == "skip":
                    self.skipped += 1
                    warnings.warn(f"{what}; update skipped ({self.skipped} so far)", stacklevel=2)
                    continue
                saved = self.checkpoints.steps()
                good = f"last good checkpoint: step {saved[-1]}" if saved else "no checkpoint yet"
                raise NonFiniteError(f"{what}; {good} in {self.files.checkpoints}")

    def _evaluate(self, state: TrainState) -> None:
        self._log()
        summary = self.evaluator.summary(state)
        self.metrics = summary
        task = self.assembly.task
        value = summary[task.best]
        better = self.best is None or (value > self.best if task.higher_is_better else value < self.best)
        self.best = value if better else self.best
        self.evaluations_since_best = 0 if better else self.evaluations_since_best + 1
        epoch = self.step / self.assembly.steps_per_epoch
        self.journal.write("eval", self.step, {"epoch": epoch, **summary, f"best_{task.best}": self.best})
        self.console.say(f"epoch {epoch:g}  step {self.step}  {describe(summary)}{'  *' if better else ''}")
        self.window_started = time.perf_counter()

    def _save(self, state: TrainState) -> None:
        self._log()  # nothing that is not finite is ever saved
        progress = {
            "feed": self.feed.state(self.step),
            "best": self.best,
            "evaluations_since_best": self.evaluations_since_best,
            "metrics": self.metrics,
            "seconds": self._seconds(),
            "skipped": self.skipped,
        }
        evaluated = self.metrics if self._evaluation_is_due() else None
        portable = self.assembly.placement.to_portable(state)
        self.checkpoints.save(self.step, portable, progress, evaluated)

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def _leave(self, state: TrainState) -> Outcome:
        """After a signal: everything is saved, and the person knows how to go on."""
        if self.step not in self.checkpoints.steps():
            self._save(state)
        self.checkpoints.wait()
        self.console.say(
            f"{self.interrupt.signal.name}: saved step {self.step}; go on with: {resume_command(self.files.path)}"
        )
        return Outcome(self.step, self.metrics, None, self.interrupt.exit_code)

    def _finish(self, state: TrainState) -> Outcome:
        from train.report import write_report

        if self.step not in self.checkpoints.steps():
            self._save(state)
        self.checkpoints.wait()
        portable = self.assembly.placement.to_portable(state)
        variables = jax.device_get(portable.variables())
        digest = fingerprint(variables)
        predictions = self.evaluator.predictions(state)
        result = {
            "fingerprint": digest,
            "step": self.step,
            "seconds": self._seconds(),
            "metrics": self.metrics,
        }
        write_json(self.files.fingerprint, result)
        with self.console.timed("writing the report"):
            report = write_report(self.files.path, predictions, first_kernel(variables["params"]))
        rows = [
            ("test", describe(self.metrics)),
            ("time", f"{self._seconds():.0f} s"),
            ("report", str(report)),
        ]
        rows.append(("predict", f"python -m train predict {self.files.path} IMAGE ..."))
        self.console.table(f"{self.recipe.name}: {self.step} steps", rows)
        return Outcome(self.step, self.metrics, digest)


def first_kernel(params: Any) -> np.ndarray | None:
    """The kernel of the first convolution that sees the image, (height, width, channels, filters), if any."""
    kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 4]
    images = [kernel for kernel in kernels if kernel.shape[2] in (1, 3) and kernel.shape[0] > 1]
    return np.asarray(images[0]) if images else None
