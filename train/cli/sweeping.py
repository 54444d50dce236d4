"""The command that searches hyperparameters: `sweep`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from train.cli.arguments import Arguments, UsageError, parse
from train.cli.training import with_model, with_task

_OF_SEARCH = ("trials", "pruner", "startup", "unpruned", "storage")
"""Options that mean nothing where all trials are given."""
_MANY = ("--search", "--at-once")
"""Options that may come several times, each with several words."""


def sweep(arguments: Arguments) -> int:
    """Trains a recipe with many hyperparameters, and says which are best."""
    from train.config import Recipe
    from train.recipes import get

    named = bool(arguments) and not arguments[0].startswith("-")
    if not named and not {"-h", "--help"} & set(arguments):
        raise UsageError("sweep: expected a recipe first: python -m train sweep RECIPE --search FIELD=SPACE ...")
    name, rest = (arguments[0], arguments[1:]) if named else ("digits_mlp", arguments)
    base = get(name)

    @dataclasses.dataclass(frozen=True)
    class Sweep:
        recipe: Annotated[Recipe, tyro.conf.arg(name="")]
        search: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=SPACE ...")] = ()
        """Fields of the recipe and where to search each: LOW..HIGH, log:LOW..HIGH, or choices X,Y,Z; such as
        optimizer.learning_rate=log:1e-4..1 and, of an option of the model, model.options.dropout=0..0.5."""
        at_once: Annotated[tuple[str, ...], tyro.conf.arg(metavar="optimizer.learning_rate=X,Y,...")] = ()
        """In place of a search: learning rates that train side by side in one program, where that pays."""
        trials: int = 20
        """How many in all, those of earlier calls and of other processes too."""
        metric: str | None = None
        """What decides, at a trial's last evaluation; by default the task's own, which ranks checkpoints."""
        pruner: Literal["median", "none"] = "median"
        """median: stop a trial that is worse than the median of the others at the same evaluation; none: never."""
        startup: int = 5
        """Trials that are drawn at random before TPE, which must be finished before any is pruned."""
        unpruned: int = 1
        """Evaluations of a trial after which it cannot be pruned yet."""
        storage: Annotated[str | None, tyro.conf.arg(metavar="URL")] = None
        """Where the trials are kept, such as postgresql://...; by default a file of SQLite in the sweep's folder."""
        workdir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
        """The sweep's folder; by default sweeps/NAME, or the first of sweeps/NAME-2, ... that is not of another
        sweep."""

    recipe, rest = with_task(with_model(base, rest), _gathered(rest))
    about = f"Searches hyperparameters of {recipe.model.name} on {recipe.data.source}; the recipe's seed is its too."
    chosen = parse(Sweep, rest, f"sweep {name}" if named else "sweep", description=about, default=Sweep(recipe))
    if bool(chosen.search) == bool(chosen.at_once):
        raise UsageError("sweep: expected --search FIELD=SPACE ..., or --at-once optimizer.learning_rate=X,Y,...")
    from train.tuning import search as spaces
    from train.tuning import sweep as course

    options = {
        field.name: getattr(chosen, field.name)
        for field in dataclasses.fields(course.Sweep)
        if field.name not in ("base", "recipe", "searches")
    }
    if chosen.at_once:
        from train.tuning.at_once import rates_of, run_at_once

        plain = Sweep(recipe)
        if given := [name for name in _OF_SEARCH if getattr(chosen, name) != getattr(plain, name)]:
            raise UsageError(f"sweep: --{given[0]} is of --search: with --at-once every rate is a trial, in its folder")
        rates = rates_of(chosen.at_once, chosen.recipe)
        return run_at_once(base, chosen.recipe, rates, chosen.workdir, chosen.metric)
    searches = spaces.parse(chosen.search, chosen.recipe)
    return course.run(course.Sweep(base, chosen.recipe, searches, **options), chosen.workdir)


def _gathered(arguments: Arguments) -> list[str]:
    """The arguments with all words of an option that comes several times after its first occurrence."""
    words: dict[str, list[str]] = {}
    others, option = [], None
    for word in arguments:
        name, equals, value = word.partition("=")
        name = name.replace("_", "-")
        if name in _MANY:
            option = name
            words.setdefault(name, []).extend([value] if equals else [])
        elif option is not None and not word.startswith("--"):
            words[option].append(word)
        else:
            option = None
            others.append(word)
    return [*others, *(word for name, found in words.items() for word in (name, *found))]
