"""Curves of a run: its metrics against the training step."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from train.config import LOSS, Metric
from train.report.theme import LIGHT, Theme, heading, legend, new_figure, style

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNING_RATE = Metric("learning_rate", "Learning rate")
COLUMNS = 5
"""Panels of a figure that stand side by side; more make rows."""


def curves(records: Iterable[Mapping[str, Any]], panels: Sequence[Metric], theme: Theme = LIGHT) -> Figure:
    """Training and evaluation curves against the step, one panel a metric, `COLUMNS` side by side.

    Args:
        records: lines of metrics.jsonl: {"kind": "train" or "eval", "step": int, metric: number, ...}.
            A value that is not a finite number is a gap; where the training loss first has one is marked.
        panels: the metrics to draw, see `panels_of`.
        theme: colours.
    """
    records = list(records)
    rows, columns = max(math.ceil(len(panels) / COLUMNS), 1), min(max(len(panels), 1), COLUMNS)
    figure = new_figure(3.5 * columns, 2.6 * rows, theme)
    for index, metric in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1)
        style(axes, theme)
        _draw_metric(axes, records, metric, theme)
    if not panels:
        figure.text(0.5, 0.5, "no metrics were recorded", ha="center", va="center", color=theme.muted)
    return figure


def panels_of(records: Iterable[Mapping[str, Any]], metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metrics that occur in the records: the loss first, the learning rate last.

    >>> records = [{"kind": "train", "step": 1, "learning_rate": 0.1, "loss": 2.3}]
    >>> [metric.name for metric in panels_of(records, [Metric("accuracy", "Accuracy"), LOSS])]
    ['loss', 'learning_rate']
    """
    present = {name for record in records for name in record}
    others = (metric for metric in metrics if metric.name not in (LOSS.name, LEARNING_RATE.name))
    return tuple(metric for metric in (LOSS, *others, LEARNING_RATE) if metric.name in present)


def title_of(metric: Metric) -> str:
    """What stands over its panel.

    >>> title_of(Metric("mae", "Mean absolute error", unit="degrees"))
    'Mean absolute error (degrees)'
    """
    return f"{metric.title} ({metric.unit})" if metric.unit else metric.title


def series(
    records: Iterable[Mapping[str, Any]], kind: str, name: str
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Steps and values of one metric; what is not a number becomes NaN.

    >>> series([{"kind": "eval", "step": 5, "loss": 0.5}, {"kind": "train", "step": 1}], "eval", "loss")
    (array([5.]), array([0.5]))
    """
    chosen = [record for record in records if record.get("kind") == kind and name in record]
    steps, values = ([_number(record.get(key)) for record in chosen] for key in ("step", name))
    return np.array(steps, dtype=np.float64), np.array(values, dtype=np.float64)


def _draw_metric(axes: Axes, records: list[Mapping[str, Any]], metric: Metric, theme: Theme) -> None:
    """One panel: faint raw training values under their running mean, and evaluation as dots on a line."""
    name, is_rate = metric.name, metric.name == LEARNING_RATE.name
    heading(axes, title_of(metric), theme)
    train_steps, train = series(records, "train", name)
    eval_steps, evaluated = series(records, "eval", name)
    averaged_steps, averaged = series(records, "eval", f"ema_{name}")
    everything = np.concatenate([train, evaluated, averaged])
    finite = everything[np.isfinite(everything)]
    smooth = len(train) >= 40 and not is_rate
    if len(train):
        raw = {"lw": 1.0, "alpha": 0.3} if smooth else {"lw": 1.6, "label": "training"}
        axes.plot(train_steps, train, color=theme.blue, marker=_marker(train, 1), markersize=4, **raw)
    if smooth:
        mean = _running_mean(train, len(train) // 20)
        axes.plot(train_steps, mean, color=theme.blue, lw=1.6, label="training")
    dots = {"color": theme.orange, "lw": 1.6, "markersize": 4, "marker": _marker(evaluated, 20)}
    if len(evaluated):
        axes.plot(eval_steps, evaluated, label="evaluation", **dots)
    if len(averaged):
        hollow = {"ls": (0, (3, 2)), "markerfacecolor": theme.paper}
        axes.plot(averaged_steps, averaged, label="evaluation, EMA", **dots, **hollow)
    if name == LOSS.name:
        _mark_divergence(axes, train_steps, train, theme)
    _scale(axes, metric, finite)
    _count_steps(axes, max([*train_steps, *eval_steps], default=0), theme)
    if not is_rate:
        legend(axes, theme)


def _scale(axes: Axes, metric: Metric, finite: np.ndarray) -> None:
    """The vertical axis: shares up to one, errors of very different sizes by their logarithm."""
    if metric.name == LEARNING_RATE.name:
        axes.yaxis.set_major_formatter(lambda rate, _: f"{rate:.3g}")
        axes.set_ylim(bottom=-0.03 * finite.max() if finite.max(initial=0) > 0 else None)
    elif metric.percent and metric.higher_is_better:
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
        lowest = min(finite.min(initial=1.0), 0.95)
        axes.set_ylim(lowest - 0.05 * (1 - lowest), 1 + 0.02 * (1 - lowest))
    elif metric.percent:
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
        axes.set_ylim(bottom=0)
    elif not metric.higher_is_better and len(finite) and finite.min() > 0 and finite.max() > 30 * finite.min():
        axes.set_yscale("log")


def _count_steps(axes: Axes, largest: float, theme: Theme) -> None:
    """The horizontal axis: whole steps, from ten thousand on in thousands."""
    from matplotlib.ticker import MaxNLocator

    thousands = largest >= 10_000
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if thousands and step else f"{step:g}")
    axes.set_xlabel("step", color=theme.muted, fontsize=9)


def _marker(values: np.ndarray, most: int) -> str | None:
    """Dots for up to `most` values: one value alone makes no line that could be seen."""
    return "o" if np.isfinite(values).sum() <= most else None


def _mark_divergence(axes: Axes, steps: np.ndarray, values: np.ndarray, theme: Theme) -> None:
    """A line where the training values first stop being finite."""
    broken = steps[~np.isfinite(values)]
    if len(broken):
        axes.axvline(broken[0], color=theme.muted, lw=1, ls=(0, (2, 2)))
        axes.annotate("not finite", (broken[0], 0.5), xycoords=("data", "axes fraction"),
                      xytext=(-3, 0), textcoords="offset points", rotation=90, ha="right", va="center",
                      fontsize=8, color=theme.muted)  # fmt: skip


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean over `window` values and the ends' shorter windows; gaps do not spread."""
    finite = np.isfinite(values)
    ones = np.ones(max(window, 1) | 1)
    total = np.convolve(np.where(finite, values, 0.0), ones, mode="same")
    number = np.convolve(finite.astype(np.float64), ones, mode="same")
    return np.where(finite, total / np.maximum(number, 1), np.nan)


def _number(value: Any) -> float:
    """The value as a float, NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
