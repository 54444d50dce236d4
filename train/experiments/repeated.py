"""What experiments that repeat each training with several seeds share: running, tables of mean and spread."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.console import Console
from train.errors import RunError
from train.experiments import Repeated
from train.experiments.arms import conclude
from train.files import write_json
from train.recipe import Recipe, RecipeError, to_dict
from train.repeats import groups, repeat

INTERRUPTED = 130
"""What a program that was interrupted exits with."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What the repeats of one recipe came to."""

    metrics: Mapping[str, Sequence[float]]
    """Of the held-out examples, a number a seed."""
    losses: Sequence[Sequence[float]]
    """Mean training loss of each epoch, a row a seed."""
    seconds: float

    def mean(self, name: str, scale: float = 1.0) -> float:
        """The mean over the seeds; nan if one of them is not finite."""
        values = self.metrics[name]
        return scale * float(np.mean(values)) if np.isfinite(values).all() else math.nan

    def spread(self, name: str, scale: float = 1.0) -> float:
        """The standard deviation over the seeds; of one seed 0; nan if one of them is not finite."""
        values = self.metrics[name]
        if not np.isfinite(values).all():
            return math.nan
        return scale * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    def percent(self, name: str) -> str:
        """Mean and spread of a share, in percent."""
        return with_spread([100 * value for value in self.metrics[name]])


def run_arms(recipes: Mapping[str, Recipe], seeds: int, first: int, workdir: Path) -> dict[str, Result] | None:
    """Trains each recipe with several seeds; None when it was interrupted.

    A second call does not repeat what is finished, and adds seeds to it. What was interrupted starts again.

    Args:
      recipes: by their names in the table.
      seeds: how many.
      first: the first of them.
      workdir: where each arm's numbers are kept.

    Raises:
      RecipeError: no seed, or one below 0.
      RunError: the numbers that an earlier call kept are damaged.
    """
    if seeds < 1 or first < 0:
        raise RecipeError(f"expected one seed or more from 0 on, got {seeds} from {first} on")
    console, results = Console(), {}
    for name, recipe in recipes.items():
        file = workdir / f"{recipe.name}.json"
        found = _kept(file, recipe)
        missing = [seed for seed in range(first, first + seeds) if str(seed) not in found]
        if missing:
            console.say(name, style="bold")
            workdir.mkdir(parents=True, exist_ok=True)
            try:
                for group in groups(recipe, missing):
                    found |= _of_group(recipe, group, console)
                    write_json(file, {"recipe": to_dict(recipe), "seeds": found})
            except KeyboardInterrupt:
                console.say(f"interrupted; the same command goes on with: {name}")
                return None
        of_seeds = [found[str(seed)] for seed in range(first, first + seeds)]
        results[name] = Result(
            {metric: [each["metrics"][metric] for each in of_seeds] for metric in of_seeds[0]["metrics"]},
            [each["losses"] for each in of_seeds],
            sum(each["seconds"] for each in of_seeds),
        )
        shown = ", ".join(f"{metric} {with_spread(values, 3)}" for metric, values in results[name].metrics.items())
        console.say(f"{name}: {shown}")
    return results


def conduct(
    name: str,
    options: Repeated,
    seeds: Mapping[str, int],
    recipes: Mapping[str, Recipe],
    verdict: Callable[[Mapping[str, Result]], dict[str, bool]],
    table: Callable[[Mapping[str, Result]], str],
    figure: Callable[[Mapping[str, Result]], Any],
) -> int:
    """Trains every arm, and writes numbers, table and figure.

    Args:
      name: the experiment's.
      options: what the person asked for.
      seeds: how many at each scale, where the options do not say.
      recipes: the arms.
      verdict: the claims, each True or False of some results.
      table: the results in Markdown, with the published ones.
      figure: the results drawn.

    Returns:
      0 when every claim holds, 1 when not, 130 when interrupted.
    """
    results = run_arms(recipes, options.seeds or seeds[options.scale], options.seed, options.workdir)
    if results is None:
        return INTERRUPTED
    numbers = {arm: dataclasses.asdict(result) for arm, result in results.items()}
    return conclude(name, options.workdir, numbers, verdict(results), table(results), figure(results), Console())


def _of_group(recipe: Recipe, seeds: Sequence[int], console: Console) -> dict[str, dict]:
    """What some seeds come to, each by its name."""
    started = time.perf_counter()
    done = repeat(recipe, seeds, console)
    seconds = (time.perf_counter() - started) / len(seeds)
    return {
        str(seed): {
            "metrics": {metric: values[i] for metric, values in done.metrics.items()},
            "losses": done.losses[i],
            "seconds": seconds,
        }
        for i, seed in enumerate(seeds)
    }


def _kept(file: Path, recipe: Recipe) -> dict[str, dict]:
    """What earlier calls found of this very recipe, by seed."""
    if not file.exists():
        return {}
    try:
        kept = json.loads(file.read_text())
        same, seeds = kept["recipe"] == json.loads(json.dumps(to_dict(recipe))), dict(kept["seeds"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file} is damaged ({error!r}): delete it to train this arm again") from error
    return seeds if same else {}


def smaller(ours: float, theirs: float) -> bool:
    """Whether our error is the smaller one; an error that is not finite is larger than any.

    >>> smaller(2.0, 3.0), smaller(2.0, math.nan), smaller(math.nan, math.nan)
    (True, True, False)
    """
    return math.isfinite(ours) and not theirs <= ours


def with_spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean and, of several values, their standard deviation; of values that are not all finite a word.

    >>> with_spread([1.0, 3.0]), with_spread([2.0])
    ('2.0 ± 1.4', '2.0')
    """
    if not np.isfinite(values).all():
        return "diverged"
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean


def grid(corner: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(grid("dims", ("3", "5"), {"ours": ("1", "2")}), end="")
    | dims | 3 | 5 |
    |---|--:|--:|
    | ours | 1 | 2 |
    """
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---|" + len(columns) * "--:|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())]) + "\n"
