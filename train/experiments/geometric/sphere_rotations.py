"""Digits on the sphere that are turned in three dimensions: a plain and a spherical network. Lecture row L79.

    python -m train experiment spherical-rotations                  three seeds
    python -m train experiment spherical-rotations --scale paper    ten seeds, three times as long

Each network learns from digits around the north pole (NR) and from digits turned by random rotations (R); it is tested
on the like, and the one that learned NR on R as well. Cohen, Geiger, Köhler and Welling, 2018, Spherical CNNs, Table 1,
did so with MNIST at a bandwidth of 30; here are scikit-learn's digits at 12. The plain network sees the samples, rows
by latitude and columns by longitude, as an image. Our spherical network has zonal filters, theirs have any form.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train import data
from train.config import Data, Model, Recipe
from train.experiments import SeededOptions
from train.experiments.bars import grouped_bars
from train.experiments.geometric.held_out import accuracies
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.recipes.equivariant import SPHERICAL

PLANAR, SPHERE = "planar", "spherical"
MODELS = {PLANAR: Model("z2cnn", options=("depth=4", "width=18")), SPHERE: SPHERICAL.model}
SOURCES = {"NR": "spherical_digits", "R": "spherical_digits:rotated"}
COLUMNS = ("NR / NR", "R / R", "NR / R")
"""Learned from / tested on."""
PUBLISHED = {PLANAR: (0.98, 0.23, 0.11), SPHERE: (0.96, 0.95, 0.94)}
SEEDS = {"quick": 3, "paper": 10}


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Both networks on either kind of digits."""
    arms, epochs = {}, SPHERICAL.epochs * (3 if options.scale == "paper" else 1)
    for network, model in MODELS.items():
        for learned, source in SOURCES.items():
            arms[f"{network}, {learned}"] = dataclasses.replace(
                SPHERICAL,
                name=f"spherical-rotations-{options.scale}-{network}-{learned}",
                model=model,
                data=dataclasses.replace(SPHERICAL.data, source=source),
                epochs=epochs,
            )
    return arms


def study(options: SeededOptions) -> Study:
    """All arms, each tested on digits of both kinds, and what is said of them."""
    count = options.count(SEEDS)
    return Study(
        "spherical-rotations", recipes_of(options), count, claims, table, figure, options.seed, measure=measure
    )


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def measure(path: Path) -> Mapping[str, float]:
    """Accuracies of a run on digits around the north pole and on turned ones."""
    return accuracies(path, {f"accuracy_{kind}": data.load(Data(name), "test") for kind, name in SOURCES.items()})


def means(results: Results, network: str) -> list[float]:
    """The mean accuracy of each column."""
    return [results[f"{network}, {learned}"].mean(f"accuracy_{tested}") for learned, tested in map(_parts, COLUMNS)]


def claims(results: Results) -> dict[str, bool]:
    """The paper's table, in words."""
    planar, spherical = means(results, PLANAR), means(results, SPHERE)
    return {
        "the spherical network learned from upright digits knows turned ones": spherical[0] - spherical[2] < 0.05,
        "the planar one does not": planar[0] - planar[2] > 0.5,
        "of turned digits the spherical network learns more": spherical[1] > planar[1],
        "and hardly less than of upright ones": spherical[0] - spherical[1] < 0.05,
    }


def table(results: Results) -> str:
    """Accuracy in percent, learned from / tested on, and the paper's."""
    ours = {
        network: [
            results[f"{network}, {learned}"].percent(f"accuracy_{tested}") for learned, tested in map(_parts, COLUMNS)
        ]
        for network in MODELS
    }
    theirs = {network: [f"{value:.2f}" for value in values] for network, values in PUBLISHED.items()}
    sizes = ", ".join(f"{network} {results[f'{network}, NR'].parameters:,}" for network in MODELS)
    ours_title, theirs_title = "accuracy (%), learned / tested", "the paper, MNIST, accuracy"
    return f"{grid(ours_title, COLUMNS, ours)}\nParameters: {sizes}.\n\n{grid(theirs_title, COLUMNS, theirs)}"


def figure(results: Results) -> Any:
    """A pair of bars for each column of the table."""
    series = {}
    for network in MODELS:
        found = [(results[f"{network}, {learned}"], f"accuracy_{tested}") for learned, tested in map(_parts, COLUMNS)]
        series[network] = [(result.mean(metric, 100), result.spread(metric, 100)) for result, metric in found]
    return grouped_bars(list(COLUMNS), series, y="accuracy (%)")


def _parts(column: str) -> list[str]:
    return column.split(" / ")
