"""Commands about what there is: `list` and `prepare`."""

import dataclasses
from typing import Annotated

import tyro
from tyro.conf import Positional

from train.cli.arguments import Arguments, parse


def list_recipes(arguments: Arguments) -> int:
    """Lists the recipes and experiments."""
    parse(_Nothing, arguments, "list", description=list_recipes.__doc__)
    from rich.console import Console
    from rich.table import Column, Table

    from train.experiments import EXPERIMENTS
    from train.recipes import all_recipes

    name = Column("recipe", no_wrap=True)
    table = Table(name, "model, data and length", title="python -m train fit RECIPE")
    for recipe in all_recipes().values():
        length = f"{recipe.steps:,} steps" if recipe.steps else f"{recipe.epochs} epochs"
        table.add_row(recipe.name, f"{recipe.model.name}, {recipe.data.source}, {length}")
    Console().print(table)
    table = Table("experiment", "what it shows", title="python -m train experiment NAME")
    for experiment_name, found in EXPERIMENTS.items():
        table.add_row(experiment_name, found.summary)
    Console().print(table)
    return 0


@dataclasses.dataclass(frozen=True)
class _Nothing:
    pass


def prepare(arguments: Arguments) -> int:
    """Builds a TFDS data set once, so that reading it needs no TensorFlow."""

    @dataclasses.dataclass(frozen=True)
    class Prepare:
        name: Annotated[Positional[str], tyro.conf.arg(metavar="NAME")]
        """A TFDS name, such as mnist or cifar10."""
        data_dir: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
        """Where to keep it; by default TFDS's own folder."""
        manual_dir: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
        """Where archives that were fetched by hand are, for data sets that cannot be downloaded."""

    chosen = parse(Prepare, arguments, "prepare", description=prepare.__doc__)
    from train.data.sources.tfds import prepare as build

    print(build(chosen.name, chosen.data_dir, chosen.manual_dir))
    return 0
