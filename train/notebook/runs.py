"""Training from Python: the command line's `fit` and `resume` as functions, and what they return.

They leave signals, warnings and loggers as they found them, end no process, and may be called again and again, in any
thread. In the main thread an interrupt (a notebook's stop button, Ctrl-C) ends the training after its step, saved: the
outcome says so, and `resume` goes on to the same bits. A second interrupt is a `KeyboardInterrupt` at once.
"""

import dataclasses
import html
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

from train.config import Recipe, RunError, shown
from train.engine import loop
from train.engine.hosts import path_from_first
from train.notebook.choose import recipe as chosen
from train.report.run import Run
from train.store import journal
from train.store.files import measured
from train.store.workdir import Workdir, take_free_folder
from zoo.rows import html_rows

_HEIGHT = 640
"""Pixels of a report that is shown in a notebook."""


@dataclasses.dataclass(frozen=True)
class Page:
    """A page that a notebook shows in a frame of its own, where neither changes how the other looks."""

    content: str
    """Self-contained HTML."""
    height: int = _HEIGHT
    """Of the frame, in pixels; the page scrolls in it."""

    def __repr__(self) -> str:
        return f"Page of {len(self.content):,} characters"

    def _repr_html_(self) -> str:
        source = html.escape(self.content, quote=True)
        looks = f'width="100%" height="{self.height}" style="border:1px solid #8885;border-radius:4px"'
        return f'<iframe srcdoc="{source}" sandbox="allow-scripts" {looks}></iframe>'


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended; a notebook shows its numbers and its report."""

    workdir: Path
    """The run's folder, from the root: it stays right when the current folder is another."""
    metrics: dict[str, float]
    """Of the last evaluation on the held-out split; empty where there was none yet."""
    step: int
    """Training steps done."""
    fingerprint: str | None
    """Digest of the final variables: of two runs of the same bits it is the same. None before the run is finished."""

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.fingerprint is not None

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before its end: `train.resume(outcome.workdir)` goes on."""
        return not self.finished

    def report(self, height: int = _HEIGHT) -> Page:
        """The report of the finished run, for a notebook to show.

        Args:
          height: of its frame, in pixels.

        Raises:
          RunError: the run is not finished.
        """
        if not self.finished:
            raise RunError(f"{self.workdir} has no report yet: {self._remedy()} finishes the run")
        return Page(Workdir(self.workdir).report.read_text(encoding="utf-8"), height)

    def history(self, kind: str = "train") -> list[dict[str, Any]]:
        """The lines of the run's metrics, in order of step, each with "step", "epoch" and its numbers.

        Args:
          kind: "train", a line every `log_every` steps; or "eval", a line an evaluation.
        """
        return [record for record in journal.ordered(Workdir(self.workdir).metrics) if record["kind"] == kind]

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {value}" for name, value in self._rows())
        return f"Outcome({said})"

    def _repr_html_(self) -> str:
        page = self.report()._repr_html_() if self.finished and Workdir(self.workdir).report.exists() else ""
        return html_rows(self._rows()) + page

    def _rows(self) -> list[tuple[str, str]]:
        """What there is to say, by name."""
        files = Workdir(self.workdir)
        metrics = Run(self.workdir, files.read_card()).metrics if files.card.exists() else ()  # it may be gone by now
        known = {metric.name: metric for metric in metrics}
        rows = []
        for name, value in self.metrics.items():
            metric = known.get(name.removeprefix("ema_"))
            rows.append((name.replace("_", " "), f"{value:.3g}" if metric is None else shown(metric, value)))
        rows += [("steps", f"{self.step:,}"), ("folder", str(self.workdir))]
        return rows if self.finished else [*rows, ("interrupted", f"go on with {self._remedy()}")]

    def _remedy(self) -> str:
        return f"train.resume({str(self.workdir)!r})"


def fit(recipe: str | Recipe, workdir: str | os.PathLike[str] | None = None) -> Outcome:
    """Trains a recipe, to its end or to an interrupt, and shows its progress.

    Args:
      recipe: what to run, see `train.recipe`; or the name of a recipe.
      workdir: the run's folder; by default the first free one of runs/NAME, runs/NAME-2, ...

    Raises:
      UnknownNameError: there is no such recipe or model.
      RecipeError: the recipe asks for something impossible.
      RunError: the run cannot begin or go on; the message says why. `DataError`, where the examples cannot be read,
        and what `train.engine.loop.fit` lists, are of this kind.
    """
    wanted = chosen(recipe)
    path = path_from_first(lambda: take_free_folder(Path("runs"), wanted.name)) if workdir is None else _path(workdir)
    with _silence:
        return _outcome(path, loop.fit(wanted, path))


def resume(workdir: str | os.PathLike[str]) -> Outcome:
    """Goes on with a run that was interrupted, from its last checkpoint, to the bits it would have had.

    Of a run that is finished it returns the outcome.

    Args:
      workdir: the run's folder, `outcome.workdir`.

    Raises:
      RunError: there is no run, or it cannot go on; the message says why.
    """
    path = _path(workdir)
    files = Workdir(path)
    recipe = files.read_recipe()
    if files.finished:
        return _finished(files)
    with _silence:
        return _outcome(path, loop.fit(recipe, path, resume=True))


def _path(workdir: str | os.PathLike[str]) -> Path:
    """A path with the home folder in place of ~, which no shell expands here."""
    return Path(os.path.expanduser(workdir))


def _outcome(path: Path, ended: loop.Outcome) -> Outcome:
    return Outcome(path.absolute(), dict(ended.metrics), ended.step, ended.fingerprint)


def _finished(files: Workdir) -> Outcome:
    try:
        result = json.loads(files.fingerprint.read_text(encoding="utf-8"))
        return Outcome(
            files.path.absolute(), measured(result["metrics"]), int(result["step"]), str(result["fingerprint"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{files.fingerprint} is damaged: {error!r}") from error


class _Silence:
    """Silences what orbax says in pages and the run in a line, while any thread is in it."""

    def __init__(self) -> None:
        self._lock, self._threads, self._level = threading.Lock(), 0, logging.NOTSET

    def __enter__(self) -> None:
        logger = logging.getLogger("absl")
        with self._lock:
            if not self._threads:
                self._level = logger.level
                logger.setLevel(logging.CRITICAL)
            self._threads += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                logging.getLogger("absl").setLevel(self._level)


_silence = _Silence()
