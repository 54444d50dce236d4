"""The training loop: steps, metrics one dispatch late, evaluation, checkpoints, and a report at the end.

`fit` claims the run's folder, assembles the recipe and hands both to a `_Run`, whose `go` is the whole course of a run:
restore, train until the end or a signal, then finish or leave. With several processes all of them run it alike; the
first alone claims, writes and prints (`train.engine.hosts`).
"""

import contextlib
import dataclasses
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from train.config import Recipe
from train.engine import exact, hosts
from train.engine.assemble import Assembly, assemble
from train.engine.console import Console
from train.engine.evaluator import Evaluator
from train.engine.feed import Feed
from train.engine.finish import write_results
from train.engine.interrupt import Interrupt
from train.engine.meter import Meter, NonFiniteError, check_state
from train.engine.progress import Progress
from train.engine.state import TrainState
from train.engine.transfer import check_origin
from train.store.checkpoint import CheckpointError, Checkpoints
from train.store.journal import Journal, NoJournal
from train.store.workdir import Workdir, WorkdirError, resume_command

__all__ = ["Evaluation", "NonFiniteError", "Outcome", "fit"]


class Evaluation(NamedTuple):
    """What a run tells, who watches it, at each evaluation."""

    number: int
    """Which it is of the run's, from 1: of two runs whose batches differ, those of one number go together."""
    step: int
    """Training steps done."""
    metrics: dict[str, float]
    """On the held-out split; what is not finite stays so."""
    is_last: bool
    """Whether the run ends with it."""


