"""Many learning rates of one recipe, side by side in one program where that pays, else run after run. Lecture row L18.

As `seeds.py`, but that the runs differ in how far they move: the optimiser is made for a peak of 1, and each run scales
what it says. Each comes to what `fit` comes to with its rate, up to rounding; and what diverged is a result too.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from train.config import Recipe, RecipeError
from train.engine import exact, hosts
from train.engine.console import Console
from train.engine.optim import scaled
from train.engine.seeds import train_alone
from train.engine.side_by_side import together, train_together
from train.engine.trained import Trained


def train_rates(
    recipe: Recipe, rates: Sequence[float], path: Path, console: Console | None = None
) -> Iterator[tuple[float, Trained]]:
    """Trains a recipe once a learning rate, and yields each rate with what it came to.

    Of a rate on its own the folder rate-R holds the run; of one side by side rate-R.safetensors holds the variables,
    and rate-R_ema.safetensors their moving average.

    Args:
      recipe: its own learning rate counts for nothing.
      rates: peaks, as `optimizer.learning_rate`.
      path: the folder of all of them.
      console: where progress is shown.

    Raises:
      RecipeError: no rate, one twice or out of range, or the recipe asks for something impossible.
      WorkdirError: a folder holds something that a run must not touch, or is damaged.
      Stopped: by a signal, at a run in a folder of its own.
    """
    if not rates or len(set(rates)) < len(rates):
        raise RecipeError(f"recipe {recipe.name}: expected learning rates that differ, got {list(rates)}")
    recipes = [with_rate(recipe, rate) for rate in rates]  # which checks them
    names = [f"rate-{rate!r}" for rate in rates]
    exact.ask(recipe.exact)
    console = console or Console(quiet=not hosts.is_first())
    if len(rates) > 1 and (parts := together(with_rate(recipe, 1.0), len(rates))) is not None:
        assembly, pipeline = parts
        assembly = dataclasses.replace(assembly, optimizer=scaled(assembly.optimizer))
        seeds = [recipe.seed] * len(rates)
        found = train_together(assembly, pipeline, seeds, path, console, rates, names)
        yield from zip(rates, found, strict=True)
        return
    for rate, own, name in zip(rates, recipes, names, strict=True):
        yield rate, train_alone(own, path / name, console)


def with_rate(recipe: Recipe, rate: float) -> Recipe:
    """The recipe with another learning rate.

    Raises:
      RecipeError: it is out of range.
    """
    return dataclasses.replace(recipe, optimizer=dataclasses.replace(recipe.optimizer, learning_rate=rate))
