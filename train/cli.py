"""The command line: `python -m train [command]`. Without a command it runs the default recipe."""

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from train import recipe as recipes
from zoo.names import UnknownNameError, unknown

DEFAULT_RECIPE = "digits"
Arguments = Sequence[str]


def fit(arguments: Arguments) -> int:
    """Train a recipe: fit RECIPE [--workdir DIR] [--field value ...]"""
    from train.loop import fit as run
    from train.recipes import get
    from train.workdir import free_workdir

    name = arguments[0] if arguments and not arguments[0].startswith("-") else DEFAULT_RECIPE
    rest = arguments[1:] if arguments and arguments[0] == name else arguments

    @dataclasses.dataclass(frozen=True)
    class Fit:
        recipe: Annotated[recipes.Recipe, tyro.conf.arg(name="")]
        workdir: Path | None = None
        """The run's folder; by default the first free one of runs/NAME, runs/NAME-2, ..."""

    chosen = _parse(Fit, rest, f"fit {name}", default=Fit(get(name)))
    workdir = chosen.workdir or free_workdir(Path("runs"), chosen.recipe.name)
    return run(chosen.recipe, workdir).exit_code


@dataclasses.dataclass(frozen=True)
class _OfRun:
    workdir: Positional[Path]
    """A run's folder."""


def resume(arguments: Arguments) -> int:
    """Go on with an interrupted run: resume WORKDIR"""
    from train.console import Console
    from train.loop import fit as run
    from train.workdir import Workdir

    files = Workdir(_parse(_OfRun, arguments, "resume").workdir)
    recipe = files.read_recipe()
    if files.finished:
        Console().say(f"{files.path} is finished: nothing to resume; see {files.path / 'report.html'}")
        return 0
    return run(recipe, files.path, resume=True).exit_code


def evaluate(arguments: Arguments) -> int:
    """Measure a run on its held-out split: evaluate WORKDIR [--best]"""
    from train.inference import evaluate_run

    @dataclasses.dataclass(frozen=True)
    class Evaluate(_OfRun):
        best: bool = False
        """The best checkpoint instead of the last."""

    chosen = _parse(Evaluate, arguments, "evaluate")
    evaluate_run(chosen.workdir, chosen.best)
    return 0


def predict(arguments: Arguments) -> int:
    """Predict images: predict WORKDIR IMAGE [IMAGE ...]"""
    from train.inference import predict_images

    @dataclasses.dataclass(frozen=True)
    class Predict(_OfRun):
        images: Positional[tuple[Path, ...]]
        """Image files; they are resized to what the model was trained on."""
        best: bool = False
        """The best checkpoint instead of the last."""

    chosen = _parse(Predict, arguments, "predict")
    predict_images(chosen.workdir, chosen.images, chosen.best)
    return 0


def rerun(arguments: Arguments) -> int:
    """Repeat a finished run and compare, bit for bit: rerun WORKDIR"""
    from train.rerun import rerun as run

    return run(_parse(_OfRun, arguments, "rerun").workdir)


def list_recipes(arguments: Arguments) -> int:
    """List the recipes and experiments."""
    from train.recipes import print_table

    @dataclasses.dataclass(frozen=True)
    class List:
        pass

    _parse(List, arguments, "list")
    print_table()
    return 0


def prepare(arguments: Arguments) -> int:
    """Build a TFDS data set once, for reading without TensorFlow: prepare NAME [--data-dir DIR]"""
    from train.data.tfds import prepare as build

    @dataclasses.dataclass(frozen=True)
    class Prepare:
        name: Positional[str]
        """A TFDS name, such as mnist or cifar10."""
        data_dir: str | None = None
        """Where to keep it; by default TFDS's own folder."""
        manual_dir: str | None = None
        """Where archives that were fetched by hand are, for data sets that cannot be downloaded."""

    chosen = _parse(Prepare, arguments, "prepare")
    build(chosen.name, chosen.data_dir, chosen.manual_dir)
    return 0


def experiment(arguments: Arguments) -> int:
    """Reproduce a table or figure of the lecture: experiment NAME [--scale quick|paper]"""
    from train.experiments import run

    return run(arguments)


COMMANDS: dict[str, Callable[[Arguments], int]] = {
    "fit": fit,
    "resume": resume,
    "evaluate": evaluate,
    "predict": predict,
    "rerun": rerun,
    "list": list_recipes,
    "prepare": prepare,
    "experiment": experiment,
}


def main(arguments: Arguments | None = None) -> int:
    """Runs one command.

    Returns:
      the exit code: 0 for success, 1 when a run failed, 2 when the command itself is wrong.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    command, rest = (arguments[0], arguments[1:]) if arguments else ("fit", [])
    if command.startswith("-"):  # options of the default recipe
        command, rest = "fit", arguments
    try:
        if command not in COMMANDS:
            raise unknown("command", command, COMMANDS)
        _settle()
        return COMMANDS[command](rest)
    except (UnknownNameError, recipes.RecipeError) as error:
        return _fail(error, 2)
    except _run_errors() as error:
        return _fail(error, 1)


def _help() -> str:
    lines = "\n".join(f"  {name:<11}{(command.__doc__ or '').strip()}" for name, command in COMMANDS.items())
    return (
        f"usage: python -m train [command] ...\n\nWithout a command: fit {DEFAULT_RECIPE}.\n\n{lines}\n\n"
        "Each command has its own --help; `fit RECIPE --help` lists every field of the recipe."
    )


def _parse(kind: type, arguments: Arguments, command: str, **options):
    return tyro.cli(kind, args=list(arguments), prog=f"python -m train {command}", **options)


def _settle() -> None:
    """Keeps compiled programs between runs, and shows warnings as one line."""
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lecture-vision-zoo" / "xla"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    warnings.showwarning = _show_warning


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _run_errors() -> tuple[type[Exception], ...]:
    """What can go wrong in a run that is not a fault of the program (imported late: orbax is heavy)."""
    from train.checkpoint import CheckpointError
    from train.data.errors import DataError
    from train.loop import NonFiniteError
    from train.workdir import WorkdirError

    return (CheckpointError, DataError, NonFiniteError, WorkdirError)


def _fail(error: Exception, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code
