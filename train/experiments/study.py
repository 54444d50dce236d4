"""A study: recipes that are trained alike, each with some seeds, and what is said of them. Most experiments are one.

Read `Study` first. `Study.run` trains what is missing and concludes: numbers, table, figure, and which claims hold. An
experiment that trains nothing uses `conclude` alone.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.config import Recipe, RecipeError, RunError, to_dict
from train.engine import hosts
from train.engine.console import Console
from train.engine.seeds import Stopped, folder_for, train_seeds
from train.engine.trained import Trained
from train.experiments.tables import with_spread
from train.report.theme import png
from train.store.files import finite, measured, write_bytes, write_json, write_text

INTERRUPTED = 130
"""What a program that was interrupted exits with."""
DPI = 150


@dataclasses.dataclass(frozen=True)
class Result:
    """What the seeds of one recipe came to."""

    metrics: Mapping[str, Sequence[float]]
    """Of the held-out examples, and as train_... of training over its last epoch: a number a seed."""
    curves: Sequence[Sequence[tuple[int, float]]] = ()
    """Training steps done, and the mean loss since those before: a curve a seed."""
    parameters: int = 0
    """How many the model has."""
    seconds: float = 0.0
    """Of all seeds."""

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

    def error(self, name: str) -> float:
        """One less the mean of a share."""
        return 1 - self.mean(name)


Results = Mapping[str, Result]
"""By the name of the arm."""


@dataclasses.dataclass(frozen=True)
class Study:
    """Recipes, how many seeds each has, and what is made of the results."""

    name: str
    """The experiment's."""
    arms: Mapping[str, Recipe]
    """By their names in the table; their own seeds count for nothing."""
    seeds: int
    """How many, from `first` on."""
    claims: Callable[[Results], dict[str, bool]]
    """The statements, each True or False of some results."""
    table: Callable[[Results], str]
    """The results in Markdown, with the published ones."""
    figure: Callable[[Results], Any]
    """The results drawn, as a `matplotlib.figure.Figure`."""
    first: int = 0
    """The first seed."""
    measure: Callable[[Path], Mapping[str, float]] | None = None
    """More numbers of a finished run in its folder, such as seconds an image, which join its metrics. With it seeds
    train one after the other, for those side by side leave no run (`train.engine.seeds`)."""

    def __post_init__(self) -> None:
        names = [recipe.name for recipe in self.arms.values()]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{self.name}: several arms have recipes of one name: {', '.join(sorted(twice))}")

    def run(self, workdir: Path) -> int:
        """Trains what is missing, and writes NAME.json, NAME.md and NAME.png.

        Returns:
          0 when every claim holds, 1 when not, 130 when interrupted.

        Raises:
          RecipeError: no seed, or one below 0; or a recipe asks for something impossible.
          RunError: what an earlier call left is damaged.
        """
        console = Console(quiet=not hosts.is_first(), lasting=True)
        try:
            results = self.train(workdir, console)
        except Stopped as stopped:
            return stopped.exit_code or 1  # a signal of the system ends a run with 0
        except KeyboardInterrupt:
            return INTERRUPTED
        numbers = {arm: dataclasses.asdict(result) for arm, result in results.items()}
        figure = self.figure(results)
        return conclude(self.name, workdir, numbers, self.claims(results), self.table(results), figure, console)

    def train(self, workdir: Path, console: Console) -> dict[str, Result]:
        """Trains every recipe with every seed, but for what is finished; what was interrupted goes on.

        WORKDIR/RECIPE.json says what each seed came to; the folder WORKDIR/RECIPE has the runs. Where those are of
        another recipe of that name they stay, and this one has RECIPE-2.json and RECIPE-2, and so on.

        Raises:
          KeyboardInterrupt: after saying how to go on; or see `run`.
        """
        seeds = range(self.first, self.first + self.seeds)
        if self.seeds < 1 or self.first < 0:
            raise RecipeError(f"expected one seed or more from 0 on, got {self.seeds} from {self.first} on")
        results = {}
        apart = self.measure is not None
        for arm, recipe in self.arms.items():
            file = _file_for(recipe, workdir)
            if file.stem != recipe.name:
                console.say(f"{arm}: {recipe.name}.json is of other settings, and stays; these are in {file.name}")
            found = _kept(file)[1]
            missing = [seed for seed in seeds if seed not in found]
            console.say(arm if missing else f"{arm}: finished before", style="bold" if missing else None)
            folder = workdir / file.stem
            try:
                for seed, trained in train_seeds(recipe, missing, folder, console, apart) if missing else ():
                    found[seed] = self._measured(trained, dataclasses.replace(recipe, seed=seed), folder)
                    hosts.first_does(lambda file=file, recipe=recipe, found=found: _keep(file, recipe, found))
            except KeyboardInterrupt:
                console.say(f"interrupted; the same command goes on with: {arm}")
                raise
            results[arm] = _result([found[seed] for seed in seeds])
            diverged = any(found[seed].diverged for seed in seeds)
            shown = (
                f"{name} {with_spread(values, 3)}"
                for name, values in results[arm].metrics.items()
                if not name.startswith("train_") and (diverged or np.isfinite(values).any())  # else there is nothing
            )
            console.say(f"{arm}: {', '.join(shown)}")
        return results

    def _measured(self, trained: Trained, recipe: Recipe, path: Path) -> Trained:
        """With the numbers of `measure`; what diverged has nothing to measure."""
        if self.measure is None or trained.diverged:
            return trained
        more = self.measure(folder_for(recipe, path / f"seed-{recipe.seed}"))
        return dataclasses.replace(trained, metrics={**trained.metrics, **more})


