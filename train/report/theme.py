"""How figures look: colours for light and dark pages, type sizes, and what is left out.

Okabe and Ito (2008), Color Universal Design: a palette that colour-blind readers tell apart.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import typing
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
"""Of the PNGs."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c564b", "#7f7f7f", "#bcbd22")
"""For lines and bars that are told apart, in this order: Okabe and Ito's, and three more."""


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


def style(axes: Axes, theme: Theme = LIGHT, grid: bool = True) -> None:
    """Only what carries data: no box, a faint grid, quiet ticks."""
    axes.set_facecolor(theme.paper)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.line)
    axes.tick_params(which="both", colors=theme.muted, labelsize=8, length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(color=theme.line, lw=0.7)


def heading(axes: Axes, text: str, theme: Theme = LIGHT) -> None:
    """The title of one panel."""
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", color=theme.ink, parse_math=False)


def labels(axes: Axes, theme: Theme = LIGHT, x: str = "", y: str = "") -> None:
    """What the axes measure, in quiet letters."""
    axes.set_xlabel(x, color=theme.muted, fontsize=9, parse_math=False)
    axes.set_ylabel(y, color=theme.muted, fontsize=9, parse_math=False)


def legend(of: Axes | Figure, theme: Theme = LIGHT, **options: Any) -> None:
    """A legend without a box, of a panel or a whole figure; `options` as matplotlib's. Of nothing there is none."""
    panels = [of] if hasattr(of, "get_legend_handles_labels") else of.axes
    if "handles" in options or any(panel.get_legend_handles_labels()[0] for panel in panels):
        of.legend(**{"frameon": False, "fontsize": 8, "labelcolor": theme.ink, "handlelength": 1.4, **options})


def rgb(colour: str) -> Float[np.ndarray, " 3"]:
    """A colour as three numbers in [0, 1]."""
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def png(figure: Figure, dpi: int | None = None) -> bytes:
    """The figure as the bytes of a PNG file, drawn by Agg; by default of `DPI` dots an inch."""
    stream = io.BytesIO()
    with _quiet():
        figure.savefig(stream, format="png", dpi=DPI if dpi is None else dpi)
    return stream.getvalue()


def pixels(figure: Figure, dpi: int = 100) -> UInt8[np.ndarray, "height width 3"]:
    """The figure as an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    with _quiet():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A class name in a script that the font lacks is drawn as boxes; the page itself has the real text."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
