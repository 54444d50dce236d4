"""Prototypes that know which classes are alike, beside prototypes that do not. Lecture rows L86, L91.

    python -m train experiment sphere-privileged                   CIFAR-10 in three and five dimensions
    python -m train experiment sphere-privileged --vectors FILE    likeness from word vectors instead of a taxonomy
    python -m train experiment sphere-privileged --scale paper     CIFAR-100, 250 epochs, as published

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, Table 2: the fewer the dimensions, the more
privileged information helps.
"""

import dataclasses
from typing import Any

from train.config import Recipe
from train.config.tasks.sphere import SphereClassification
from train.experiments import Worded
from train.experiments.hyperspheres.dims import base_of, split
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style
from train.tasks.sphere.prototypes import likeness_of, prototypes_of
from zoo.hyperspheres import TAXONOMIES, largest_cosine, triplets_held

PLAIN, INFORMED = "prototypes", "with privileged information"
DIMS = {"cifar10": (3, 5), "cifar100": (3, 5, 10, 25)}
SEEDS = {"quick": 1, "paper": 5}

PUBLISHED = {
    PLAIN: ("5.5 ± 0.3", "28.7 ± 0.4", "51.1 ± 0.7", "63.0 ± 0.1"),
    INFORMED: ("11.5 ± 0.4", "37.0 ± 0.8", "57.0 ± 0.6", "64.0 ± 0.2"),
}
"""Accuracy on CIFAR-100 in percent."""


def recipes_of(options: Worded) -> dict[str, Recipe]:
    """Every arm's recipe: "prototypes, 3", and so on."""
    base = base_of(options)
    tasks = {
        PLAIN: SphereClassification(),
        INFORMED: SphereClassification(prototypes="semantic", vectors=likeness_name(options)),
    }
    return {
        f"{kind}, {dims}": dataclasses.replace(
            base,
            name=f"sphere-privileged-{options.scale}-{options.images}-{task.prototypes}-{dims}",
            task=dataclasses.replace(task, dims=dims),
        )
        for kind, task in tasks.items()
        for dims in DIMS[options.images]
    }


def study(options: Worded) -> Study:
    """Every arm, and what is said of them."""

    def with_placing(results: Results) -> str:
        return f"{table(results)}\n{placing(options)}"

    return Study(
        "sphere-privileged", recipes_of(options), options.count(SEEDS), claims, with_placing, figure, options.seed
    )


def run(options: Worded) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def placing(options: Worded) -> str:
    """Of each arm's prototypes, how many triplets of classes are in order, and how near the nearest two are."""
    names = sorted(TAXONOMIES[options.images])  # the order of the data set
    informed = SphereClassification(prototypes="semantic", vectors=likeness_name(options))
    likeness, rows = likeness_of(informed, names), {}
    for arm, recipe in recipes_of(options).items():
        found = prototypes_of(recipe.task, names, recipe.task.dims)
        rows[arm] = (f"{100 * triplets_held(found, likeness):.1f}", f"{float(largest_cosine(found)):.3f}")
    return grid("prototypes", ("triplets that hold (%)", "largest cosine"), rows)


def likeness_name(options: Worded) -> str:
    """Where the likeness of classes comes from."""
    return str(options.vectors or f"taxonomy:{options.images}")


def table(results: Results) -> str:
    """Accuracy in percent over dimensions, and under it the paper's on CIFAR-100."""
    dims = dims_of(results)
    rows = {kind: [results[f"{kind}, {number}"].percent("accuracy") for number in dims] for kind in (PLAIN, INFORMED)}
    ours = grid("accuracy (%), ours", [f"{number} dims" for number in dims], rows)
    return f"{ours}\n{grid('the paper, CIFAR-100', [f'{number} dims' for number in DIMS['cifar100']], PUBLISHED)}"


def dims_of(results: Results) -> list[int]:
    """The dimensions that were tried, fewest first."""
    return sorted({split(arm)[1] for arm in results})


def claims(results: Results) -> dict[str, bool]:
    """The lecture's statements."""
    dims = dims_of(results)
    gain = {
        number: results[f"{INFORMED}, {number}"].mean("accuracy") - results[f"{PLAIN}, {number}"].mean("accuracy")
        for number in dims
    }
    found = {f"privileged information helps in {number} dimensions": gain[number] > 0 for number in dims}
    found["it helps most where there are few"] = gain[dims[0]] > gain[dims[-1]]
    return found


def figure(results: Results) -> Any:
    """Accuracies as bars, two for each number of dimensions."""
    drawing = new_figure(5.5, 3.4, LIGHT)
    panel, dims = drawing.subplots(), dims_of(results)
    for i, (kind, colour) in enumerate(zip((PLAIN, INFORMED), COLOURS, strict=False)):
        found = [results[f"{kind}, {number}"] for number in dims]
        means, spreads = ([getattr(each, what)("accuracy", 100) for each in found] for what in ("mean", "spread"))
        places = [place + 0.4 * (i - 0.5) for place in range(len(dims))]
        drawn = panel.bar(places, means, 0.38, yerr=spreads, label=kind, color=colour, capsize=3)
        panel.bar_label(drawn, fmt="%.1f", fontsize="small")
    panel.set_xticks(range(len(dims)), [str(number) for number in dims])
    panel.margins(y=0.2)
    style(panel)
    labels(panel, x="output dimensions", y="test accuracy (%)")
    legend(panel, loc="upper left")
    return drawing
