"""How figures look: colours for light and dark pages, type sizes, and what is left out.

Okabe and Ito (2008), Color Universal Design: a palette that colour-blind readers tell apart.
"""

from __future__ import annotations

import dataclasses
import io
import typing
import warnings

import numpy as np
from jaxtyping import Float

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Theme:
    """The colours of a figure; blue is training and right, orange is evaluation and wrong."""

    paper: str
    ink: str
    muted: str
    line: str
    blue: str
    orange: str


LIGHT = Theme(paper="#ffffff", ink="#1b1f24", muted="#626b76", line="#dfe3e8", blue="#0072b2", orange="#d55e00")
DARK = Theme(paper="#171b21", ink="#e6e9ed", muted="#98a2ae", line="#343b45", blue="#56b4e9", orange="#f0883e")


def new_figure(width: float, height: float, theme: Theme) -> Figure:
    """An empty figure of `width` by `height` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor=theme.paper)


def style(axes: Axes, theme: Theme, grid: bool = True) -> None:
    """Only what carries data: no box, a faint grid, quiet ticks."""
    axes.set_facecolor(theme.paper)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.line)
    axes.tick_params(which="both", colors=theme.muted, labelsize=8, length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(color=theme.line, lw=0.7)


def heading(axes: Axes, text: str, theme: Theme) -> None:
    """The title of one panel."""
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", color=theme.ink)


def rgb(colour: str) -> Float[np.ndarray, " 3"]:
    """A colour as three numbers in [0, 1]."""
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as the bytes of a PNG file, drawn by Agg."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A class name in a script that the font lacks is drawn as boxes; the page itself has the real text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="png", dpi=dpi)
    return stream.getvalue()
