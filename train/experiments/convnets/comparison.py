"""What experiments on trained networks share: recipes that differ in the model alone, table and figure."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from train.config import Model, Recipe
from train.experiments import Options
from train.experiments.study import Result, Results, Study
from train.experiments.tables import grid, with_spread
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style


def variations(experiment: str, base: Recipe, models: Mapping[str, Model], options: Options) -> dict[str, Recipe]:
    """A recipe for each network, by its name in the table: they differ in the model alone."""
    return {
        arm: dataclasses.replace(
            base,
            name=f"{experiment}-{options.scale}-{arm}",
            model=model,
            data=dataclasses.replace(base.data, data_dir=options.data_dir),
        )
        for arm, model in models.items()
    }


def errors_and_losses(results: Results) -> Any:
    """Training loss against steps, left; test errors as bars, right."""
    drawing = new_figure(10, 0.35 * len(results) + 2.4, LIGHT)
    curves, bars = drawing.subplots(1, 2, width_ratios=(3, 2))
    for (arm, result), colour in zip(results.items(), COLOURS, strict=False):
        draw_losses(curves, arm, result, color=colour, linewidth=1.3)
    losses = [loss for line in curves.lines for loss in line.get_ydata() if np.isfinite(loss)]
    if losses:
        curves.set_ylim(0, 1.1 * np.quantile(losses, 0.95))  # not the first peaks
    errors = [100 * result.error("accuracy") for result in results.values()]
    widths = np.nan_to_num(errors)
    drawn = bars.barh(list(results), widths, color=COLOURS[: len(results)], height=0.65)
    said = [f" {error:.1f} %" if np.isfinite(error) else " diverged" for error in errors]
    bars.bar_label(drawn, said, fontsize="small")
    bars.invert_yaxis()
    bars.set_xlim(0, 1.2 * max(widths) or 1)
    for panel in (curves, bars):
        style(panel)
    labels(curves, x="step", y="training loss")
    labels(bars, x="test error (%)")
    legend(curves)
    return drawing


def draw_losses(panel: Any, arm: str, result: Result, **line: Any) -> None:
    """Training loss against steps, a line a seed; `line` as matplotlib's."""
    for i, curve in enumerate(result.curves):
        steps, losses = zip(*curve, strict=True) if curve else ((), ())
        panel.plot(steps, losses, label="" if i else arm, **line)


def compare(
    name: str,
    recipes: Mapping[str, Recipe],
    published: Mapping[str, str],
    claims: Callable[[Results], dict[str, bool]],
    options: Options,
    figure: Callable[[Results], Any] = errors_and_losses,
) -> Study:
    """The study of these networks, a seed each.

    Args:
      name: the experiment's.
      recipes: how each network is trained, by its name in the table.
      published: what the paper says of each one's test error.
      claims: the statements, each True or False of some results.
      options: what the person asked for.
      figure: draws the results.
    """
    return Study(name, recipes, 1, claims, lambda results: table(results, published), figure, options.seed)


def table(results: Results, published: Mapping[str, str]) -> str:
    """The results as a Markdown table, the paper's numbers beside ours."""
    columns = ("parameters", "training loss", "training error", "test error", "paper's test error")
    rows = {
        arm: (
            f"{result.parameters:,}",
            with_spread(result.metrics["train_loss"], 3),
            errors(result, "train_accuracy"),
            errors(result, "accuracy", "top5"),
            published.get(arm, ""),
        )
        for arm, result in results.items()
    }
    return grid("network", columns, rows)


def errors(result: Result, *names: str) -> str:
    """What lacks to these shares, in percent; those that there are.

    >>> errors(Result({"accuracy": [0.75], "top5": [0.9]}), "accuracy", "top5"), errors(Result({"a": [1.0]}), "a", "b")
    ('25.0 / 10.0 %', '0.0 %')
    """
    shares = [result.metrics[name] for name in names if name in result.metrics]
    there = [with_spread([100 * (1 - share) for share in of_seeds]) for of_seeds in shares]
    return " / ".join(there) + " %" * ("diverged" not in there)
