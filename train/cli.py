"""The command line: `python -m train [command]`. Without a command it runs the default recipe."""

import contextlib
import dataclasses
import importlib
import itertools
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from zoo.terminal import visible, write_out_unknown_characters

# What is heavy (jax, orbax) is imported by the command that needs it: help has to come at once.

DEFAULT_RECIPE = "digits"
Arguments = Sequence[str]
_FLAGS = (tyro.conf.FlagCreatePairsOff,)  # --best, but no --no-best


class UsageError(ValueError):
    """The command itself is wrong."""


@dataclasses.dataclass(frozen=True)
class _Processes:
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Where the processes of one run meet: the first one's address. With --num-processes and --process-id."""
    num_processes: Annotated[int | None, tyro.conf.arg(metavar="NUMBER")] = None
    """How many processes make one run. With --coordinator and --process-id."""
    process_id: Annotated[int | None, tyro.conf.arg(metavar="NUMBER")] = None
    """Which of a run's processes this is, from 0; the first alone writes and prints."""


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
        processes: Annotated[_Processes, tyro.conf.arg(name="")] = _Processes()

    recipe, rest = _with_task(recipe, rest)
    about = f"Trains {recipe.model.name} on {recipe.data.source}. Other recipes: python -m train list."
    chosen = _parse(Fit, rest, f"fit {name}", description=about, default=Fit(recipe))
    _join_processes(chosen.processes)
    from train.engine import exact
    from train.engine.hosts import path_from_first
    from train.engine.loop import fit as run
    from train.store.workdir import free_workdir

    exact.ask(chosen.recipe.exact)
    workdir = chosen.workdir or path_from_first(lambda: free_workdir(Path("runs"), chosen.recipe.name))
    return run(chosen.recipe, workdir).exit_code


def _with_task(recipe: Any, arguments: Arguments) -> tuple[Any, Arguments]:
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


@dataclasses.dataclass(frozen=True)
class _OfRun:
    workdir: Annotated[Positional[Path], tyro.conf.arg(metavar="WORKDIR")]
    """A run's folder."""


def resume(arguments: Arguments) -> int:
    """Goes on with an interrupted run, from its last checkpoint, as if it had never stopped."""

    @dataclasses.dataclass(frozen=True)
    class Resume(_OfRun):
        processes: Annotated[_Processes, tyro.conf.arg(name="")] = _Processes()

    chosen = _parse(Resume, arguments, "resume", description=resume.__doc__)
    path = chosen.workdir
    _join_processes(chosen.processes)
    from train.engine.console import Console
    from train.engine.loop import fit as run
    from train.store.workdir import Workdir

    files = Workdir(path)
    recipe = files.read_recipe()
    if files.finished:
        Console().say(f"{path} is finished: nothing to resume; see {files.report}")
        return 0
    return run(recipe, path, resume=True).exit_code


def evaluate(arguments: Arguments) -> int:
    """Measures a run, or a model with --weights alone, on the whole held-out split."""

    @dataclasses.dataclass(frozen=True)
    class Evaluate(_OfWeights):
        workdir: Annotated[Positional[Path | None], tyro.conf.arg(metavar="[WORKDIR]")] = None
        """A run's folder; none with --weights."""
        best: bool = False
        """Of a run, the best checkpoint instead of the last."""
        source: Annotated[str | None, tyro.conf.arg(name="data.source", metavar="SOURCE")] = None
        """With --weights: folder:PATH, tfds:NAME, npz:PATH or digits; its test split is measured on."""
        data_dir: Annotated[str | None, tyro.conf.arg(name="data.data-dir", metavar="DIR")] = None
        """With --weights: where prepared TFDS data sets are; by default TFDS's own folder."""
        batch_size: Annotated[int, tyro.conf.arg(name="data.eval-batch-size", metavar="N")] = 100
        """With --weights: examples a step."""

    chosen = _parse(Evaluate, arguments, "evaluate", description=evaluate.__doc__, config=_FLAGS)
    by_name = {"--model.name": chosen.model, "--data.source": chosen.source}
    if chosen.weights is None and chosen.workdir is None:
        raise UsageError(f"evaluate: expected WORKDIR, or --weights with {' and '.join(by_name)}")
    _check_of_weights(chosen, "evaluate", by_name, [] if chosen.workdir is None else [chosen.workdir])
    if chosen.weights is None:
        from train.use.evaluate import evaluate_run

        evaluate_run(chosen.workdir, chosen.best)
        return 0
    from train.config import Data
    from train.use.classifier import classifier_of
    from train.use.evaluate import evaluate_classifier

    data = Data(chosen.source, chosen.data_dir, eval_batch_size=chosen.batch_size)
    evaluate_classifier(classifier_of(chosen.model, chosen.weights, chosen.mean, chosen.std), data)
    return 0


