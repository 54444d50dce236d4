"""The command line: `python -m train [command]`. Without a command it runs the default recipe."""

import contextlib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable

from train.cli.arguments import Arguments, UsageError
from train.cli.checking import check_data
from train.cli.listing import list_recipes, prepare
from train.cli.processes import Processes, join_processes
from train.cli.sweeping import sweep
from train.cli.training import DEFAULT_RECIPE, experiment, fit, rerun, resume
from train.cli.using import evaluate, explain, predict
from zoo.huge_pages import OPTION
from zoo.terminal import visible, write_out_unknown_characters

COMMANDS: dict[str, tuple[Callable[[Arguments], int], str, str]] = {
    "fit": (fit, "[RECIPE] [--FIELD VALUE ...]", "train a recipe"),
    "sweep": (sweep, "RECIPE --search FIELD=SPACE", "search hyperparameters of a recipe"),
    "resume": (resume, "WORKDIR", "go on with an interrupted run"),
    "evaluate": (evaluate, "WORKDIR|--weights ...", "measure a run, or weights, on a test split"),
    "predict": (predict, "WORKDIR|--weights ... IMAGE|FOLDER|VIDEO ...", "predict images and videos"),
    "explain": (explain, "WORKDIR|MODEL IMAGE ...", "draw what a model sees in an image"),
    "rerun": (rerun, "WORKDIR", "repeat a run and compare the bits"),
    "list": (list_recipes, "", "list recipes and experiments"),
    "prepare": (prepare, "NAME [--data-dir DIR]", "build a TFDS data set once"),
    "check-data": (check_data, "[RECIPE] [--data.source ...]", "look for what is wrong in data"),
    "experiment": (experiment, "NAME [--scale SCALE]", "reproduce a figure of the lecture"),
}
"""What each command runs, what is typed after it, and what it is for."""

_WITHOUT_JAX = ("list", "prepare")
_JOIN_LATER = ("fit", "resume")  # once their arguments are read


def main(arguments: Arguments | None = None) -> int:
    """Runs one command.

    Returns:
      the exit code: 0 for success, 1 when a run failed or data are wrong, 2 when the command itself is wrong,
      130 after Ctrl-C.
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
        if _is_of_lost_process(error):
            os._exit(code)  # an orderly end would wait for that process too
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
            f"Any of them takes {OPTION}: not to start anew with memory in huge pages.",
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
        importlib.import_module("train.engine.compiled").keep_compiled_programs()
        if command not in _JOIN_LATER:
            join_processes(Processes())
    return COMMANDS[command][0](arguments)


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


def _is_of_lost_process(error: Exception) -> bool:
    return isinstance(error, importlib.import_module("train.config").LostProcessError)


def _exit_code(error: Exception) -> int | None:
    """2 for a wrong command, 1 for a run that cannot go on, None for anything else."""
    if isinstance(error, UsageError):
        return 2
    names, config = map(importlib.import_module, ("zoo.names", "train.config"))
    if isinstance(error, names.UnknownNameError | config.RecipeError):
        return 2
    return 1 if isinstance(error, config.RunError | OSError) else None
