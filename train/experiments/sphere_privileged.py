"""Prototypes that know which classes are alike, beside prototypes that do not. Lecture rows L86, L91.

    python -m train experiment sphere-privileged                   CIFAR-10 in three and five dimensions
    python -m train experiment sphere-privileged --vectors FILE    likeness from word vectors instead of a taxonomy
    python -m train experiment sphere-privileged --scale paper     CIFAR-100, 250 epochs, as published

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, Table 2: the fewer the dimensions, the more
privileged information helps.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from train.experiments import Worded
from train.experiments.arms import COLOURS
from train.experiments.repeated import Result, conduct, grid
from train.experiments.sphere_dims import base_of, split
from train.recipe import Recipe, Space, Task
from train.tasks.prototypes import likeness_of, prototypes_of
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
    spaces = {PLAIN: Space(), INFORMED: Space(prototypes="semantic", vectors=likeness_name(options))}
    return {
        f"{kind}, {dims}": dataclasses.replace(
            base,
            name=f"sphere-privileged-{options.scale}-{options.images}-{space.prototypes}-{dims}",
            task=Task("sphere_classification", space=dataclasses.replace(space, dims=dims)),
        )
        for kind, space in spaces.items()
        for dims in DIMS[options.images]
    }


def run(options: Worded) -> int:
    """Trains every arm and writes table and figure; see `train.experiments.repeated.conduct`."""

    def with_placing(results: Mapping[str, Result]) -> str:
        return f"{table(results)}\n{placing(options)}"

    return conduct("sphere-privileged", options, SEEDS, recipes_of(options), verdict, with_placing, figure)


def placing(options: Worded) -> str:
    """Of each arm's prototypes, how many triplets of classes are in order, and how near the nearest two are."""
    names = sorted(TAXONOMIES[options.images])  # the order of the data set
    rows = {}
    for arm, recipe in recipes_of(options).items():
        space = recipe.task.space
        likeness = likeness_of(dataclasses.replace(space, vectors=likeness_name(options)), names)
        found = prototypes_of(space, names, space.dims)
        rows[arm] = (f"{100 * triplets_held(found, likeness):.1f}", f"{float(largest_cosine(found)):.3f}")
    return grid("prototypes", ("triplets that hold (%)", "largest cosine"), rows)


def likeness_name(options: Worded) -> str:
    """Where the likeness of classes comes from."""
    return str(options.vectors or f"taxonomy:{options.images}")


def table(results: Mapping[str, Result]) -> str:
    """Accuracy in percent over dimensions, and under it the paper's on CIFAR-100."""
    dims = dims_of(results)
    rows = {kind: [results[f"{kind}, {number}"].percent("accuracy") for number in dims] for kind in (PLAIN, INFORMED)}
    ours = grid("accuracy (%), ours", [f"{number} dims" for number in dims], rows)
    return f"{ours}\n{grid('the paper, CIFAR-100', [f'{number} dims' for number in DIMS['cifar100']], PUBLISHED)}"


def dims_of(results: Mapping[str, Result]) -> list[int]:
    """The dimensions that were tried, fewest first."""
    return sorted({split(arm)[1] for arm in results})


def verdict(results: Mapping[str, Result]) -> dict[str, bool]:
    """The lecture's statements."""
    dims = dims_of(results)
    gain = {
        number: results[f"{INFORMED}, {number}"].mean("accuracy") - results[f"{PLAIN}, {number}"].mean("accuracy")
        for number in dims
    }
    claims = {f"privileged information helps in {number} dimensions": gain[number] > 0 for number in dims}
    claims["it helps most where there are few"] = gain[dims[0]] > gain[dims[-1]]
    return claims


def figure(results: Mapping[str, Result]) -> Any:
    """Accuracies as bars, two for each number of dimensions."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(5.5, 3.4), layout="constrained")
    panel, dims = drawing.subplots(), dims_of(results)
    for i, (kind, colour) in enumerate(zip((PLAIN, INFORMED), COLOURS, strict=False)):
        found = [results[f"{kind}, {number}"] for number in dims]
        means, spreads = ([getattr(each, what)("accuracy", 100) for each in found] for what in ("mean", "spread"))
        places = [place + 0.4 * (i - 0.5) for place in range(len(dims))]
        drawn = panel.bar(places, means, 0.38, yerr=spreads, label=kind, color=colour, capsize=3)
        panel.bar_label(drawn, fmt="%.1f", fontsize="small")
    panel.set_xticks(range(len(dims)), [str(number) for number in dims])
    panel.set(xlabel="output dimensions", ylabel="test accuracy (%)")
    panel.legend(frameon=False, fontsize="small", loc="upper left")
    panel.margins(y=0.2)
    panel.spines[["top", "right"]].set_visible(False)
    return drawing
