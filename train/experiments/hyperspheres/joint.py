"""A digit and its rotation at once: in one space on the sphere, and by two losses added up. Lecture rows L94, L95.

    python -m train experiment sphere-joint                  real MNIST, LeNet, minutes
    python -m train experiment sphere-joint --scale paper    a residual network, 60 epochs, five seeds

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, section 4.3 and Table 5: the year and the style
of paintings (OmniArt, which cannot be had). Neither side has a loss weight: that is the point.
"""

import dataclasses
from typing import Any

import numpy as np

from train.config import Model, Recipe, Schedule
from train.config.tasks.regression import Joint
from train.engine.console import Console
from train.engine.seeds import Stopped, folder_for, train_alone
from train.experiments import SeededOptions
from train.experiments.study import INTERRUPTED, Results, Study
from train.experiments.tables import grid, smaller, with_spread
from train.recipes import sphere
from train.report.theme import COLOURS, LIGHT, labels, new_figure, style
from train.store.workdir import Workdir

RAW, STANDARDISED, OURS = "two losses", "two losses, standardised", "one sphere"
TASKS = {
    RAW: Joint(standardise=False),
    STANDARDISED: Joint(),
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


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Every arm's recipe; they differ in the task alone."""
    base = QUICK if options.scale == "quick" else PAPER
    base = dataclasses.replace(base, data=dataclasses.replace(base.data, data_dir=options.data_dir))
    return {
        arm: dataclasses.replace(base, name=f"sphere-joint-{options.scale}-{number}", task=task)
        for number, (arm, task) in enumerate(TASKS.items())
    }


def study(options: SeededOptions) -> Study:
    """Every arm, and what is said of them."""
    return Study("sphere-joint", recipes_of(options), options.count(SEEDS), claims, table, figure, options.seed)


def run(options: SeededOptions) -> int:
    """See `Study.run`; and the globe."""
    code = study(options).run(options.workdir)
    return code if code == INTERRUPTED else globe(options) or code


def globe(options: SeededOptions) -> int:
    """Trains the paper's five digits in three dimensions, whose report has a globe that shows how they part.

    Returns:
      0; 1 when it diverged; or what the run ended with when a signal stopped it.
    """
    recipe = dataclasses.replace(
        sphere.GLOBE, data=dataclasses.replace(sphere.GLOBE.data, data_dir=options.data_dir), seed=options.seed
    )
    path, console = folder_for(recipe, options.workdir / f"globe-{options.seed}"), Console(lasting=True)
    console.say("five digits in three dimensions", style="bold")
    try:
        trained = train_alone(recipe, path, console)
    except Stopped as stopped:
        return stopped.exit_code or 1  # a signal of the system ends a run with 0
    console.say(f"globe: {trained.diverged or Workdir(path).report}")
    return 1 if trained.diverged else 0


def table(results: Results) -> str:
    """Error of the value and accuracy of the class, and under it the paper's."""
    rows = {arm: (with_spread(result.metrics["mae"]), result.percent("accuracy")) for arm, result in results.items()}
    ours = grid("MNIST, ours", ("rotation, mean absolute error (degrees)", "digits right (%)"), rows)
    theirs = grid("OmniArt, the paper", ("year, mean absolute error", "styles right (%)"), PUBLISHED)
    return f"{ours}\n{theirs}"


def claims(results: Results) -> dict[str, bool]:
    """The lecture's statements."""
    accuracy = {arm: result.mean("accuracy", 100) for arm, result in results.items()}
    error = {arm: result.mean("mae") for arm, result in results.items()}
    return {
        f"one sphere has at least {ACCURACY:g} % of the digits right": accuracy[OURS] >= ACCURACY,
        f"and is less than {DEGREES:g} degrees off": error[OURS] < DEGREES,
        "it has more digits right than two losses whose scales differ": accuracy[OURS] > accuracy[RAW],
        "and is nearer in degrees": smaller(error[OURS], error[RAW]),
    }


def figure(results: Results) -> Any:
    """Both errors of every arm, as bars."""
    drawing = new_figure(8, 2.6, LIGHT)
    panels = drawing.subplots(1, 2, sharey=True)
    for panel, name, scale, label in (
        (panels[0], "accuracy", 100, "digits wrong (%)"),
        (panels[1], "mae", 1, "rotation, mean absolute error (degrees)"),
    ):
        means = [result.mean(name, scale) for result in results.values()]
        means = [100 - mean for mean in means] if name == "accuracy" else means
        spreads = [result.spread(name, scale) for result in results.values()]
        said = [f" {mean:.2f}" if np.isfinite(mean) else " diverged" for mean in means]
        widths, spreads = np.nan_to_num(means), np.nan_to_num(spreads)
        drawn = panel.barh(list(results), widths, xerr=spreads, color=COLOURS[: len(results)], height=0.6)
        panel.bar_label(drawn, said, fontsize="small")
        panel.set_xlim(0, 1.2 * max(widths) or 1)
        style(panel)
        labels(panel, x=label)
    panels[0].invert_yaxis()
    return drawing
