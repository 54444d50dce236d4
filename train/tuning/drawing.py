"""The figures of a sweep: a line a trial across all hyperparameters, its course, and the results by each of them."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence

import numpy as np

from train.config import Metric
from train.report.curves import title_of
from train.report.theme import LIGHT, Theme, heading, labels, legend, new_figure, rgb, style
from train.report.words import shorten
from train.tuning.search import Choices, Search
from train.tuning.trials import FINISHED, INTERRUPTED, Record

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
"""Panels that stand side by side."""
TICKS = 5
"""Values that are written along an axis of parallel coordinates."""


def parallel(records: Sequence[Record], searches: Sequence[Search], metric: Metric, theme: Theme = LIGHT) -> Figure:
    """Parallel coordinates: an axis a hyperparameter, the last one the result; a line a finished trial.

    The better, the darker; the best is orange. Inselberg, 1985, The plane with parallel coordinates.
    """
    finished = [record for record in records if record.state == FINISHED]
    figure = new_figure(max(4.5, 1.7 * (len(searches) + 1)), 3.6, theme)
    axes = figure.add_subplot()
    style(axes, theme, grid=False)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.35, len(searches) + 0.5), ylim=(-0.04, 1.04), yticks=[])
    names = [shorten(search.field.rpartition(".")[2], 22) for search in searches]
    axes.set_xticks(range(len(searches) + 1), [*names, shorten(title_of(metric), 22)], fontsize=8, parse_math=False)
    results = np.array([record.result for record in finished])
    low, high = (results.min(), results.max()) if len(results) else (0.0, 1.0)
    for place, search in enumerate(searches):
        _axis(axes, place, [(_height(search, value), search.shown(value)) for value in _ticks(search)], theme)
    ends = np.linspace(low, high, TICKS if high > low else 1)
    _axis(axes, len(searches), [(_share(value, low, high), _short(metric, value)) for value in ends], theme)
    for rank, record in enumerate(sorted(finished, key=lambda found: _goodness(found, metric))):
        heights = [_height(search, record.values[search.field]) for search in searches]
        is_best = rank == len(finished) - 1
        colour = theme.orange if is_best else _mixed(theme, (rank + 1) / len(finished))
        heights.append(_share(record.result, low, high))
        axes.plot(range(len(heights)), heights, color=colour, lw=2.2 if is_best else 1.2, zorder=2 + rank)
    return figure


def slices(records: Sequence[Record], searches: Sequence[Search], metric: Metric, theme: Theme = LIGHT) -> Figure:
    """The result of each trial by each hyperparameter; of those that ended early the last one, as rings."""
    columns = min(len(searches), COLUMNS)
    rows = math.ceil(len(searches) / columns)
    figure = new_figure(3.4 * columns, 2.7 * rows, theme)
    for index, search in enumerate(searches):
        axes = figure.add_subplot(rows, columns, index + 1)
        style(axes, theme)
        heading(axes, shorten(search.field, 34), theme)
        if isinstance(search, Choices):
            axes.set_xticks(range(len(search.texts)), map(shorten, search.texts), parse_math=False)
            axes.set_xlim(-0.5, len(search.texts) - 0.5)
        else:
            if search.log:
                axes.set_xscale("log")
            axes.set_xlim(*_wider(search.low, search.high, search.log))
        _dots(axes, records, lambda record, search=search: _abscissa(search, record), metric, theme)
    return figure


def courses(records: Sequence[Record], metric: Metric, theme: Theme = LIGHT) -> Figure:
    """The metric at each evaluation of each trial: finished ones to their end, pruned ones up to a cross."""
    figure = new_figure(4.6, 3.1, theme)
    axes = figure.add_subplot()
    style(axes, theme)
    heading(axes, "By evaluation", theme)
    finished = sorted((r for r in records if r.state == FINISHED), key=lambda found: _goodness(found, metric))
    others = [record for record in records if record.state not in (FINISHED, INTERRUPTED)]
    for record in (*others, *finished):
        known = [(number, value) for number, value in record.course.items() if math.isfinite(value)]
        if not known:
            continue
        numbers, values = zip(*known, strict=True)
        if record.state == FINISHED:
            is_best = record is finished[-1]
            colour = theme.orange if is_best else theme.blue
            axes.plot(numbers, values, color=colour, lw=2 if is_best else 1, alpha=1 if is_best else 0.5, marker=".")
        else:
            axes.plot(numbers, values, color=theme.muted, lw=1, alpha=0.7, ls=(0, (3, 2)))
            axes.plot(numbers[-1:], values[-1:], color=theme.muted, marker="x", ls="none", markersize=5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _measure(axes, metric, [value for record in records for value in record.course.values()])
    labels(axes, theme, "evaluation", title_of(metric))
    return figure


def losses(records: Sequence[Record], searches: Sequence[Search], metric: Metric, theme: Theme = LIGHT) -> Figure:
    """The training loss of each trial by step; a line ends where the trial diverged."""
    figure = new_figure(4.6, 3.1, theme)
    axes = figure.add_subplot()
    style(axes, theme)
    heading(axes, "Training loss", theme)
    finished = [record for record in records if record.state == FINISHED]
    best = max(finished, key=lambda found: _goodness(found, metric), default=None)
    (search,) = searches
    for record in sorted(records, key=lambda found: found.values[search.field]):
        known = [(step, loss) for step, loss in record.losses if loss is not None and math.isfinite(loss)]
        depth = 0.25 + 0.75 * _height(search, record.values[search.field])
        colour = theme.orange if record is best else _mixed(theme, depth)
        if known:
            axes.plot(*zip(*known, strict=True), color=colour, lw=1.8 if record is best else 1.1)
    axes.set_yscale("log")
    labels(axes, theme, "step", "")
    return figure


def history(records: Sequence[Record], metric: Metric, theme: Theme = LIGHT) -> Figure:
    """The result of each trial, and the best of all until then."""
    figure = new_figure(4.6, 3.1, theme)
    axes = figure.add_subplot()
    style(axes, theme)
    heading(axes, "By trial", theme)
    finished = [record for record in records if record.state == FINISHED]
    best = (np.maximum if metric.higher_is_better else np.minimum).accumulate([r.result for r in finished])
    if finished:
        numbers = [*(r.number for r in finished), max(r.number for r in records)]
        axes.step(numbers, [*best, best[-1]], where="post", color=theme.blue, lw=1.4, label="best so far")
    _dots(axes, records, lambda record: record.number, metric, theme)
    axes.xaxis.get_major_locator().set_params(integer=True)
    labels(axes, theme, "trial", title_of(metric))
    legend(axes, theme)
    return figure


def _dots(axes: Axes, records: Sequence[Record], place: typing.Callable, metric: Metric, theme: Theme) -> None:
    """A dot a finished trial, the best in orange, and a ring a trial that ended early."""
    finished = [record for record in records if record.state == FINISHED]
    others = [r for r in records if r.state not in (FINISHED, INTERRUPTED)]  # with those another trial went on
    early = [r for r in others if math.isfinite(r.result) and r.values]
    best = max(finished, key=lambda found: _goodness(found, metric), default=None)
    dots = {"ls": "none", "marker": "o", "markersize": 4.5}
    axes.plot([place(r) for r in early], [r.result for r in early], color=theme.muted, markerfacecolor="none", **dots)
    axes.plot([place(r) for r in finished], [r.result for r in finished], color=theme.blue, **dots)
    if best is not None:
        axes.plot([place(best)], [best.result], color=theme.orange, **{**dots, "markersize": 7})
    _measure(axes, metric, [record.result for record in (*early, *finished)])


def _measure(axes: Axes, metric: Metric, values: Sequence[float]) -> None:
    """The vertical axis: shares in percent, errors of very different sizes by their logarithm."""
    finite = [value for value in values if math.isfinite(value)]
    if metric.percent:
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
    elif not metric.higher_is_better and finite and min(finite) > 0 and max(finite) > 30 * min(finite):
        axes.set_yscale("log")


def _goodness(record: Record, metric: Metric) -> tuple[float, int]:
    """Ranks trials: the larger, the better; of equals the first is the best."""
    return (record.result if metric.higher_is_better else -record.result), -record.number


def _axis(axes: Axes, place: int, ticks: Sequence[tuple[float, str]], theme: Theme) -> None:
    """One upright axis with what is written beside it."""
    axes.plot([place, place], [0, 1], color=theme.line, lw=1.2, zorder=1)
    for height, text in ticks:
        text = shorten(text, 14)
        looks = {"color": theme.muted, "fontsize": 7, "va": "center", "zorder": 10**4, "parse_math": False}
        ground = {"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.8, "pad": 0.6}  # lines pass behind
        axes.text(place + 0.05, height, text, bbox=ground, **looks)


def _ticks(search: Search) -> Sequence[typing.Any]:
    """Values that are written along the axis of a hyperparameter."""
    if isinstance(search, Choices):
        return search.texts
    steps = (np.geomspace if search.log else np.linspace)(search.low, search.high, TICKS)
    return sorted({round(step) for step in steps}) if search.whole else list(steps)


def _height(search: Search, value: typing.Any) -> float:
    """Where a value is on its axis, from 0 to 1."""
    if isinstance(search, Choices):
        return search.texts.index(value) / (len(search.texts) - 1)
    if search.log:
        return _share(math.log(value), math.log(search.low), math.log(search.high))
    return _share(value, search.low, search.high)


def _abscissa(search: Search, record: Record) -> float:
    value = record.values[search.field]
    return search.texts.index(value) if isinstance(search, Choices) else value


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _wider(low: float, high: float, log: bool) -> tuple[float, float]:
    """A range with some room at its ends."""
    if log:
        room = (high / low) ** 0.05
        return low / room, high * room
    room = 0.05 * (high - low)
    return low - room, high + room


def _short(metric: Metric, value: float) -> str:
    return f"{100 * value:.4g} %" if metric.percent else f"{value:.3g}"


def _mixed(theme: Theme, share: float) -> np.ndarray:
    """From a faint colour at 0 to blue at 1."""
    return rgb(theme.line) * (1 - share) + rgb(theme.blue) * share
