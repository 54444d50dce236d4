"""Named recipes, a short file a chapter; each file's docstring has the commands and the measured results."""

import importlib

from train.config import Recipe
from zoo.names import unknown

_CHAPTERS = (
    "digits",
    "mnist",
    "cifar10",
    "cifar",
    "imagenet",
    "transfer",
    "sphere",
    "scenes",
    "surfaces",
    "detection",
    "flow",
    "video",
    "sequences",
    "captioning",
    "equivariant",
    "graphs",
    "penn_fudan",
    "camvid",
    "photographs",
    "frontiers",
)


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
