"""A digit and its rotation at once: in one space on the sphere, and by two losses added up. Lecture rows L94, L95.

    python -m train experiment sphere-joint                  real MNIST, LeNet, minutes
    python -m train experiment sphere-joint --scale paper    a residual network, 60 epochs, five seeds

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, section 4.3 and Table 5: the year and the style
of paintings (OmniArt, which cannot be had). Neither side has a loss weight: that is the point.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from train.console import Console
from train.experiments import Repeated
from train.experiments.arms import COLOURS
from train.experiments.repeated import INTERRUPTED, Result, conduct, grid, smaller, with_spread
from train.loop import fit
from train.recipe import Model, Recipe, Schedule, Task
from train.recipes import sphere
from train.workdir import Workdir

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
SEEDS = {"quick": 1, "paper": 5}
ACCURACY, DEGREES = 98.0, 6.0
"""What one space should reach: percent of the digits, and mean degrees off."""

PUBLISHED = {"two losses": ("354.7 ± 7.8", "47.2 ± 0.4"), "one sphere": ("68.3 ± 1.1", "52.6 ± 0.1")}
"""Years that the creation date is off, and percent of the styles."""


def recipes_of(options: Repeated) -> dict[str, Recipe]:
    """Every arm's recipe; they differ in the task alone."""
    base = QUICK if options.scale == "quick" else PAPER
    base = dataclasses.replace(base, data=dataclasses.replace(base.data, data_dir=options.data_dir))
    return {
        arm: dataclasses.replace(base, name=f"sphere-joint-{options.scale}-{number}", task=task)
        for number, (arm, task) in enumerate(TASKS.items())
    }


def run(options: Repeated) -> int:
    """Trains every arm and writes table and figure; see `train.experiments.repeated.conduct`."""
    code = conduct("sphere-joint", options, SEEDS, recipes_of(options), verdict, table, figure)
    return code if code == INTERRUPTED else globe(options) or code


def globe(options: Repeated) -> int:
    """Trains the paper's five digits in three dimensions, whose report has a globe that shows how they part.

    Returns:
      0, or what the run ended with when a signal stopped it.
    """
    recipe = dataclasses.replace(
        sphere.GLOBE, data=dataclasses.replace(sphere.GLOBE.data, data_dir=options.data_dir), seed=options.seed
    )
    files, console = Workdir(options.workdir / f"globe-{options.seed}"), Console()
    begun = files.card.exists() and files.read_recipe() == recipe
    if not (begun and files.finished):
        console.say("five digits in three dimensions", style="bold")
        outcome = fit(recipe, files.path, resume=begun)
        if outcome.fingerprint is None:
            return outcome.exit_code or 1  # a signal of the system ends a run with 0
    console.say(f"globe: {files.report}")
    return 0


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
        "and is nearer in degrees": smaller(error[OURS], error[RAW]),
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
        labels = [f" {mean:.2f}" if np.isfinite(mean) else " diverged" for mean in means]
        widths, spreads = np.nan_to_num(means), np.nan_to_num(spreads)
        drawn = panel.barh(list(results), widths, xerr=spreads, color=COLOURS[: len(results)], height=0.6)
        panel.bar_label(drawn, labels, fontsize="small")
        panel.set(xlabel=label, xlim=(0, 1.2 * max(widths) or 1))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    return drawing
