"""One network for depth, normals, reflectance and shading against one for each. Lecture rows L63, L64.

    python -m train experiment one-output-or-all                  rendered surfaces, half of the recipe's epochs
    python -m train experiment one-output-or-all --scale paper    all of them

Eigen and Fergus, 2015, share a network among depth and normals, and Kokkinos, 2017, UberNet, asks what sharing costs:
whether a network with several outputs is about as good at each as one that learns nothing else. Network, data and steps
are those of the recipe `surfaces_all`; an arm differs from another in its outputs alone.
"""

import dataclasses
from typing import Any

import numpy as np

from train.config import Recipe
from train.config.tasks.surfaces import Surfaces
from train.experiments import SeededOptions
from train.experiments.bars import grouped_bars
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.recipes.surfaces import ALL

EVERY = "all"
ERRORS = {
    "depth": ("abs_rel", "relative error of depth (%)", 100),
    "normals": ("angle", "angle of normals (degrees)", 1),
    "reflectance": ("reflectance_lmse", "local error of reflectance (%)", 100),
    "shading": ("shading_lmse", "local error of shading (%)", 100),
}
"""Of each map the metric, what it is in the table, and what it is multiplied with there."""
CONSTANT = "_constant"
"""After a metric's name: what a constant prediction comes to."""
ABOUT = 1.25
"""How many times as large an error may be that is about as good."""
SEEDS = {"quick": 2, "paper": 3}
EPOCHS = {"quick": ALL.epochs // 2, "paper": ALL.epochs}


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """An arm for each map, and that of all."""
    epochs = EPOCHS[options.scale]
    base = dataclasses.replace(ALL, epochs=epochs, eval_every=epochs)
    weights = dict(zip(base.task.maps, base.task.weights, strict=True))
    arms = {name: Surfaces(maps=(name,), weights=(weights[name],)) for name in ERRORS} | {EVERY: base.task}
    return {
        arm: dataclasses.replace(base, name=f"one-output-or-all-{options.scale}-{arm}", task=task)
        for arm, task in arms.items()
    }


def study(options: SeededOptions) -> Study:
    """The arms, and what is said of them."""
    return Study("one-output-or-all", recipes_of(options), options.count(SEEDS), claims, table, figure, options.seed)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def claims(results: Results) -> dict[str, bool]:
    """What the table is there to show, of the means over the seeds; nan is no better than anything."""
    said = {
        f"{name}: one of four outputs is about as good as the only one": _ratio(results, name) <= ABOUT
        for name in ERRORS
    }
    alone = sum(results[name].parameters for name in ERRORS)
    return {**said, "one network has less than half of the parameters of four": results[EVERY].parameters < alone / 2}


def table(results: Results) -> str:
    """For each map the errors of both networks, their quotient, and the error of a constant; then their sizes."""
    rows = {}
    for name, (metric, title, scale) in ERRORS.items():
        both = [_said(results, arm, metric, scale) for arm in (name, EVERY)]
        constant = f"{results[EVERY].mean(metric + CONSTANT, scale):.1f}"
        rows[title] = [*both, f"{_ratio(results, name):.2f}", constant]
    several = [sum(getattr(results[name], what) for name in ERRORS) for what in ("parameters", "seconds")]
    one = [results[EVERY].parameters, results[EVERY].seconds]
    rows["parameters"] = [f"{several[0]:,}", f"{one[0]:,}", f"{one[0] / max(several[0], 1):.2f}", "0"]
    rows["seconds of training"] = [f"{several[1]:.0f}", f"{one[1]:.0f}", f"{one[1] / max(several[1], 1e-9):.2f}", "0"]
    return grid("error, smaller is better", ["one network each", "one for all", "all / each", "a constant"], rows)


def figure(results: Results) -> Any:
    """The errors of both networks as shares of the constant's, a pair of bars a map, with the spread over the seeds."""
    series = {
        title: [_share(results, arm, metric) for arm, (metric, _, _) in zip(arms, ERRORS.values(), strict=True)]
        for title, arms in {"one network each": tuple(ERRORS), "one for all": (EVERY,) * len(ERRORS)}.items()
    }
    return grouped_bars(list(ERRORS), series, "% of a constant's error")


def _share(results: Results, arm: str, metric: str) -> tuple[float, float]:
    """Mean and spread in percent of the constant's error."""
    scale = 100 / results[arm].mean(metric + CONSTANT)
    return results[arm].mean(metric, scale), results[arm].spread(metric, scale)


def _said(results: Results, arm: str, metric: str, scale: float) -> str:
    """Mean and spread."""
    mean, spread = results[arm].mean(metric, scale), results[arm].spread(metric, scale)
    return f"{mean:.2f} ± {spread:.2f}" if np.isfinite(mean) else "diverged"


def _ratio(results: Results, name: str) -> float:
    """How many times as large the error of the network of all is; nan where a seed diverged."""
    metric, _, _ = ERRORS[name]
    return results[EVERY].mean(metric) / results[name].mean(metric)