def conclude(
    name: str,
    workdir: Path,
    numbers: Mapping[str, Any],
    claims: Mapping[str, bool],
    table: str,
    figure: Any,
    console: Console,
) -> int:
    """Writes an experiment's numbers, table and figure, and says which claims hold.

    Returns:
      0 when all do, else 1.
    """

    def write() -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / f"{name}.json", finite({"results": numbers, "holds": claims}))
        write_text(workdir / f"{name}.md", table)
        write_bytes(workdir / f"{name}.png", png(figure, DPI))

    hosts.first_does(write)
    console.say(table)
    for claim, holds in claims.items():
        console.say(f"{'yes' if holds else 'NO '}  {claim}")
    console.say(f"figure: {workdir / f'{name}.png'}")
    return 0 if all(claims.values()) else 1


def _result(each: Sequence[Trained]) -> Result:
    names = dict.fromkeys(name for trained in each for name in trained.metrics)
    return Result(
        {name: [trained.metrics.get(name, math.nan) for trained in each] for name in names},
        [trained.curve for trained in each],
        each[0].parameters,
        sum(trained.seconds for trained in each),
    )


def _keep(file: Path, recipe: Recipe, found: Mapping[int, Trained]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    seeds = {str(seed): dataclasses.asdict(trained) for seed, trained in sorted(found.items())}
    write_json(file, {"recipe": _whatever_seed(recipe), "seeds": finite(seeds)})


def _file_for(recipe: Recipe, workdir: Path) -> Path:
    """The results of this very recipe, or the first free place: RECIPE.json, RECIPE-2.json, RECIPE-3.json, ...

    Raises:
      RunError: a file there is damaged.
    """
    own = json.loads(json.dumps(_whatever_seed(recipe)))

    def choose() -> Path:
        for number in itertools.count(1):
            file = workdir / (f"{recipe.name}.json" if number == 1 else f"{recipe.name}-{number}.json")
            if not file.exists() or _kept(file)[0] == own:
                break
        return file

    return hosts.path_from_first(choose)


def _kept(file: Path) -> tuple[dict[str, Any], dict[int, Trained]]:
    """The recipe that earlier calls trained, and what they found, by seed."""
    if not file.exists():
        return {}, {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return kept["recipe"], {int(seed): _as_trained(values) for seed, values in kept["seeds"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{file} is damaged ({error!r}): delete it to train this arm again, but for runs that are finished"
        ) from error


def _as_trained(values: Mapping[str, Any]) -> Trained:
    curve = [(step, math.nan if loss is None else loss) for step, loss in values["curve"]]
    return Trained(**{**values, "metrics": measured(values["metrics"]), "curve": curve})


def _whatever_seed(recipe: Recipe) -> dict[str, Any]:
    return to_dict(dataclasses.replace(recipe, seed=0))