@dataclasses.dataclass(frozen=True)
class _OfWeights:
    weights: Annotated[str | None, tyro.conf.arg(metavar="FILE|NAME")] = None
    """Instead of a run: a file of weights, or published ones such as IMAGENET1K_V1."""
    model: Annotated[str | None, tyro.conf.arg(name="model.name", metavar="MODEL")] = None
    """With --weights: a name of `python -m zoo list`."""
    mean: Annotated[tuple[float, ...], tyro.conf.arg(name="augment.mean", metavar="X ...")] = ()
    """With --weights: what to subtract from images in [0, 1]; by default as published, else nothing."""
    std: Annotated[tuple[float, ...], tyro.conf.arg(name="augment.std", metavar="X ...")] = ()
    """With --weights: what to divide by after that."""


def _check_of_weights(chosen: Any, command: str, by_name: dict[str, Any], run: Sequence[Path]) -> None:
    """Refuses options of a run with --weights, and those of weights without."""
    options = {**by_name, "--augment.mean": chosen.mean, "--augment.std": chosen.std}
    if chosen.weights is None:
        if given := [name for name, value in options.items() if value]:
            raise UsageError(f"{command}: {given[0]} goes with --weights; a run has its own")
        return
    of_run = {str(path): True for path in run} | {f"--{name}": getattr(chosen, name, False) for name in ("best", "ema")}
    if given := [name for name, value in of_run.items() if value]:
        raise UsageError(f"{command}: {given[0]} is of a run, --weights of none: leave out one of them")
    if missing := [name for name, value in by_name.items() if value is None]:
        raise UsageError(f"{command} --weights {chosen.weights}: expected {' and '.join(missing)} too")


def predict(arguments: Arguments) -> int:
    """Predicts images with a run's model, or a model with --weights alone."""

    @dataclasses.dataclass(frozen=True)
    class Predict(_OfWeights):
        paths: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="[WORKDIR] IMAGE ...")] = ()
        """A run's folder, but with --weights none; image files of any size, resized to what the model takes."""
        best: bool = False
        """The best checkpoint instead of the last."""
        ema: bool = False
        """The moving average of the parameters, of a run that keeps one."""
        output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
        """Where a picture an image and predictions.json are written; by default WORKDIR/predictions, and with --weights
        nowhere."""

    chosen = _parse(Predict, arguments, "predict", description=predict.__doc__, config=_FLAGS)
    _check_of_weights(chosen, "predict", {"--model.name": chosen.model}, [])
    runs = 1 if chosen.weights is None else 0
    run, images = chosen.paths[:runs], chosen.paths[runs:]
    if not images:
        of = run[0] if run else "WORKDIR" if chosen.weights is None else f"--weights {chosen.weights}"
        raise UsageError(f"predict {of}: expected one or more image files")
    if run:
        from train.use.predict import predict_images

        predict_images(run[0], images, chosen.best, chosen.ema, chosen.output or run[0] / "predictions")
        return 0
    from train.use.classifier import classifier_of
    from train.use.predict import predict_by_classifier

    classifier = classifier_of(chosen.model, chosen.weights, chosen.mean, chosen.std)
    predict_by_classifier(classifier, images, chosen.output)
    return 0


