"""Few and unequal numbers of examples: prototypes beside softmax and what else has angles. Lecture rows L89, L92.

    python -m train experiment sphere-imbalance                  MNIST, 2 to 200 examples a digit, five seeds
    python -m train experiment sphere-imbalance --scale paper    CIFAR-100, all and 2 to 200 examples, 250 epochs

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, Table 3. The other classifiers are Kasarla et
al., 2022 (a fixed matrix before the softmax), Wang et al., 2018 (CosFace), Deng et al., 2019 (ArcFace), Liu et al.,
2017 (SphereFace), and Snell et al., 2017 (prototypes that move).
"""

import dataclasses
from typing import Any

import numpy as np

from train.config import Augment, Classification, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.angles import ArcFace, ClassMeans, CosFace, MaxSeparation, SphereFace
from train.config.tasks.sphere import SphereClassification
from train.experiments import SeededOptions
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.recipes import cifar, mnist, sphere
from train.report.theme import COLOURS, LIGHT, heading, labels, new_figure, style

SOFTMAX, OURS = "softmax", "prototypes"
TASKS = {
    SOFTMAX: Classification(),
    "maximum separation before softmax": MaxSeparation(),
    "CosFace": CosFace(),
    "ArcFace": ArcFace(),
    "SphereFace": SphereFace(),
    "moving prototypes": ClassMeans(),
    OURS: SphereClassification(),
}
IMBALANCED = (2, 200)
"""Examples of the first and of the last class."""

QUICK = Recipe(
    name="sphere-imbalance-quick",
    model=Model("lenet5"),
    data=Data(source="tfds:mnist", per_class=IMBALANCED, batch_size=50, eval_batch_size=1000),
    augment=Augment(mean=mnist.AUGMENT.mean, std=mnist.AUGMENT.std, rotate=10.0, pad_crop=2),
    optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=40,
    eval_every=40,
)
SEEDS = {"quick": 3, "paper": 5}
PAPER = cifar.on("cifar100", sphere.PAPER)

PUBLISHED = {SOFTMAX: ("64.4 ± 0.4", "44.2 ± 0.0", "43.1 ± 0.6"), OURS: ("65.0 ± 0.3", "46.4 ± 0.0", "47.3 ± 0.1")}
"""Accuracy in percent, with 500 and with 2 to 200 examples a class of CIFAR-100, and about 30 of CUB-200."""


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Every arm's recipe."""
    if options.scale == "quick":
        bases = {"2 to 200": QUICK}
    else:
        fewer = dataclasses.replace(PAPER.data, per_class=IMBALANCED)
        bases = {"500": PAPER, "2 to 200": dataclasses.replace(PAPER, data=fewer)}
    arms = {}
    for examples, base in bases.items():
        data = dataclasses.replace(base.data, data_dir=options.data_dir)
        for number, (arm, task) in enumerate(TASKS.items()):
            as_softmax = options.scale == "paper" and arm != OURS
            arms[f"{arm}, {examples}"] = dataclasses.replace(
                base,
                name=f"sphere-imbalance-{options.scale}-{number}-{examples.replace(' ', '-')}",
                data=data,
                task=task,
                optimizer=sphere.SOFTMAX if as_softmax else base.optimizer,
            )
    return arms


def study(options: SeededOptions) -> Study:
    """Every arm, and what is said of them."""
    return Study("sphere-imbalance", recipes_of(options), options.count(SEEDS), claims, table, figure, options.seed)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def table(results: Results) -> str:
    """Accuracy in percent by examples a class, and under it the paper's."""
    columns = list(dict.fromkeys(arm.split(", ")[-1] for arm in results))
    rows = {arm: [results[f"{arm}, {column}"].percent("accuracy") for column in columns] for arm in TASKS}
    ours = grid("accuracy (%), ours", [f"{column} a class" for column in columns], rows)
    theirs = grid("the paper", ("CIFAR-100, 500 a class", "2 to 200 a class", "CUB-200, about 30 a class"), PUBLISHED)
    return f"{ours}\n{theirs}"


def claims(results: Results) -> dict[str, bool]:
    """The lecture's statement, for each number of examples."""
    columns = dict.fromkeys(arm.split(", ")[-1] for arm in results)
    accuracy = {arm: result.mean("accuracy") for arm, result in results.items()}
    return {
        f"prototypes are ahead of softmax with {column} examples a class": accuracy[f"{OURS}, {column}"]
        > accuracy[f"{SOFTMAX}, {column}"]
        for column in columns
    }


def figure(results: Results) -> Any:
    """Accuracies as bars, a panel for each number of examples."""
    columns = list(dict.fromkeys(arm.split(", ")[-1] for arm in results))
    drawing = new_figure(4 + 3.2 * len(columns), 3.2, LIGHT)
    panels = drawing.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for panel, column in zip(panels, columns, strict=True):
        found = [results[f"{arm}, {column}"] for arm in TASKS]
        means, spreads = ([getattr(each, what)("accuracy", 100) for each in found] for what in ("mean", "spread"))
        drawn = panel.barh(list(TASKS), means, xerr=spreads, color=COLOURS[: len(TASKS)], height=0.65)
        panel.bar_label(drawn, fmt=" %.1f", fontsize="small")
        panel.set_xlim(0, 1.18 * np.nanmax([*means, 1]))
        style(panel)
        heading(panel, f"{column} examples a class")
        labels(panel, x="test accuracy (%)")
    panels[0].invert_yaxis()
    return drawing
