"""Many processes as one run: where they meet, by the flags of a command or by the environment."""

import dataclasses
import os
from typing import Annotated

import tyro

from train.cli.arguments import UsageError

_FLAGS = ("--coordinator", "--num-processes", "--process-id")
_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


@dataclasses.dataclass(frozen=True)
class Processes:
    """The flags of a command that may be one of many processes."""

    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Where the processes of one run meet: the first one's address. With --num-processes and --process-id."""
    num_processes: Annotated[int | None, tyro.conf.arg(metavar="NUMBER")] = None
    """How many processes make one run. With --coordinator and --process-id."""
    process_id: Annotated[int | None, tyro.conf.arg(metavar="NUMBER")] = None
    """Which of a run's processes this is, from 0; the first alone writes and prints."""


def join_processes(given: Processes) -> None:
    """Makes one run of many processes, where the command or else the environment says where they meet."""
    if (meeting := _meeting(given)) is not None:
        from train.engine.hosts import join

        join(*meeting)


def _meeting(given: Processes) -> tuple[str, int | None, int | None] | None:
    """Where processes meet, how many they are and which this is; in the environment the last two may be left to jax."""
    names, values = _FLAGS, dataclasses.astuple(given)
    if values == (None, None, None):
        names, values = _VARIABLES, tuple(os.environ.get(name) or None for name in _VARIABLES)
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
