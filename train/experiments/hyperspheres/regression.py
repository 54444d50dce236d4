"""Regression on the sphere against squared error, over learning rates and output dimensions. Lecture row L93.

    python -m train experiment sphere-regression                  angles of scikit-learn's digits, five seeds at once
    python -m train experiment sphere-regression --scale paper    angles of MNIST's, a residual network, 60 epochs

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, Table 4: the year of paintings (OmniArt, which
cannot be had), where squared error of the year itself ends in chance at a learning rate of 1e-2. Squared error of the
standardised value, which the paper does not have, is here too.
"""

import dataclasses
from typing import Any

import numpy as np

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.regression import Regression
from train.config.tasks.sphere import SphereRegression
from train.experiments import SeededOptions
from train.experiments.study import Results, Study
from train.experiments.tables import grid, smaller, with_spread
from train.recipes import mnist
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style

RAW, STANDARDISED, OURS = "squared error", "squared error, standardised", "sphere"
TASKS = {
    RAW: Regression(standardise=False),
    STANDARDISED: Regression(),
    OURS: SphereRegression(),
}
DIMS, RATES = (2, 3), (1e-2, 1e-3)
CHANCE = 45.0
"""Degrees that the best constant is off, of angles uniform from -90 to 90."""

PUBLISHED = {
    "squared error": ("210.7 ± 140.1", "110.3 ± 0.8", "339.9 ± 0.0", "109.9 ± 0.5"),
    "sphere": ("84.4 ± 10.7", "76.3 ± 5.6", "82.9 ± 1.9", "73.2 ± 0.6"),
}
"""Mean absolute error in years."""

QUICK = Recipe(
    name="sphere-regression-quick",
    model=Model("mlp", options=("hidden=(256, 128)",)),
    data=Data(source="rotated_digits", batch_size=64, eval_batch_size=360),
    schedule=Schedule("constant"),
    epochs=30,
)
PAPER = Recipe(
    name="sphere-regression-paper",
    model=Model("cifar_resnet32", options=("shortcut=conv3x3",)),
    data=Data(source="tfds:mnist", rotate=(-90.0, 90.0), batch_size=64, eval_batch_size=1000),
    augment=mnist.AUGMENT,
    schedule=Schedule("step", milestones=(0.5, 0.8)),
    epochs=60,
)
SEEDS = {"quick": 5, "paper": 5}
TALLEST = 60.0
"""Degrees of the tallest bar in the figure."""


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Every arm's recipe: "sphere, 2D, 0.01", and so on."""
    base = QUICK if options.scale == "quick" else PAPER
    base = dataclasses.replace(base, data=dataclasses.replace(base.data, data_dir=options.data_dir))
    tasks = {**TASKS, OURS: dataclasses.replace(TASKS[OURS], bounds=base.data.rotate or (-90.0, 90.0))}
    return {
        f"{kind}, {dims}D, {rate:g}": dataclasses.replace(
            base,
            name=f"sphere-regression-{options.scale}-{list(TASKS).index(kind)}-{dims}-{rate:g}",
            task=dataclasses.replace(task, dims=dims),
            optimizer=Optimizer(learning_rate=rate, momentum=0.9, weight_decay=1e-4),
        )
        for kind, task in tasks.items()
        for dims in DIMS
        for rate in RATES
    }


def study(options: SeededOptions) -> Study:
    """Every arm, and what is said of them."""
    return Study("sphere-regression", recipes_of(options), options.count(SEEDS), claims, table, figure, options.seed)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def table(results: Results) -> str:
    """Mean absolute error, and under it the paper's."""
    columns = [f"{dims}D, {rate:g}" for dims in DIMS for rate in RATES]
    rows = {kind: [with_spread(results[f"{kind}, {column}"].metrics["mae"]) for column in columns] for kind in TASKS}
    ours = grid("mean absolute error (degrees), ours", columns, rows)
    return f"{ours}\nA constant is {CHANCE:g} degrees off.\n\n{grid('the paper, OmniArt (years)', columns, PUBLISHED)}"


def claims(results: Results) -> dict[str, bool]:
    """The lecture's statements."""
    error = {arm: result.mean("mae") for arm, result in results.items()}
    found = {}
    for dims in DIMS:
        for rate in RATES:
            column = f"{dims}D, {rate:g}"
            found[f"the sphere learns, {column}"] = error[f"{OURS}, {column}"] < CHANCE / 2
            found[f"the sphere is ahead of squared error, {column}"] = smaller(
                error[f"{OURS}, {column}"], error[f"{RAW}, {column}"]
            )
    return found


def figure(results: Results) -> Any:
    """Mean absolute error, a group of bars for each space and learning rate."""
    drawing = new_figure(7.5, 3.8, LIGHT)
    panel = drawing.subplots()
    columns = [f"{dims}D, {rate:g}" for dims in DIMS for rate in RATES]
    for i, (kind, colour) in enumerate(zip(TASKS, COLOURS, strict=False)):
        found = [results[f"{kind}, {column}"] for column in columns]
        heights = [min(result.mean("mae"), TALLEST) if np.isfinite(result.mean("mae")) else TALLEST for result in found]
        spreads = [result.spread("mae") if np.isfinite(result.mean("mae")) else 0 for result in found]
        places = [place + 0.27 * (i - 1) for place in range(len(columns))]
        panel.bar(places, heights, 0.25, yerr=spreads, label=kind, color=colour, capsize=3)
        for place, result in zip(places, found, strict=True):
            if not result.mean("mae") <= TALLEST:
                panel.annotate("diverged", (place, 0.98 * TALLEST), rotation=90, ha="center", va="top", color="white")
    panel.axhline(CHANCE, color="black", linewidth=0.8, linestyle="--")
    panel.set_xticks(range(len(columns)), [f"{column}" for column in columns])
    panel.set_ylim(0, TALLEST)
    style(panel)
    labels(panel, x="dimensions, learning rate", y="mean absolute error (degrees)")
    legend(drawing, loc="outside upper center", ncols=3)
    return drawing
