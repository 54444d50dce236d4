"""FCN-32s, FCN-16s and FCN-8s at equal training: from coarse scores to fine ones. Lecture rows L61, L65.

    python -m train experiment fcn                  scenes of digits, half of the recipes' epochs
    python -m train experiment fcn --scale paper    all of them

Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation, section 4.2 and Table 2: one
network, whose scores of coarse maps say what is there, and those of finer maps where it ends. Arms are the recipes
`scenes_fcn32s`, `scenes_fcn16s` and `scenes_fcn8s`, which differ in the maps that are scored. Each learns from random
numbers, where the paper's finer networks begin as the coarser ones end.
"""

import dataclasses
from typing import Any

from train.config import Recipe
from train.experiments import SeededOptions
from train.experiments.bars import grouped_bars
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.recipes.scenes import FCN8S, FCN16S, FCN32S

COARSE, MIDDLE, FINE = "FCN-32s", "FCN-16s", "FCN-8s"
RECIPES = {COARSE: FCN32S, MIDDLE: FCN16S, FINE: FCN8S}
COLUMNS = {"mean IoU": "mean_iou", "pixel accuracy": "pixel_accuracy", "mean IoU at edges": "trimap_iou"}
"""Of the table, and what the task calls them."""
BOUNDS = {COARSE: 72.6, MIDDLE: 92.5, FINE: 100.0}
"""Mean IoU in percent of the true label maps of the test scenes, made coarser by the stride of the finest map that is
scored, and enlarged again: about the best that such scores can say. The paper's appendix A has them for Pascal VOC."""
PUBLISHED = {COARSE: (59.4, 89.1), MIDDLE: (62.4, 90.0), FINE: (62.7, 90.3)}
"""In percent, of a part of Pascal VOC 2011's validation images: the first two columns."""
SEEDS = {"quick": 2, "paper": 3}
EPOCHS = {"quick": FCN8S.epochs // 2, "paper": FCN8S.epochs}


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """The three recipes, of as many epochs."""
    epochs = EPOCHS[options.scale]
    return {
        arm: dataclasses.replace(recipe, name=f"fcn-{options.scale}-{arm}", epochs=epochs, eval_every=epochs)
        for arm, recipe in RECIPES.items()
    }


def study(options: SeededOptions) -> Study:
    """The three arms, and what is said of them."""
    return Study("fcn", recipes_of(options), options.count(SEEDS), claims, table, figure, options.seed)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def claims(results: Results) -> dict[str, bool]:
    """What the table is there to show, of the means over the seeds; nan is not ahead of anything."""
    ahead = {
        f"{finer} is ahead of {coarser} in {name}": _gain(results, metric, coarser, finer) > 0
        for name, metric in COLUMNS.items()
        if metric != "pixel_accuracy"
        for coarser, finer in ((COARSE, MIDDLE), (MIDDLE, FINE))
    }
    near, whole = (_gain(results, metric, COARSE, FINE) for metric in ("trimap_iou", "mean_iou"))
    return {**ahead, "finer scores gain more at edges than in the whole image": near > whole}


def table(results: Results) -> str:
    """The three networks from coarse to fine, what each step gains, and under them the paper's."""
    ours = {
        arm: [*(results[arm].percent(metric) for metric in COLUMNS.values()), f"{BOUNDS[arm]:.1f}"] for arm in RECIPES
    }
    gains = {
        f"from {coarser} to {finer}": [
            *(f"{_gain(results, metric, coarser, finer):+.1f}" for metric in COLUMNS.values()),
            f"{BOUNDS[finer] - BOUNDS[coarser]:+.1f}",
        ]
        for coarser, finer in ((COARSE, MIDDLE), (MIDDLE, FINE))
    }
    theirs = {arm: [f"{value:.1f}" for value in values] for arm, values in PUBLISHED.items()}
    first = grid("ours (%)", [*COLUMNS, "bound of mean IoU"], ours | gains)
    return f"{first}\n{grid('the paper, Pascal VOC (%)', list(COLUMNS)[:2], theirs)}"


def figure(results: Results) -> Any:
    """A bar a network for each column of the table, with the spread over the seeds."""
    series = {
        arm: [(results[arm].mean(metric, 100), results[arm].spread(metric, 100)) for metric in COLUMNS.values()]
        for arm in RECIPES
    }
    return grouped_bars(list(COLUMNS), series)


def _gain(results: Results, metric: str, coarser: str, finer: str) -> float:
    """By how many percent points the finer network is ahead; nan where a seed diverged."""
    return results[finer].mean(metric, 100) - results[coarser].mean(metric, 100)
