"""Learning rates that train at once on one device, as the trials of a sweep. Lecture row L18.

`train.engine.learning_rates` trains them; here they become trials, with the same page and the same last words.
"""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.config import Metric, Recipe, RecipeError
from train.engine.console import Console
from train.engine.learning_rates import train_rates, with_rate
from train.engine.seeds import Stopped
from train.engine.trained import Trained
from train.tuning.search import Range
from train.tuning.sweep import Course, Sweep

FIELD = "optimizer.learning_rate"
POINTS = 200
"""Of a training curve that are kept, at most."""


class AtOnce(Sweep):
    """A sweep whose trials are given, so that others may join them."""

    def card(self, metric: Metric) -> dict[str, Any]:
        """What has to be the same: not which rates."""
        return {**super().card(metric), "search": f"{FIELD}, at once"}


def rates_of(texts: Sequence[str], recipe: Recipe) -> tuple[float, ...]:
    """Learning rates, of "optimizer.learning_rate=1e-3,1e-2".

    Raises:
      RecipeError: another field, or no rates above 0 that differ.
    """
    wanted = f"--at-once: expected {FIELD}=X,Y,... with rates above 0 that differ, got {' '.join(texts)!r}"
    if len(texts) != 1:
        raise RecipeError(wanted)
    field, _, values = texts[0].partition("=")
    try:
        rates = tuple(float(value) for value in values.split(","))
    except ValueError:
        raise RecipeError(wanted) from None
    if field.replace("-", "_") != FIELD or len(set(rates)) < max(2, len(rates)) or not all(r > 0 for r in rates):
        raise RecipeError(wanted)
    for rate in rates:
        with_rate(recipe, rate)
    return rates


def run_at_once(
    base: Recipe,
    recipe: Recipe,
    rates: Sequence[float],
    path: Path | None = None,
    metric: str | None = None,
    console: Console | None = None,
) -> int:
    """Trains the rates that are missing, and writes the page.

    Args:
      base: the named recipe, for the command to copy.
      recipe: that with what stays as it is.
      rates: learning rates, from `rates_of`.
      path: the folder; by default sweeps/NAME-at-once, or where that is of another sweep sweeps/NAME-at-once-2, ...
      metric: what ranks the rates; by default the task's own.
      console: where the course is shown.

    Returns:
      0; 1 where all diverged; what a shell expects after a signal.

    Raises:
      RecipeError, UnknownNameError, DataError: recipe or metric do not fit.
      SweepError: the folder is of another sweep, or Optuna or its database are not there.
    """
    search = Range(FIELD, min(rates), max(rates), log=True)
    console = console or Console(lasting=True)
    sweep = AtOnce(base, recipe, (search,), metric=metric)
    course = Course(sweep, path, console, "-at-once")
    with contextlib.closing(course), course.trials.in_words():
        there = [record.values[FIELD] for record in course.trials.records()]
        missing = [rate for rate in rates if rate not in there]
        course.widen((*there, *rates))
        try:
            for rate, trained in train_rates(recipe, missing, course.folder.path, console) if missing else ():
                _note(course, rate, trained)
        except Stopped as stopped:
            course.say("stopped; the same command goes on")
            return stopped.exit_code
        return course.conclude()


def _note(course: Course, rate: float, trained: Trained) -> None:
    """Makes a trial of what a rate came to."""
    result = trained.metrics.get(course.metric.name, math.nan)
    diverged = trained.diverged or ("" if math.isfinite(result) else "the metric is not finite")
    name = f"rate-{rate!r}"
    file = f"{name}.safetensors"  # of one side by side
    every = math.ceil(len(trained.curve) / POINTS) or 1
    more = {
        "folder": file if (course.folder.path / file).exists() else name,
        "seconds": trained.seconds,
        "losses": trained.curve[::every],
    }
    course.trials.add({FIELD: rate}, result, diverged, more)
