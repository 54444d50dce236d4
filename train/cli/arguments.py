"""What the commands have in common: how arguments are read, and what is wrong with them."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

Arguments = Sequence[str]
FLAGS = (tyro.conf.FlagCreatePairsOff,)  # --best, but no --no-best


class UsageError(ValueError):
    """The command itself is wrong."""


@dataclasses.dataclass(frozen=True)
class OfRun:
    """The argument of a command about a run."""

    workdir: Annotated[Positional[Path], tyro.conf.arg(metavar="WORKDIR")]
    """A run's folder."""


def parse(kind: type, arguments: Arguments, command: str, **options: Any) -> Any:
    """The arguments of a command as a `kind`, a dataclass; ends the program where they are wrong or ask for help."""
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
