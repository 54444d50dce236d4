"""Gates, candidate, cell state and outputs of an LSTM over time, drawn. Lecture row L76."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.sequences.slide_lstm import LSTMTrace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {
    "f": "forget gate f: what stays",
    "i": "input gate i: what is written",
    "candidate": "candidate c̃: what could be written",
    "c": "cell state c = c f + c̃ i",
    "o": "output gate o: what is shown",
    "m": "output m = tanh(c) o",
}
"""In the order of the slides' steps."""
WIDEST, TALLEST = 24.0, 4.0
"""Of all steps, and of a panel, in inches: a long sequence of many units is drawn closer."""


def plot_trace(trace: LSTMTrace, steps: Sequence[str] = ()) -> "Figure":
    """A panel for each thing that a step computes: a row a hidden unit, a column a time step, the value as colour.

    Gates are drawn from 0 (white) to 1 (black); what may be negative from blue over white (zero) to red.

    Args:
      trace: of one sequence, (time, hidden) each.
      steps: what to write under each time step, such as the inputs; by default its number.

    Raises:
      ValueError: the trace is of a batch, or of a single step; or there are not as many words as steps.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator

    shape = np.shape(trace.c)
    if len(shape) != 2:
        raise ValueError(f"plot_trace expected the trace of one sequence (time, hidden), got shape {shape}")
    time, hidden = shape
    if steps and len(steps) != time:
        raise ValueError(f"expected words for {time} steps, got {len(steps)}")
    labels = list(steps) or [str(number) for number in range(1, time + 1)]
    across, down = min(0.36 * time, WIDEST), min(0.16 * hidden, TALLEST)
    figure = Figure(figsize=(4.2 + across, 1.1 + len(TITLES) * (0.55 + down)), layout="constrained")
    axes = figure.subplots(len(TITLES), 1, sharex=True)
    for panel, (name, title) in zip(axes, TITLES.items(), strict=True):
        values = np.asarray(getattr(trace, name), np.float32).T
        if name in ("i", "f", "o"):
            low, high, colours = 0.0, 1.0, "Greys"
        else:
            high = max(1.0, float(np.abs(values).max()))
            low, colours = -high, "RdBu_r"
        image = panel.imshow(values, vmin=low, vmax=high, cmap=colours, aspect="auto", interpolation="nearest")
        panel.set_title(title, loc="left", fontsize=9)
        panel.set_ylabel("unit", fontsize=8)
        panel.yaxis.set_major_locator(FixedLocator([0, hidden - 1] if hidden > 1 else [0]))
        panel.tick_params(labelsize=7)
        figure.colorbar(image, ax=panel, fraction=0.03, pad=0.01).ax.tick_params(labelsize=7)
    every = -(-time // 32)
    axes[-1].set_xticks(range(0, time, every), labels[::every])
    axes[-1].set_xlabel("time step", fontsize=8)
    return figure
