"""Numbers as a person reads them: mean and spread over seeds, and tables in Markdown."""

import math
from collections.abc import Mapping, Sequence

import numpy as np


def smaller(ours: float, theirs: float) -> bool:
    """Whether our error is the smaller one; an error that is not finite is larger than any.

    >>> smaller(2.0, 3.0), smaller(2.0, math.nan), smaller(math.nan, math.nan)
    (True, True, False)
    """
    return math.isfinite(ours) and not theirs <= ours


def with_spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean and, of several values, their standard deviation; of values that are not all finite a word.

    >>> with_spread([1.0, 3.0]), with_spread([2.0])
    ('2.0 ± 1.4', '2.0')
    """
    if not np.isfinite(values).all():
        return "diverged"
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean


def grid(corner: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(grid("dims", ("3", "5"), {"ours": ("1", "2")}), end="")
    | dims | 3 | 5 |
    |---|--:|--:|
    | ours | 1 | 2 |
    """
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---|" + len(columns) * "--:|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())]) + "\n"
