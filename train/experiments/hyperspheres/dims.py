"""How many dimensions classes need: prototypes against one-hot, random and word vectors. Lecture row L90.

    python -m train experiment sphere-dims --vectors FILE                    CIFAR-10, a small network, part of the data
    python -m train experiment sphere-dims --vectors FILE --scale paper      CIFAR-100, 250 epochs, as published

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, Table 1.
"""

import dataclasses
from typing import Any

from train.config import Classification, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.sphere import SphereClassification
from train.experiments import Worded
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.recipes import cifar, cifar10, sphere
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style

SOFTMAX, ONE_HOT, RANDOM, WORDS, OURS = "softmax", "one-hot", "random vectors", "word vectors", "prototypes"

KINDS = {ONE_HOT: "one_hot", RANDOM: "random", WORDS: "vectors", OURS: "separated"}

QUICK = Recipe(
    name="sphere-dims-quick",
    model=Model("cifar_resnet8", options=("shortcut=conv3x3",)),
    data=Data(source="tfds:cifar10", limit=2000, batch_size=32, eval_batch_size=1000),
    augment=cifar10.AUGMENT,
    optimizer=Optimizer("adamw", learning_rate=4e-3, weight_decay=2e-2),
    schedule=Schedule("one_cycle", warmup=0.25),
    epochs=60,
    eval_every=60,
)
"""3720 steps on 200 images a class, varied by shifts and mirroring."""
DIMS = {"cifar10": (3, 5, 10), "cifar100": (10, 25, 50, 100)}
"""Of each data set; the last has a dimension a class."""
SEEDS = {"quick": 1, "paper": 5}

PUBLISHED = {
    ONE_HOT: {100: "62.1 ± 0.1"},
    WORDS: {10: "29.0 ± 0.0", 25: "44.5 ± 0.5", 50: "54.3 ± 0.1", 100: "57.6 ± 0.6"},
    OURS: {10: "51.1 ± 0.7", 25: "63.0 ± 0.1", 50: "64.7 ± 0.2", 100: "65.0 ± 0.3"},
    SOFTMAX: {100: "64.4 ± 0.4"},
}
"""Accuracy on CIFAR-100 in percent."""


def recipes_of(options: Worded) -> dict[str, Recipe]:
    """Every arm's recipe: "prototypes, 3", and so on."""
    base, all_dims = base_of(options), DIMS[options.images]
    softmax = base.optimizer if options.scale == "quick" else sphere.SOFTMAX
    arms = {f"{SOFTMAX}, {all_dims[-1]}": dataclasses.replace(base, optimizer=softmax, task=Classification())}
    for kind, name in KINDS.items():
        for dims in all_dims:
            if (kind == ONE_HOT and dims < all_dims[-1]) or (kind == WORDS and options.vectors is None):
                continue
            vectors = str(options.vectors) if kind == WORDS else None
            task = SphereClassification(prototypes=name, vectors=vectors, dims=dims)
            arms[f"{kind}, {dims}"] = dataclasses.replace(base, task=task)
    prefix = f"sphere-dims-{options.scale}-{options.images}"
    return {
        arm: dataclasses.replace(recipe, name=f"{prefix}-{arm.replace(', ', '-').replace(' ', '-')}")
        for arm, recipe in arms.items()
    }


def base_of(options: Worded) -> Recipe:
    """What the arms of an experiment on CIFAR have in common."""
    recipe = cifar.on(options.images, QUICK if options.scale == "quick" else sphere.PAPER)
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, data_dir=options.data_dir))


def study(options: Worded) -> Study:
    """Every arm, and what is said of them."""
    return Study("sphere-dims", recipes_of(options), options.count(SEEDS), claims, table, figure, options.seed)


def run(options: Worded) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def table(results: Results) -> str:
    """Accuracy in percent over dimensions, and under it the paper's on CIFAR-100."""
    found = {split(arm): result.percent("accuracy") for arm, result in results.items()}
    dims = sorted({number for _, number in found})
    rows = {kind: [found.get((kind, number), "") for number in dims] for kind in dict.fromkeys(k for k, _ in found)}
    ours = grid("accuracy (%), ours", [f"{number} dims" for number in dims], rows)
    columns = sorted({number for row in PUBLISHED.values() for number in row})
    theirs = {kind: [row.get(number, "") for number in columns] for kind, row in PUBLISHED.items()}
    return f"{ours}\n{grid('the paper, CIFAR-100', [f'{number} dims' for number in columns], theirs)}"


def claims(results: Results) -> dict[str, bool]:
    """The lecture's statements."""
    accuracy = {split(arm): result.mean("accuracy", 100) for arm, result in results.items()}
    dims = sorted({number for _, number in accuracy})
    most = dims[-1]
    found = {
        f"prototypes are at most 0.5 points behind softmax at {most} dimensions": accuracy[OURS, most]
        >= accuracy[SOFTMAX, most] - 0.5,
        "and at most 0.5 points behind one-hot vectors": accuracy[OURS, most] >= accuracy[ONE_HOT, most] - 0.5,
    }
    for kind in (RANDOM, WORDS):
        for number in dims[:-1]:
            if (kind, number) in accuracy:
                found[f"prototypes are ahead of {kind} at {number} dimensions"] = (
                    accuracy[OURS, number] > accuracy[kind, number]
                )
    return found


def split(arm: str) -> tuple[str, int]:
    """Kind and dimensions of an arm.

    >>> split("word vectors, 25")
    ('word vectors', 25)
    """
    kind, _, dims = arm.rpartition(", ")
    return kind, int(dims)


def figure(results: Results) -> Any:
    """Accuracy over dimensions, a line a kind of prototypes."""
    drawing = new_figure(6.4, 3.8, LIGHT)
    panel = drawing.subplots()
    kinds = dict.fromkeys(split(arm)[0] for arm in results)
    for kind, colour in zip(kinds, COLOURS, strict=False):
        points = sorted((split(arm)[1], result) for arm, result in results.items() if split(arm)[0] == kind)
        dims = [number for number, _ in points]
        means = [result.mean("accuracy", 100) for _, result in points]
        spreads = [result.spread("accuracy", 100) for _, result in points]
        panel.errorbar(dims, means, spreads, label=kind, color=colour, marker="o", capsize=3, linewidth=1.4)
    panel.set_xscale("log")
    ticks = sorted({split(arm)[1] for arm in results})
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    style(panel)
    labels(panel, x="output dimensions", y="test accuracy (%)")
    legend(panel)
    return drawing