def explain(arguments: Arguments) -> int:
    """Draws what a model sees in an image: what it says, why, and what each of its stages computes."""

    @dataclasses.dataclass(frozen=True)
    class Explain:
        of: Annotated[Positional[str], tyro.conf.arg(metavar="WORKDIR|MODEL")]
        """A run's folder, or a model's name."""
        image: Annotated[Positional[Path], tyro.conf.arg(metavar="IMAGE")]
        """An image file of any size."""
        weights: Annotated[str | None, tyro.conf.arg(metavar="FILE|NAME")] = None
        """Of a MODEL: a file, or published weights such as IMAGENET1K_V1; by default the first published."""
        layer: Annotated[str | None, tyro.conf.arg(metavar="FEATURE")] = None
        """Where Grad-CAM looks for evidence, such as stage3; by default the last map."""
        label: Annotated[str | None, tyro.conf.arg(name="class", metavar="NAME|NUMBER")] = None
        """The class to explain; by default the predicted one."""
        best: bool = False
        """Of a run, the best checkpoint instead of the last."""
        ema: bool = False
        """Of a run, the moving average of the variables."""
        output: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("explain.png")
        """The picture to write."""

    chosen = _parse(Explain, arguments, "explain", description=explain.__doc__)
    from train.use.explain import explain as draw

    options = {"best": chosen.best, "ema": chosen.ema}
    of = os.path.expanduser(chosen.of)
    draw(of, chosen.image, chosen.output, chosen.weights, chosen.layer, chosen.label, **options)
    return 0


def rerun(arguments: Arguments) -> int:
    """Repeats a finished run in a folder beside it, and compares the final parameters bit for bit."""
    path = _parse(_OfRun, arguments, "rerun", description=rerun.__doc__).workdir
    from train.use.rerun import rerun as run

    return run(path)


def list_recipes(arguments: Arguments) -> int:
    """Lists the recipes and experiments."""
    _parse(_Nothing, arguments, "list", description=list_recipes.__doc__)
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

    chosen = _parse(Prepare, arguments, "prepare", description=prepare.__doc__)
    from train.data.sources.tfds import prepare as build

    print(build(chosen.name, chosen.data_dir, chosen.manual_dir))
    return 0


def experiment(arguments: Arguments) -> int:
    """Reproduces a table or figure of the lecture."""
    from train.engine import exact
    from train.experiments import run

    exact.ask(True)
    return run(arguments)


COMMANDS: dict[str, tuple[Callable[[Arguments], int], str, str]] = {
    "fit": (fit, "[RECIPE] [--FIELD VALUE ...]", "train a recipe"),
    "resume": (resume, "WORKDIR", "go on with an interrupted run"),
    "evaluate": (evaluate, "WORKDIR|--weights ...", "measure a run, or weights, on a test split"),
    "predict": (predict, "WORKDIR|--weights ... IMAGE ...", "predict images"),
    "explain": (explain, "WORKDIR|MODEL IMAGE ...", "draw what a model sees in an image"),
    "rerun": (rerun, "WORKDIR", "repeat a run and compare the bits"),
    "list": (list_recipes, "", "list recipes and experiments"),
    "prepare": (prepare, "NAME [--data-dir DIR]", "build a TFDS data set once"),
    "experiment": (experiment, "NAME [--scale SCALE]", "reproduce a figure of the lecture"),
}
"""What each command runs, what is typed after it, and what it is for."""

_WITHOUT_JAX = ("list", "prepare")
_JOIN_LATER = ("fit", "resume")  # once their arguments are read
_PROCESS_FLAGS = ("--coordinator", "--num-processes", "--process-id")
_PROCESS_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def main(arguments: Arguments | None = None) -> int:
    """Runs one command.

    Returns:
      the exit code: 0 for success, 1 when a run failed, 2 when the command itself is wrong, 130 after Ctrl-C.
    """
    write_out_unknown_characters()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: or a file of the run would take its place
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    if arguments and arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if arguments == ["--version"]:
        print(f"lecture-vision-zoo {importlib.import_module('zoo').__version__}")
        return 0
    named = bool(arguments) and not arguments[0].startswith("-")  # else options of the default recipe
    command, rest = (arguments[0], arguments[1:]) if named else ("fit", arguments)
    try:
        return _run(command, rest)
    except KeyboardInterrupt:
        _complain("stopped")
        return 130
    except BrokenPipeError:  # of `... | head`
        _let_go_of_output()
        return 0
    except Exception as error:
        code = _exit_code(error)
        if code is None:  # a fault of the program: it has to be seen
            raise
        _complain(f"error: {error}")
        _let_go_of_output()
        return code


