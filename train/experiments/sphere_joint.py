"""A digit and its rotation at once: in one space on the sphere, and by two losses added up. Lecture rows L94, L95.

    python -m train experiment sphere-joint                  real MNIST, LeNet, minutes
    python -m train experiment sphere-joint --scale paper    a residual network, 60 epochs, five seeds

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, section 4.3 and Table 5: the year and the style
of paintings (OmniArt, which cannot be had). Neither side has a loss weight: that is the point.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from train.console import Console
from train.experiments import Options
from train.experiments.arms import COLOURS, conclude
from train.experiments.repeated import Result, grid, numbers_of, run_arms, with_spread
from train.recipe import Model, Recipe, Schedule, Task
from train.recipes import sphere

RAW, STANDARDISED, OURS = "two losses", "two losses, standardised", "one sphere"
TASKS = {
    RAW: Task("joint", standardise=False),
    STANDARDISED: Task("joint"),
    OURS: sphere.JOINT.task,
}
QUICK = sphere.JOINT
PAPER = dataclasses.replace(
    QUICK,
    model=Model("cifar_resnet32", options=("shortcut=conv3x3",)),
    data=dataclasses.replace(QUICK.data, batch_size=128),
    schedule=Schedule("cosine", warmup=0.05),
    epochs=60,
)
QUICK_SEEDS, PAPER_SEEDS = 1, 5
ACCURACY, DEGREES = 98.0, 6.0
"""What one space should reach: percent of the digits, and mean degrees off."""

PUBLISHED = {"two losses": ("354.7 ± 7.8", "47.2 ± 0.4"), "one sphere": ("68.3 ± 1.1", "52.6 ± 0.1")}
"""Years that the creation date is off, and percent of the styles."""


def recipes_of(options: Options) -> dict[str, Recipe]:
    """Every arm's recipe; they differ in the task alone."""
    base = QUICK if options.scale == "quick" else PAPER
    base = dataclasses.replace(base, data=dataclasses.replace(base.data, data_dir=options.data_dir))
    return {
        arm: dataclasses.replace(base, name=f"sphere-joint-{options.scale}-{number}", task=task)
        for number, (arm, task) in enumerate(TASKS.items())
    }


def run(options: Options) -> int:
    """Trains every arm and writes table and figure.

    Returns:
      0 when every claim holds, 1 when not, 130 when interrupted.
    """
    seeds = options.seeds or (QUICK_SEEDS if options.scale == "quick" else PAPER_SEEDS)
    results = run_arms(recipes_of(options), seeds, options.seed, options.workdir)
    if results is None:
        return 130
    claims = verdict(results)
    return conclude(
        "sphere-joint", options.workdir, numbers_of(results), claims, table(results), figure(results), Console()
    )


def table(results: Mapping[str, Result]) -> str:
    """Error of the value and accuracy of the class, and under it the paper's."""
    rows = {arm: (with_spread(result.metrics["mae"]), result.percent("accuracy")) for arm, result in results.items()}
    ours = grid("MNIST, ours", ("rotation, mean absolute error (degrees)", "digits right (%)"), rows)
    theirs = grid("OmniArt, the paper", ("year, mean absolute error", "styles right (%)"), PUBLISHED)
    return f"{ours}\n{theirs}"


def verdict(results: Mapping[str, Result]) -> dict[str, bool]:
    """The lecture's statements."""
    accuracy = {arm: result.mean("accuracy", 100) for arm, result in results.items()}
    error = {arm: result.mean("mae") for arm, result in results.items()}
    return {
        f"one sphere has at least {ACCURACY:g} % of the digits right": accuracy[OURS] >= ACCURACY,
        f"and is less than {DEGREES:g} degrees off": error[OURS] < DEGREES,
        "it has more digits right than two losses whose scales differ": accuracy[OURS] > accuracy[RAW],
        "and is nearer in degrees": error[OURS] < error[RAW],
    }


def figure(results: Mapping[str, Result]) -> Any:
    """Both errors of every arm, as bars."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(8, 2.6), layout="constrained")
    panels = drawing.subplots(1, 2, sharey=True)
    for panel, name, scale, label in (
        (panels[0], "accuracy", 100, "digits wrong (%)"),
        (panels[1], "mae", 1, "rotation, mean absolute error (degrees)"),
    ):
        means = [result.mean(name, scale) for result in results.values()]
        means = [100 - mean for mean in means] if name == "accuracy" else means
        spreads = [result.spread(name, scale) for result in results.values()]
        drawn = panel.barh(list(results), means, xerr=spreads, color=COLOURS[: len(results)], height=0.6)
        panel.bar_label(drawn, fmt=" %.2f", fontsize="small")
        panel.set(xlabel=label, xlim=(0, 1.2 * max(means)))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    return drawing
