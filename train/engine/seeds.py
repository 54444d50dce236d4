"""Many seeds of one recipe, with the one engine: side by side in one program where that pays, else run after run.

`train_seeds` is the whole of it. Side by side is `side_by_side.py`. Otherwise each seed is a run of `train.engine.loop`
in a folder of its own, which can be interrupted and has a report. Either way seed k comes to what `fit` comes to with
it, up to rounding; and what diverged is a result too.
"""

import dataclasses
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from train.config import Recipe, RecipeError
from train.engine import exact, hosts
from train.engine.console import Console
from train.engine.loop import fit
from train.engine.meter import NonFiniteError
from train.engine.side_by_side import together, train_together
from train.engine.trained import Trained, of_lines
from train.store import journal
from train.store.files import measured
from train.store.workdir import Workdir, WorkdirError


class Stopped(KeyboardInterrupt):
    """A signal stopped a run; it is saved and can go on."""

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


def train_seeds(
    recipe: Recipe, seeds: Sequence[int], path: Path, console: Console | None = None, apart: bool = False
) -> Iterator[tuple[int, Trained]]:
    """Trains a recipe once a seed, and yields each seed with what it came to.

    Of a seed on its own the folder seed-K holds the run; of one side by side seed-K.safetensors holds the variables,
    and seed-K_ema.safetensors their moving average.

    Args:
      recipe: its own seed counts for nothing.
      seeds: which.
      path: the folder of all of them.
      console: where progress is shown.
      apart: never side by side: each seed leaves a run.

    Raises:
      RecipeError: no seed, or the recipe asks for something impossible.
      WorkdirError: a folder holds something that a run must not touch, or is damaged.
      Stopped: by a signal, at a run in a folder of its own.
    """
    if not seeds:
        raise RecipeError(f"recipe {recipe.name}: expected at least one seed, got none")
    exact.ask(recipe.exact)
    console = console or Console(quiet=not hosts.is_first())
    if not apart and len(seeds) > 1 and (parts := together(recipe, len(seeds))) is not None:
        yield from zip(seeds, train_together(*parts, seeds, path, console), strict=True)
        return
    for seed in seeds:
        yield seed, train_alone(dataclasses.replace(recipe, seed=seed), path / f"seed-{seed}", console)


def train_alone(recipe: Recipe, path: Path, console: Console | None = None) -> Trained:
    """Trains a recipe in a folder of its own: goes on with a run of it that is there, and repeats none.

    Raises:
      RecipeError, WorkdirError, DataError, CheckpointError: see `train.engine.loop.fit`.
      Stopped: by a signal.
    """
    files = Workdir(folder_for(recipe, path))
    begun, finished = (bool(hosts.from_first(int(there))) for there in (files.card.exists(), files.finished))
    if begun and finished:
        return _of_run(files)
    started = time.perf_counter()
    try:
        outcome = fit(recipe, files.path, resume=begun, console=console)
    except NonFiniteError as error:
        return _of_run(files, str(error), time.perf_counter() - started)
    if outcome.fingerprint is None:
        raise Stopped(outcome.exit_code)
    return _of_run(files)


def folder_for(recipe: Recipe, path: Path) -> Path:
    """The folder of a run of this very recipe, or the first free one: `path`, `path`-2, `path`-3, ...

    Raises:
      WorkdirError: the recipe of a run that is there cannot be read.
    """

    def choose() -> Path:
        for number in itertools.count(1):
            files = Workdir(path if number == 1 else path.with_name(f"{path.name}-{number}"))
            if not files.card.exists() or files.read_recipe() == recipe:
                break
        return files.path

    return hosts.path_from_first(choose)


def _of_run(files: Workdir, diverged: str = "", seconds: float = 0.0) -> Trained:
    """What the run in a folder came to.

    Raises:
      WorkdirError: a file of it is damaged.
    """
    try:
        card = files.read_card()
        names = [metric["name"] for metric in card["metrics"]]
        lines = [record for record in journal.ordered(files.metrics) if record["kind"] == "train"]
        result = {} if diverged else json.loads(files.fingerprint.read_text(encoding="utf-8"))
        return of_lines(
            {} if diverged else measured(result["metrics"]),
            lines,
            names,
            card["steps_per_epoch"],
            card["model"]["parameters"],
            seconds if diverged else result["seconds"],
            diverged,
            ema=card["recipe"]["optimizer"]["ema"] is not None,
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WorkdirError(f"{files.path} holds a run whose results are damaged: {error!r}") from error