def usage() -> str:
    """What `python -m train --help` says."""
    lines = [f"  {f'{name} {form}':<36}{summary}" for name, (_, form, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: python -m train [COMMAND] ...",
            "",
            f"Without a command it trains the recipe {DEFAULT_RECIPE}: fit {DEFAULT_RECIPE}.",
            "",
            *lines,
            "",
            "Each command has its own --help; fit RECIPE --help lists every field of the recipe.",
        ]
    )


def _run(command: str, arguments: Arguments) -> int:
    if command not in COMMANDS:
        from train.recipes import all_recipes
        from zoo.names import unknown

        if command in all_recipes():
            raise UsageError(f"{command} is a recipe: python -m train fit {command}")
        raise unknown("command", command, COMMANDS)
    warnings.showwarning = _show_warning
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax fills pages with what we say in a line
    if command not in _WITHOUT_JAX and not {"-h", "--help"} & set(arguments):
        _keep_compiled_programs()
        if command not in _JOIN_LATER:
            _join_processes(_Processes())
    return COMMANDS[command][0](arguments)


def _parse(kind: type, arguments: Arguments, command: str, **options: Any) -> Any:
    chosen = tyro.cli(kind, args=list(arguments), prog=f"python -m train {command}", **options)
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    return dataclasses.replace(chosen, **{name: _expanded(value) for name, value in values.items()})


def _expanded(value: Any) -> Any:
    """A path, or a tuple of them, with the home folder in place of ~, as of --workdir=~/x that no shell expands."""
    if isinstance(value, tuple):
        return tuple(map(_expanded, value))
    if not isinstance(value, Path):
        return value
    path = Path(os.path.expanduser(value))  # unlike Path's, leaves a file named ~x alone
    if path.parts[:1] == ("~",):
        raise UsageError(f"{value}: there is no home folder; expected a path without ~")
    return path


def _keep_compiled_programs() -> None:
    """Turns on jax's cache on the disk, so that the next run starts at once."""
    import jax

    with contextlib.suppress(RuntimeError):  # who has no home folder goes without
        if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lecture-vision-zoo" / "xla"
            jax.config.update("jax_compilation_cache_dir", str(cache))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _join_processes(given: _Processes) -> None:
    """Makes one run of many processes, where the command or else the environment says where they meet."""
    if (meeting := _meeting(given)) is not None:
        from train.engine.hosts import join

        join(*meeting)


def _meeting(given: _Processes) -> tuple[str, int | None, int | None] | None:
    """Where processes meet, how many they are and which this is; in the environment the last two may be left to jax."""
    names, values = _PROCESS_FLAGS, dataclasses.astuple(given)
    if values == (None, None, None):
        names, values = _PROCESS_VARIABLES, tuple(os.environ.get(name) or None for name in _PROCESS_VARIABLES)
        if values[0] is None and values[1] in (None, "1"):
            return None
        needed = names[:1]
    else:
        needed = names
    if missing := [name for name, value in zip(names, values, strict=True) if value is None and name in needed]:
        raise UsageError(f"{', '.join(names)} go together: {' and '.join(missing)} is missing")
    address, count, number = values
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"{names[0]}: expected HOST:PORT, got {address!r}")
    try:
        count, number = (None if value is None else int(value) for value in (count, number))
    except ValueError:
        raise UsageError(f"{names[1]}, {names[2]}: expected whole numbers, got {count!r}, {number!r}") from None
    if count is not None and count < 1:
        raise UsageError(f"{names[1]}: expected 1 or more, got {count}")
    if number is not None and not 0 <= number < (number + 1 if count is None else count):
        raise UsageError(f"{names[2]}: expected 0 to {names[1]} - 1, got {number}")
    return address, count, number


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    _complain(f"warning: {message}")


def _complain(text: str) -> None:
    """Says it on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        print(visible(text), file=sys.stderr)


def _let_go_of_output() -> None:
    """Drops what cannot be printed, or Python would complain when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        from train.engine.console import discard

        discard(sys.stdout)


def _exit_code(error: Exception) -> int | None:
    """2 for a wrong command, 1 for a run that cannot go on, None for anything else."""
    if isinstance(error, UsageError):
        return 2
    names, config = map(importlib.import_module, ("zoo.names", "train.config"))
    if isinstance(error, names.UnknownNameError | config.RecipeError):
        return 2
    return 1 if isinstance(error, config.RunError | OSError) else None
