"""What a check of an exercise answers: right, or what was expected where something else came. It never raises."""

import html
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

    What the answer itself raises is reported with its last line, as a verdict too: a notebook goes on.
    """
    try:
        return Verdict(True, check())
    except Wrong as wrong:
        return Verdict(False, str(wrong))
    except Exception as error:  # an exercise may fail in any way
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Verdict(False, f"{type(error).__name__}: {error} (in {where.name}, line {where.lineno}: {where.line})")


def same(what: str, got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Raises `Wrong` unless `got` has the shape and the values of `expected`, within `tolerance` of its largest."""
    if got is None or got is Ellipsis:
        raise Wrong(f"{what}: nothing came back yet")
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise Wrong(f"{what}: expected shape {expected.shape}, got {got.shape}")
    if not np.issubdtype(got.dtype, np.number) and got.dtype != bool:
        raise Wrong(f"{what}: expected numbers, got {got.dtype}")
    unlike = ~(np.abs(got.astype(float) - expected) <= tolerance * max(1.0, np.abs(expected).max(initial=0)))
    if unlike.any():
        place = tuple(int(i) for i in np.argwhere(unlike)[0])
        at = f" at {place}" if place else ""
        raise Wrong(f"{what}{at}: expected {expected[place]:.6g}, got {got[place]:.6g}")
