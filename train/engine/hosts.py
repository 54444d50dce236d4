"""Many processes as one run: the first claims, writes and prints; the others wait for it, and read their own rows.

With one process nothing here does anything.
"""

import contextlib
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from train.config import LostProcessError, RunError

T = TypeVar("T")

_LONGEST = 2000  # bytes of an error that the others hear of
_PATIENCE = 80  # seconds that jax waits for another process's sign of life, and at the end for its end
_OF_OTHERS = re.compile(
    r"gloo|nccl.*(remote|timeout|abort)|heartbeat|barrier|coordination service|connection|socket|peer", re.IGNORECASE
)


def join(coordinator: str, processes: int | None, process: int | None) -> None:
    """Makes this process one of several that train together; before anything asks for devices.

    When one of them is lost, what the others compute with it fails at once, see `together`, or jax ends them: at once
    where it was the first, else 80 s after its last sign of life. One that fails alone waits 80 s for the others.

    Args:
      coordinator: "host:port" of the first, where all meet.
      processes: how many there are; jax finds out on clusters that it knows.
      process: which of them this is, from 0; likewise.

    Raises:
      RunError: they do not meet.
    """
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            heartbeat_timeout_seconds=_PATIENCE,
            shutdown_timeout_seconds=_PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"the processes do not meet at {coordinator}: {said}") from error


def count() -> int:
    """How many processes there are."""
    return jax.process_count()


def is_first() -> bool:
    """Whether this process is the one that claims, writes and prints."""
    return jax.process_index() == 0


def first_does(action: Callable[[], T]) -> T | None:
    """Lets the first process do something, and the others wait until it is done.

    Returns:
      what it came to in the first process, None in the others.

    Raises:
      Exception: whatever it raised, in the first process; a `RunError` that says the same in the others.
    """
    if count() == 1:
        return action()
    result, failed = None, None
    if is_first():
        try:
            result = action()
        except BaseException as error:  # the others must not wait for ever
            failed = error
    said = _text_from_first("" if failed is None else f"{failed}" or type(failed).__name__)
    if failed is not None:
        raise failed
    if said:
        raise RunError(said)
    return result


@contextlib.contextmanager
def first_holds(held: contextlib.AbstractContextManager[Any]) -> Iterator[None]:
    """A context that the first process enters, before any other goes on, and leaves when all are done."""
    with contextlib.ExitStack() as stack:
        first_does(lambda: stack.enter_context(held))
        yield
        barrier("done")  # not after an error, which the others may not have


@contextlib.contextmanager
def together(remedy: str, let_go: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Says in a line when what several processes compute fails because one of them is not there any more.

    jax does not tell which one, nor whether it ended or cannot be reached. Errors of another kind pass.

    Args:
      remedy: what to do then.
      let_go: called then, of what would wait for all processes.

    Raises:
      LostProcessError: as said.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, RunError) as error:
        cause = error.__cause__ if isinstance(error, RunError) else error  # of a checkpoint that was not written, say
        said = (str(cause).splitlines() or [""])[0]
        known = isinstance(cause, jax.errors.JaxRuntimeError) and not isinstance(error, LostProcessError)
        if count() == 1 or not known or not _OF_OTHERS.search(said):
            raise
        let_go()
        raise LostProcessError(
            f"another process of this run has ended, or cannot be reached ({said[:200]}): what it printed says more; "
            f"once all have ended, {remedy}"
        ) from error


def path_from_first(choose: Callable[[], Path]) -> Path:
    """The path that the first process chooses, in every process."""
    chosen = first_does(choose)
    return chosen if count() == 1 else Path(_text_from_first(str(chosen) if is_first() else ""))


def from_first(number: int) -> int:
    """The first process's number, in every process."""
    if count() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def any_of(flag: bool) -> bool:
    """Whether it is true in any process; all must ask at the same point."""
    return bool(_gathered(np.array(flag)).any()) if count() > 1 else flag


def barrier(name: str) -> None:
    """Waits until every process is here."""
    if count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def merged(collector: T) -> T:
    """A judge or a page with what those of the other processes saw, in the order of processes."""
    if count() == 1 or collector is None:
        return collector
    mine = np.frombuffer(pickle.dumps(collector), np.uint8)
    lengths = _gathered(np.int64(len(mine)))
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(mine)] = mine
    pickled = [row[:length].tobytes() for row, length in zip(_gathered(padded), lengths, strict=True)]
    first, *others = map(pickle.loads, pickled)
    for other in others:
        first.merge(other)
    return first


def whole(tree: Any) -> Any:
    """Arrays on the host, whole also where processes share them."""
    if count() == 1:
        return jax.device_get(tree)
    from jax.experimental import multihost_utils

    return jax.tree.map(lambda x: np.asarray(multihost_utils.process_allgather(x, tiled=True)), tree)


def rows_of_all(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays with the rows of all processes, in their order."""
    if count() == 1:
        return arrays
    everyone = merged(_Rows([arrays])).parts
    return {name: np.concatenate([part[name] for part in everyone]) for name in arrays}


class _Rows:
    """Collects what each process has."""

    def __init__(self, parts: list[dict[str, np.ndarray]]) -> None:
        self.parts = parts

    def merge(self, other: "_Rows") -> None:
        self.parts += other.parts


def _gathered(array: np.ndarray) -> np.ndarray:
    """The arrays of all processes, with a leading axis."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array))


def _text_from_first(text: str) -> str:
    from jax.experimental import multihost_utils

    padded = np.zeros(_LONGEST, np.uint8)
    encoded = np.frombuffer(text.encode()[:_LONGEST], np.uint8)
    padded[: len(encoded)] = encoded
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes().rstrip(b"\0").decode(errors="replace")
