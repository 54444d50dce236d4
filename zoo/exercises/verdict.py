"""What a check of an exercise answers: right, or what was expected where something else came. It never raises."""

import html
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, with a sentence about it; true where it is.

    >>> Verdict(False, "expected 3, got 4")
    Not yet: expected 3, got 4
    """

    right: bool
    said: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'}: {self.said}"

    def _repr_html_(self) -> str:
        mark, colour = ("✓", "#1a7f37") if self.right else ("✗", "#b35900")
        return f'<p style="color:{colour}"><b>{mark} {html.escape(repr(self))}</b></p>'


class Wrong(Exception):
    """An answer that is not right: what was expected, and what came. `judged` makes a verdict of it."""


def judged(check: Callable[[], str]) -> Verdict:
    """Runs a check, which returns what there is to say of a right answer and raises `Wrong` otherwise.

    What the answer itself raises is a verdict too, with the last line of the reader's own code: a notebook goes on.
    """
    try:
        return Verdict(True, check())
    except Wrong as wrong:
        return Verdict(False, str(wrong))
    except Exception as error:  # an exercise may fail in any way
        first = next(iter(str(error).splitlines()), "")  # jax explains its errors at length
        what = f"{type(error).__name__}: {first}" if first else type(error).__name__
        return Verdict(False, f"{what} ({_place(error.__traceback__)})")


def same(what: str, got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Raises `Wrong` unless `got` has the shape and the values of `expected`.

    Numbers may differ by `tolerance` times the largest finite one that is expected, or times 1 if that is more; what
    is not finite has to be the same.

    Raises:
      Wrong: they are not; says where they differ first, or which shape was expected.
    """
    got, expected = numbers(what, got), np.asarray(expected).astype(np.float64)
    if got.shape != expected.shape:
        raise Wrong(f"{what}: expected shape {expected.shape}, got {got.shape}")
    finite = np.isfinite(expected)
    near = tolerance * max(1.0, np.abs(expected[finite]).max(initial=0.0))
    with np.errstate(invalid="ignore"):  # infinity less infinity
        unlike = ~np.where(finite, np.abs(got - expected) <= near, _alike(got, expected))
    if unlike.any():
        place = tuple(int(i) for i in np.argwhere(unlike)[0])
        at = f" at {place}" if place else ""
        raise Wrong(f"{what}{at}: expected {expected[place]:.6g}, got {got[place]:.6g}")


def numbers(what: str, got: Any) -> np.ndarray:
    """What came back, of any shape, as an array of real numbers in double precision.

    Raises:
      Wrong: it is none.
    """
    if got is None or got is Ellipsis:
        raise Wrong(f"{what}: nothing came back yet")
    try:
        array = np.asarray(got)
    except (TypeError, ValueError):  # rows of unequal lengths, keys of random numbers
        raise Wrong(f"{what}: expected one array of numbers, got a {type(got).__name__} that is none") from None
    real = jnp.issubdtype(array.dtype, np.integer) or jnp.issubdtype(array.dtype, np.floating)
    if not real and array.dtype != bool:
        of = type(got).__name__ if array.dtype == object else array.dtype
        raise Wrong(f"{what}: expected real numbers, got {of}")
    return array.astype(np.float64)


def _alike(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Where both are the same infinity, or neither is a number."""
    return (got == expected) | (np.isnan(got) & np.isnan(expected))


def _place(trace: TracebackType | None) -> str:
    """The last line that is in no library: an array library fails deep inside itself."""
    frames = traceback.extract_tb(trace)
    where = next((frame for frame in reversed(frames) if not _in_library(frame.filename)), frames[-1])
    return f"in {where.name}, line {where.lineno}" + (f": {where.line}" if where.line else "")


def _in_library(filename: str) -> bool:
    path, ours, pythons = Path(filename), Path(__file__).parents[1], sysconfig.get_paths()["stdlib"]
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or path.is_relative_to(ours) or path.is_relative_to(pythons)
