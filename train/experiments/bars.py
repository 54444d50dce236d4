"""The figure of a comparison: a group of bars a column, in it a bar a series, with its spread over the seeds."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

import numpy as np

from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOM, GAP = 0.78, 0.02
"""Of a group, where the next is 1 away, and between its bars."""


def grouped_bars(
    columns: Sequence[str],
    series: Mapping[str, Sequence[tuple[float, float]]],
    y: str = "%",
    size: tuple[float, float] = (6.5, 3.2),
) -> Figure:
    """Bars that stand side by side.

    Args:
      columns: what each group is called.
      series: by name, of each column the mean and the spread; one that is not finite has no bar.
      y: what the bars say.
      size: width and height, in inches.
    """
    drawing = new_figure(*size, LIGHT)
    panel, step = drawing.subplots(), ROOM / len(series)
    for i, ((name, found), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
        heights, spreads = np.nan_to_num(found, posinf=0, neginf=0).T
        places = np.arange(len(columns)) + step * (i - (len(series) - 1) / 2)
        spread = spreads if np.any(spreads) else None  # of one seed there is none
        panel.bar(places, heights, step - GAP, yerr=spread, label=name, color=colour, capsize=3)
    panel.set_xticks(range(len(columns)), columns)
    style(panel)
    labels(panel, y=y)
    legend(drawing, loc="outside upper center", ncols=len(series))
    return drawing
