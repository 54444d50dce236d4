"""The course of a sweep: trial after trial until there are as many as asked for, then a page. Lecture row L18.

`Sweep` says what is searched; `run` does it, in as many processes as are started. A trial is a run of the engine in a
folder of its own, which is told to stop where it is worse than others were, and at its last evaluation: only the best
trial's run is finished, with weights and report, when no other is at work.
"""

import contextlib
import dataclasses
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax

from train.config import DataError, Metric, Recipe, RecipeError, shown, to_dict
from train.engine import exact, hosts
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.loop import Evaluation, NonFiniteError, fit
from train.engine.seeds import Stopped
from train.store import journal
from train.store.files import write_bytes
from train.store.workdir import Workdir
from train.tuning.commands import fit_command
from train.tuning.search import Search, with_values
from train.tuning.sweep_folder import SweepError, claimed
from train.tuning.trials import FINISHED, INTERRUPTED, RUNNING, WAITING, Plan, Record, Trials, check_installed, hidden
from zoo.names import UnknownNameError, unknown

SHOWN = 5
"""Trials in the table at the end."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a sweep searches, and how."""

    base: Recipe
    """The named recipe, for the command to copy."""
    recipe: Recipe
    """That with what stays as it is; its seed is the sampler's too."""
    searches: tuple[Search, ...]
    trials: int = 20
    """In all, those of earlier calls and of other processes too."""
    metric: str | None = None
    """By default the task's own, which ranks checkpoints."""
    pruner: Literal["median", "none"] = "median"
    startup: int = 5
    """Trials that are drawn at random, and finished before any is pruned."""
    unpruned: int = 1
    """Evaluations of a trial after which it cannot be pruned yet."""
    storage: str | None = None
    """Of the trials; by default a file in the sweep's folder."""

    def __post_init__(self) -> None:
        if not self.searches:
            raise RecipeError("expected a field to search, such as optimizer.learning_rate=log:1e-4..1")
        if any(search.field == "data.validation" for search in self.searches):
            raise RecipeError("data.validation: expected one value, got several, whose trials are not measured alike")
        for name, least in (("trials", 1), ("startup", 1), ("unpruned", 0)):
            if (value := getattr(self, name)) < least:
                raise RecipeError(f"{name}: expected {least} or more, got {value}")

    def card(self, metric: Metric) -> dict[str, Any]:
        """What has to be the same for a sweep to go on."""
        return {
            "recipe": to_dict(self.recipe),
            "search": [str(search) for search in self.searches],
            "metric": metric.name,
            "pruner": self.pruner,
            "startup": self.startup,
            "unpruned": self.unpruned,
            "storage": hidden(self.storage),
        }


def run(sweep: Sweep, path: Path | None = None, console: Console | None = None) -> int:
    """Runs the trials that are missing, and writes the page.

    Args:
      sweep: what is searched.
      path: its folder; by default sweeps/NAME, or where that is of another sweep sweeps/NAME-2 and so on.
      console: where its course is shown.

    Returns:
      0; 1 where no trial came to its end; what a shell expects after a signal.

    Raises:
      RecipeError, UnknownNameError, DataError: recipe, field or metric do not fit; before anything is trained.
      SweepError: the folder is of another sweep, or Optuna or its database are not there.
      RunError: a trial's run cannot go on.
    """
    course = Course(sweep, path, console or Console(lasting=True))
    with contextlib.closing(course), course.trials.in_words():
        try:
            with course.folder.at_work() as worker:
                while (trial := course.trials.ask(worker, sweep.trials)) is not None:
                    course.go(trial)
        except Stopped as stopped:
            course.say("stopped; the same command goes on")
            return stopped.exit_code
        return course.conclude()


def metric_of(recipe: Recipe, metrics: Sequence[Metric], name: str | None) -> Metric:
    """The metric of this name, by default the first.

    Raises:
      UnknownNameError: the task has no such metric.
    """
    known = {metric.name: metric for metric in metrics}
    if recipe.optimizer.ema is not None:
        known |= {f"ema_{metric.name}": metric._replace(name=f"ema_{metric.name}") for metric in metrics}
    if name is not None and name not in known:
        raise unknown("metric", name, known)
    return metrics[0] if name is None else known[name]


