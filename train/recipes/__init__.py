"""Named recipes, a short file a chapter; each file's docstring has the commands and the measured results."""

import importlib

from train.recipe import Recipe
from zoo.names import unknown

_CHAPTERS = ("digits", "mnist", "cifar10", "cifar", "imagenet", "transfer", "sphere")


def all_recipes() -> dict[str, Recipe]:
    """Every named recipe."""
    found = {}
    for chapter in _CHAPTERS:
        for recipe in importlib.import_module(f"train.recipes.{chapter}").RECIPES:
            if recipe.name in found:
                raise ValueError(f"two recipes are named {recipe.name!r}; the second is in {chapter}.py")
            found[recipe.name] = recipe
    return found


def get(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
      UnknownNameError: there is none; the message names the nearest.
    """
    recipes = all_recipes()
    if name not in recipes:
        raise unknown("recipe", name, recipes)
    return recipes[name]


def print_table() -> None:
    """Prints every recipe and experiment in a line."""
    from rich.console import Console
    from rich.table import Column, Table

    from train.experiments import EXPERIMENTS

    name = Column("recipe", no_wrap=True)
    table = Table(name, "model, data and length", title="python -m train fit RECIPE")
    for recipe in all_recipes().values():
        length = f"{recipe.steps:,} steps" if recipe.steps else f"{recipe.epochs} epochs"
        table.add_row(recipe.name, f"{recipe.model.name}, {recipe.data.source}, {length}")
    Console().print(table)
    table = Table("experiment", "what it shows", title="python -m train experiment NAME")
    for name, experiment in EXPERIMENTS.items():
        table.add_row(name, experiment.summary)
    Console().print(table)