Watch = Callable[[Evaluation], bool]
"""Is told of each evaluation, and asks the run to stop by returning True: it is then saved, as after a signal, and
`resume` goes on. One that is asked at its last evaluation writes its results only then."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    step: int
    metrics: dict[str, float]
    """Of the last evaluation on the held-out split."""
    fingerprint: str | None
    """Of the final variables; None when a signal stopped the run before its end."""
    exit_code: int = 0
    interrupted: bool = False
    """Whether a signal stopped it."""


def fit(
    recipe: Recipe, path: Path, *, resume: bool = False, console: Console | None = None, watch: Watch | None = None
) -> Outcome:
    """Runs a recipe, from the start or from its last checkpoint, to its end, to a signal or until `watch` says so.

    Args:
      recipe: what to run; to resume, the recipe that is in the folder.
      path: the run's folder; of several processes all see the same.
      resume: go on with the run that is there, bit for bit as if it had never stopped.
      console: where progress is shown.
      watch: told of each evaluation, in the first process alone; when it returns True, the run stops.

    Raises:
      WorkdirError: the folder holds something that this run must not touch, or is in use; or the data is not
        what the run began with.
      RecipeError: the recipe asks for something impossible.
      DataError: the examples cannot be read.
      CheckpointError: there are checkpoints and none can be read, or the last could not be written.
      NonFiniteError: the loss was not finite and the recipe says to stop.
      LostProcessError: another process of the run ended.
    """
    exact.ask(recipe.exact)
    console, files = (console or Console(lasting=True)) if hosts.is_first() else Console(quiet=True), Workdir(path)
    if resume:
        files.check(recipe)
    with Interrupt() as interrupt, hosts.together("start each of them again"), hosts.first_holds(files.locked()):
        assembly = _reopened(recipe, files) if resume else _begun(recipe, files)
        return _Run(assembly, files, console, interrupt, watch).go(resume)


def _begun(recipe: Recipe, files: Workdir) -> Assembly:
    """A run in a folder of its own, which says so from the start; one that is refused leaves nothing there."""

    def claim() -> None:
        files.claim(recipe)
        files.clean()
        files.write_card(recipe, {})

    hosts.first_does(claim)
    try:
        assembly = assemble(recipe)
        about = {**assembly.card(), **assembly.origin(), "exact": exact.in_force()}
        hosts.first_does(lambda: files.write_card(recipe, about))
    except BaseException:
        if hosts.is_first():
            files.withdraw()
        raise
    return assembly


def _reopened(recipe: Recipe, files: Workdir) -> Assembly:
    """The run that is in a folder; one that was killed before its card was complete gets the rest of it."""
    learned = files.read_fitted()
    assembly = assemble(recipe, learned)
    card = assembly.card()
    files.check_about(card)
    if changes := files.changes():
        warnings.warn(f"not what this run began with, so bits may differ: {'; '.join(changes)}", stacklevel=2)
    if learned is not None and not (exact.in_force() and exact.was_exact(files.read_card())):
        warnings.warn("this run need not repeat bit for bit: on its GPU, kernels are not exact", stacklevel=2)
    rest = {**assembly.origin(), "exact": exact.in_force()} if learned is None else {}

    def tidy() -> None:
        files.clean()
        if learned is None:
            files.write_card(recipe, {**card, **rest})

    hosts.first_does(tidy)
    return assembly


class _Run:
    """One call of `fit`: the state, and what is to happen at which step."""

    feed: Feed
    meter: Meter
    journal: Journal | NoJournal

    def __init__(
        self, assembly: Assembly, files: Workdir, console: Console, interrupt: Interrupt, watch: Watch | None
    ) -> None:
        self.assembly, self.recipe, self.task, self.files = assembly, assembly.recipe, assembly.task, files
        self.console, self.interrupt, self.watch = console, interrupt, watch
        self.is_asked_to_stop = False
        self.best = assembly.task.metrics[0]
        self.checkpoints = Checkpoints(files.checkpoints, self.best, self.recipe, seals=hosts.is_first())
        self.evaluator = Evaluator(assembly)
        self.progress = Progress()
        self.saved_at: int | None = None
        self.asking_at = 0
        self.folder = files.identity()
        self.evaluated = False
        self.started = time.perf_counter()
        console.learn(assembly.task.metrics)

    def go(self, resume: bool) -> Outcome:
        """Trains until the end, an early stop or a signal."""
        total = self.assembly.total_steps
        remedy = f"start each of them again with: {resume_command(self.files.path)}"
        with (
            contextlib.closing(self.checkpoints),
            hosts.together(remedy, self.checkpoints.abandon),
            contextlib.closing(self.assembly.make_feed()) as self.feed,
        ):
            state = self._restore() if resume else None
            if state is None:
                if resume:
                    check_origin(self.recipe, self.files.read_card())
                with self.console.timed("initialising"):
                    state = self.assembly.initialise()
            step, skipped = self.progress.step, self.progress.skipped
            self.meter = Meter(self.recipe, self.task, self.assembly.learning_rates, step, skipped)
            with contextlib.closing(self._open_journal()) as self.journal:
                try:
                    with self.console.progress(total, step):
                        state = self._train(state)
                    return self._finish(state) if self._is_done() and not self.is_asked_to_stop else self._leave(state)
                except NonFiniteError as error:
                    raise NonFiniteError(f"{error}; {self._last_good()}") from None

    def _restore(self) -> TrainState | None:
        placement = self.assembly.placement
        abstract = placement.abstract(self.assembly.make_state)
        chosen = hosts.first_does(lambda: self.checkpoints.choose(abstract))
        step = hosts.from_first(-1 if chosen is None else chosen)
        if step < 0:
            self.console.say(f"{self.files.path} has no finished checkpoint: starting again from step 0")
            return None
        restored = self.checkpoints.read(step, abstract)
        try:
            self.progress, self.saved_at = Progress.load(restored.progress["loop"]), restored.step
            if self.progress.step != restored.step:  # a seal of an earlier version does not tell
                raise ValueError(f"it holds step {self.progress.step}")
            self.feed.restore(restored.progress["feed"])
        except (KeyError, TypeError, ValueError) as error:
            where = f"{self.files.checkpoints}: step {restored.step}"
            raise CheckpointError(f"{where} is of another version or pipeline ({error})") from error
        self.console.say(f"resuming {self.files.path} at step {restored.step}")
        return placement.from_portable(restored.state)

    def _open_journal(self) -> Journal | NoJournal:
        if not hosts.is_first():
            return NoJournal()
        return Journal(self.files.path, self.progress.step, evaluated=not self._evaluation_is_owed())

    def _train(self, state: TrainState) -> TrainState:
        if self._evaluation_is_owed():  # a signal cut it short
            self._evaluate(state)
            self.checkpoints.amend(self.progress.step, *self._to_save())
        first = True
        while not (self.is_asked_to_stop or self._is_interrupted() or self._is_done()):
            try:
                with self.console.timed("compiling the training step") if first else contextlib.nullcontext():
                    state = self._dispatch(state)
            except Exception as error:
                if not self.interrupt or hosts.count() > 1:  # of several processes the others go on
                    raise
                # A signal to a whole group of processes ends the pipeline's workers too.
                warnings.warn(f"no step after step {self.progress.step}: {error}", stacklevel=2)
                break
            if first:
                self.meter.restart_clock()
            first = False
            if self.meter.is_due():
                self._log(late=1)
            self._evaluate_and_save(state)
        return state

    def _is_interrupted(self) -> bool:
        """Whether a signal came; several processes agree on that once in `log_every` steps."""
        if hosts.count() == 1:
            return bool(self.interrupt)
        if self.progress.step < self.asking_at:
            return False
        self.asking_at = self.progress.step - self.progress.step % self.recipe.log_every + self.recipe.log_every
        return hosts.any_of(bool(self.interrupt))

    def _dispatch(self, state: TrainState) -> TrainState:
        """Runs the next few steps, up to the next at which the host has something to do.

        How they are cut is a function of the step alone, so that a resumed run is cut in the same places.
        """
        step, intervals = self.progress.step, (self._save_interval, self._evaluation_interval)
        event = min(*(step - step % interval + interval for interval in intervals), self.assembly.total_steps)
        count = min(self.feed.steps_per_dispatch, event - step)
        state, sums, rows = self.feed.advance(state, step, count)
        self.meter.add(sums, rows)
        self.progress.step += count
        self.console.move(self.progress.step)
        return state

    @property
    def _save_interval(self) -> int:
        return self.recipe.checkpoint_every or self.assembly.steps_per_epoch

    @property
    def _evaluation_interval(self) -> int:
        return self.recipe.eval_every * self.assembly.steps_per_epoch

    def _evaluation_is_owed(self) -> bool:
        step = self.progress.step
        due = step % self._evaluation_interval == 0 or step == self.assembly.total_steps
        return due and self.progress.evaluated_at != step

    def _is_done(self) -> bool:
        stopped_early = 0 < self.recipe.early_stop <= self.progress.evaluations_since_best
        return (stopped_early or self.progress.step >= self.assembly.total_steps) and not self._evaluation_is_owed()

    def _log(self, late: int = 0) -> None:
        if (line := self.meter.read(late)) is not None:
            step, metrics = line
            self.journal.write("train", step, {"epoch": step / self.assembly.steps_per_epoch, **metrics})
            self.console.show(step, metrics)

    def _evaluate_and_save(self, state: TrainState) -> None:
        owed = self._evaluation_is_owed()
        if owed:
            self._evaluate(state)
        if owed or self.progress.step % self._save_interval == 0:
            self._save(state)

    def _evaluate(self, state: TrainState) -> None:
        """Evaluates; a signal cuts that short, and then the evaluation stays owed."""
        self._log()
        what, say_after = ("evaluating", math.inf) if self.evaluated else ("compiling and making an evaluation", 1.0)
        with self.console.timed(what, say_after):
            # Of several processes none may leave before the others.
            summary = self.evaluator.summary(state, stop=lambda: hosts.count() == 1 and bool(self.interrupt))
            seen = self.evaluator.seen(state) if summary is not None else {}
        self.evaluated = True
        self.meter.restart_clock()
        if summary is None:
            return
        step, best = self.progress.step, self.best
        hosts.first_does(lambda: self._keep_seen(step, seen))
        better = self.progress.note_evaluation(summary, summary[best.name], best.higher_is_better)
        epoch = step / self.assembly.steps_per_epoch
        self.journal.write("eval", step, {"epoch": epoch, **summary, f"best_{best.name}": self.progress.best})
        shown = self.console.describe(summary)
        self.console.say(f"epoch {epoch:.4g}  step {step}  {shown}{'  *' if better else ''}")
        if self.watch is not None:
            number = math.ceil(step / self._evaluation_interval)
            told = Evaluation(number, step, dict(summary), self._is_done())
            asked = hosts.first_does(lambda: bool(self.watch(told)))
            self.is_asked_to_stop = bool(hosts.from_first(int(bool(asked))))

    def _keep_seen(self, step: int, seen: dict[str, Any]) -> None:
        self.files.check_identity(self.folder)
        self.files.keep_seen(step, seen)

    def _save(self, state: TrainState) -> None:
        self._log()
        step, portable = self.progress.step, self.assembly.placement.to_portable(state)
        check_state(portable, step)  # nothing that is not finite is ever saved
        hosts.first_does(lambda: self.files.check_identity(self.folder))
        self.checkpoints.save(step, portable, *self._to_save())
        self.saved_at = step

    def _to_save(self) -> tuple[dict[str, Any], dict[str, float] | None]:
        """What a checkpoint holds beside the state, and its evaluation if it has one."""
        progress = self.progress
        progress.skipped = self.meter.skipped
        progress.seconds, self.started = self._seconds(), time.perf_counter()
        evaluated = progress.metrics if progress.evaluated_at == progress.step else None
        return {"loop": progress.dump(), "feed": self.feed.state(progress.step)}, evaluated

    def _seconds(self) -> float:
        return self.progress.seconds + time.perf_counter() - self.started

    def _settle(self, state: TrainState) -> None:
        """Makes sure that the state is in a checkpoint and that this is complete."""
        if self.saved_at != self.progress.step:
            self._save(state)
        try:
            self.checkpoints.wait()
        except CheckpointError as error:
            raise CheckpointError(f"{error}; once that is mended {self._go_on()}") from error

    def _go_on(self) -> str:
        return f"go on with: {self.console.resume_command(self.files.path)}"

    def _last_good(self) -> str:
        with contextlib.suppress(CheckpointError):
            self.checkpoints.wait()
        saved = self.checkpoints.steps()
        where = self.files.checkpoints
        return f"last good checkpoint: step {saved[-1]} in {where}" if saved else f"no checkpoint yet in {where}"

    def _leave(self, state: TrainState) -> Outcome:
        """After a signal, or when asked to stop: everything is saved, and the person knows how to go on."""
        self._settle(state)
        step, interrupted = self.progress.step, bool(self.interrupt) or not self.is_asked_to_stop
        reason = "a signal to another process" if interrupted else "asked to stop"
        reason = self.interrupt.signal.name if self.interrupt else reason
        self.console.say(f"{reason}: saved step {step}; {self._go_on()}")
        return Outcome(step, self.progress.metrics, None, self.interrupt.exit_code, interrupted)

    def _finish(self, state: TrainState) -> Outcome:
        """At the end: everything that is to be kept is written."""
        self._settle(state)
        hosts.first_does(lambda: self.files.check_identity(self.folder))
        self._to_save()  # time and counts, as of now
        progress = self.progress
        try:
            digest = write_results(self.files, self.assembly, self.evaluator, state, progress, self.console)
        except OSError as error:
            raise WorkdirError(f"{error}; the last step is saved, once that is mended {self._go_on()}") from error
        return Outcome(progress.step, progress.metrics, digest)