class Course:
    """One process of a sweep."""

    def __init__(self, sweep: Sweep, path: Path | None, console: Console, suffix: str = "") -> None:
        if hosts.count() > 1:
            raise SweepError("a sweep: expected processes that each run trials of their own, found several of one run")
        self.sweep, self.console = sweep, console
        exact.ask(sweep.recipe.exact)
        self.metric = metric_of(sweep.recipe, self._check(), sweep.metric)
        console.learn([self.metric])
        card = sweep.card(self.metric)
        check_installed()
        self.folder, is_new = claimed(card, path, Path("sweeps"), f"{sweep.recipe.name}{suffix}")
        plan = Plan(
            "sweep" if sweep.storage is None else self.folder.path.absolute().name,  # that of a folder may change
            sweep.searches,
            self.metric.higher_is_better,
            sweep.recipe.seed,
            sweep.startup,
            sweep.unpruned,
            sweep.pruner == "median",
        )
        with self.folder.locked():
            try:
                self.trials = Trials(sweep.storage, plan, self.folder, card)
            except SweepError:
                if is_new:
                    self.folder.withdraw()
                raise
        self.say(f"sweep in {self.folder.path}")

    def close(self) -> None:
        """Lets go of the trials' database."""
        self.trials.close()

    def say(self, text: str) -> None:
        """Prints a line."""
        self.console.say(text)

    def widen(self, values: Sequence[float]) -> None:
        """Has the one range that is searched reach over all these values."""
        (search,) = self.sweep.searches
        search = dataclasses.replace(search, low=min(values), high=max(values))
        self.sweep = dataclasses.replace(self.sweep, searches=(search,))
        self.trials.widen((search,))

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe of a trial."""
        return with_values(self.sweep.recipe, self.sweep.searches, values)

    def go(self, trial: Any) -> None:
        """Runs one trial, and notes what it came to.

        Raises:
          Stopped: by a signal; another trial will go on in its folder.
          RunError: its folder or its checkpoints cannot be used.
        """
        files, started = Workdir(self.folder.trial(trial.user_attrs["folder"])), time.perf_counter()
        interrupted = False
        try:
            recipe = self.recipe(trial.params)
            watch = _Pruning(trial, self.metric.name, files)
            outcome = fit(recipe, files.path, resume=files.card.exists(), console=Console(quiet=True), watch=watch)
            if outcome.interrupted and not watch.has_asked:
                raise Stopped(outcome.exit_code)
        except NonFiniteError as error:
            self.trials.diverge(trial, str(error).partition(";")[0])
        except (RecipeError, UnknownNameError, DataError, jax.errors.JaxRuntimeError) as error:
            self.trials.refuse(trial, str(error).partition("\n")[0])
        except BaseException:
            with self.folder.locked():
                self.trials.give_back(trial.number)
            raise
        else:
            interrupted = outcome.interrupted
            result = outcome.metrics.get(self.metric.name, math.nan)
            self.trials.prune(trial, result) if watch.is_pruned else self.trials.finish(trial, result)
        (record,) = (record for record in self.trials.records() if record.number == trial.number)
        self.say(f"trial {record.number}: {self._line(record)}  {time.perf_counter() - started:.1f} s")
        self._tidy()
        if interrupted:
            raise Stopped(outcome.exit_code)

    def conclude(self) -> int:
        """Finishes the best run if no process is at work any more, writes the page, and says what came out."""
        with self.folder.locked():
            records, best = self.trials.records(), self.trials.best()
            others = sum(record.state == RUNNING for record in records)
            if best is not None and not others:
                self._finish(best)
        self._write_page(records, best)
        if others:
            self.say(f"{others} trials are at work in other processes: the last of them finishes the best run")
        if best is None:
            self.say(f"no trial came to its end; {self.folder.report} says why")
            return 1
        ranked = sorted(
            (record for record in records if record.state == FINISHED),
            key=lambda record: record.result * (-1 if self.metric.higher_is_better else 1),
        )
        rows = [(f"trial {record.number}", self._line(record)) for record in ranked[:SHOWN]]
        counts = {
            state: sum(record.state == state for record in records) for state in dict.fromkeys(r.state for r in records)
        }
        said = ", ".join(f"{count} {state}" for state, count in counts.items())
        rows += [("trials", said), ("report", str(self.folder.report)), ("best run", str(self._path(best)))]
        ended = sum(record.state != INTERRUPTED for record in records)  # others went on with those
        self.console.table(f"{self.sweep.recipe.name}: best of {ended} trials", rows)
        self.say(self.command(best))
        return 0

    def command(self, record: Record) -> str:
        """What to type to train a trial's recipe, on all there is to learn from where a part was set aside."""
        recipe = self.recipe(record.values)
        whole = dataclasses.replace(recipe.data, validation=0.0)
        return fit_command(self.sweep.base, dataclasses.replace(recipe, data=whole))

    def _check(self) -> Sequence[Metric]:
        """Puts together what is searched of the model, and the recipe as it is; the metrics of its task."""
        searches = self.sweep.searches
        for search in (search for search in searches if search.field.startswith("model.")):
            for value in search.extremes:
                try:
                    assemble(self.recipe({search.field: value}))
                except (RecipeError, UnknownNameError) as error:
                    raise RecipeError(f"{search.field}={value}: {error}") from None
        return assemble(self.sweep.recipe).task.metrics

    def _line(self, record: Record) -> str:
        """What a trial was and came to."""
        values = [
            f"{search.field.rpartition('.')[2]} {search.shown(record.values[search.field])}"
            for search in self.sweep.searches
            if search.field in record.values
        ]
        ends = record.state if record.note == "" else f"{record.state}: {record.note}"
        came = shown(self.metric, record.result) if math.isfinite(record.result) else ""
        said = [came, *([] if record.state == FINISHED else [ends]), *values]
        return "  ".join(filter(None, said))

    def _path(self, record: Record) -> Path:
        return self.folder.trial(record.folder)

    def _finish(self, best: Record) -> None:
        """Writes weights and report of the best run, where they are not there yet."""
        files = Workdir(self._path(best))
        if files.card.exists() and not files.finished:
            with self.console.timed("finishing the best run"):
                fit(files.read_recipe(), files.path, resume=True, console=Console(quiet=True))

    def _write_page(self, records: Sequence[Record], best: Record | None) -> None:
        from train.tuning import page  # draws; imported once there is something to draw

        found = page.Found(
            self.sweep.recipe.name,
            self.sweep.searches,
            self.metric,
            records,
            best,
            self.trials.importances(),
            "" if best is None else self.command(best),
            self.sweep.recipe.data.validation > 0,
        )
        for name, content in page.render(found).items():
            write_bytes(self.folder.path / name, content)

    def _tidy(self) -> None:
        """Takes away the checkpoints of trials that ended and are not the best."""
        with self.folder.locked():
            records, best = self.trials.records(), self.trials.best()
            kept = {record.folder for record in records if record.state in (RUNNING, WAITING)}
            kept |= {best.folder} if best else set()
            for record in records:
                if record.folder not in kept:
                    with contextlib.suppress(FileNotFoundError):
                        shutil.rmtree(Workdir(self._path(record)).checkpoints)


class _Pruning:
    """Tells Optuna of a run's evaluations, and stops it where Optuna says so, or at its end.

    At its end it is stopped because a report takes as long as a short training: the best run alone has one.
    """

    def __init__(self, trial: Any, metric: str, files: Workdir) -> None:
        self._trial, self._metric = trial, metric
        self.is_pruned = self.has_asked = False
        before = [line for line in journal.ordered(files.metrics) if line["kind"] == "eval"]
        self._told: set[int] = set()
        for number, line in enumerate(before, 1):  # of a trial that goes on
            self._tell(number, line.get(metric, math.nan))

    def __call__(self, evaluation: Evaluation) -> bool:
        if self._metric not in evaluation.metrics:
            raise RecipeError(f"it has no metric {self._metric}")
        self._tell(evaluation.number, evaluation.metrics[self._metric])
        self.is_pruned = not evaluation.is_last and self._trial.should_prune()
        self.has_asked = evaluation.is_last or self.is_pruned
        return self.has_asked

    def _tell(self, number: int, value: float) -> None:
        if number not in self._told:
            self._told.add(number)
            self._trial.report(value, number)
