"""Commands that train: `fit`, `resume`, `rerun` and `experiment`."""

import dataclasses
import itertools
from pathlib import Path
from typing import Annotated, Any

import tyro

from train.cli.arguments import Arguments, OfRun, UsageError, parse
from train.cli.processes import Processes, join_processes

# What is heavy (jax, orbax) is imported by the command that needs it: help has to come at once.

DEFAULT_RECIPE = "digits"


def fit(arguments: Arguments) -> int:
    """Trains a recipe."""
    from train.config import Recipe
    from train.recipes import all_recipes, get

    named = bool(arguments) and not arguments[0].startswith("-")
    name, rest = (arguments[0], arguments[1:]) if named else (DEFAULT_RECIPE, arguments)
    recipe = get(name)
    pairs = itertools.pairwise(rest)
    later = [word for before, word in pairs if word in all_recipes() and not before.startswith("-")]
    if later and not named:
        raise UsageError(f"the recipe comes first: python -m train fit {later[0]} ...")

    @dataclasses.dataclass(frozen=True)
    class Fit:
        recipe: Annotated[Recipe, tyro.conf.arg(name="")]
        workdir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
        """The run's folder; by default the first free one of runs/NAME, runs/NAME-2, ..."""
        processes: Annotated[Processes, tyro.conf.arg(name="")] = Processes()

    recipe, rest = with_task(with_model(recipe, rest), rest)
    about = f"Trains {recipe.model.name} on {recipe.data.source}. Other recipes: python -m train list."
    chosen = parse(Fit, rest, f"fit {name}", description=about, default=Fit(recipe))
    join_processes(chosen.processes)
    from train.engine import exact
    from train.engine.hosts import path_from_first
    from train.engine.loop import fit as run
    from train.store.workdir import take_free_folder

    exact.ask(chosen.recipe.exact)
    workdir = chosen.workdir or path_from_first(lambda: take_free_folder(Path("runs"), chosen.recipe.name))
    return run(chosen.recipe, workdir).exit_code


def with_model(recipe: Any, arguments: Arguments) -> Any:
    """The recipe without the options of its model, where `--model.name` names another one, which may not have them."""
    pairs = itertools.pairwise([*arguments, ""])
    named = [word.partition("=")[2] or after for word, after in pairs if word.partition("=")[0] == "--model.name"]
    if not named or named[-1] == recipe.model.name:
        return recipe
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, options=()))


def with_task(recipe: Any, arguments: Arguments) -> tuple[Any, Arguments]:
    """The recipe with the task that `--task.kind` names, whose settings the other arguments then set."""
    from train.config import settings_of

    for i, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name != "--task.kind":
            continue
        if not equals and i + 1 == len(arguments):
            raise UsageError("--task.kind: expected the name of a task")
        kind = value if equals else arguments[i + 1]
        rest = [*arguments[:i], *arguments[i + (1 if equals else 2) :]]
        if kind == recipe.task.kind:
            return recipe, rest
        return dataclasses.replace(recipe, task=settings_of(kind)()), rest
    return recipe, arguments


def resume(arguments: Arguments) -> int:
    """Goes on with an interrupted run, from its last checkpoint, as if it had never stopped."""

    @dataclasses.dataclass(frozen=True)
    class Resume(OfRun):
        processes: Annotated[Processes, tyro.conf.arg(name="")] = Processes()

    chosen = parse(Resume, arguments, "resume", description=resume.__doc__)
    path = chosen.workdir
    join_processes(chosen.processes)
    from train.engine.console import Console
    from train.engine.loop import fit as run
    from train.store.workdir import Workdir

    files = Workdir(path)
    recipe = files.read_recipe()
    if files.finished:
        Console().say(f"{path} is finished: nothing to resume; see {files.report}")
        return 0
    return run(recipe, path, resume=True).exit_code


def rerun(arguments: Arguments) -> int:
    """Repeats a finished run in a folder beside it, and compares the final parameters bit for bit."""
    path = parse(OfRun, arguments, "rerun", description=rerun.__doc__).workdir
    from train.use.rerun import rerun as run

    return run(path)


def experiment(arguments: Arguments) -> int:
    """Reproduces a table or figure of the lecture."""
    from train.engine import exact
    from train.experiments import run

    exact.ask(True)
    return run(arguments)
