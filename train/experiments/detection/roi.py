"""RoIPool against RoIAlign at equal training: what rounding costs boxes and masks. Lecture rows L68, L69.

    python -m train experiment roi                  scenes of digits, three seeds
    python -m train experiment roi --scale paper    COCO (annotations and images below --data-dir), as published

He, Gkioxari, Dollár and Girshick, 2017, Mask R-CNN, Table 2(d): ResNet-50-C5, a map of stride 32, on which a box of
COCO is a few places wide. So are digits of 5 to 24 pixels on the map of stride 4 from which the scenes' regions are
taken. Nothing differs between the arms but the pooling.
"""

import dataclasses
from typing import Any

from train.config import Model, Recipe, Schedule
from train.experiments import SeededOptions
from train.experiments.bars import grouped_bars
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.recipes.detection import INSTANCES
from train.recipes.photographs import MASK

POOL, ALIGN = "RoIPool", "RoIAlign"
POOLING = {POOL: "pool", ALIGN: "align"}
COLUMNS = {
    "mask AP": "mask_ap",
    "mask AP50": "mask_ap50",
    "mask AP75": "mask_ap75",
    "box AP": "ap",
    "box AP50": "ap50",
    "box AP75": "ap75",
}
"""Of the table, and what the judge calls them."""
PUBLISHED = {POOL: (23.6, 46.5, 21.6, 28.2, 52.7, 26.9), ALIGN: (30.9, 51.8, 32.1, 34.0, 55.3, 36.4)}
"""In percent, of COCO."""

QUICK = dataclasses.replace(
    INSTANCES,
    name="roi-quick",
    model=Model(
        "maskrcnn_tiny",
        options=(
            "maps=('stage3',)",
            "width=0",
            "frozen_norm=False",
            "anchor_sizes=((10,15,20),)",
            "aspect_ratios=(1.3,2.0)",
            "rpn_pre_nms_top_n=(150,150)",
            "rpn_post_nms_top_n=(48,48)",
            "rpn_fg_iou_thresh=0.6",
            "rpn_batch_size_per_image=64",
            "box_batch_size_per_image=32",
            "box_positive_fraction=0.5",
            "box_detections_per_img=16",
            "hidden=(256,)",
            "mask_region=7",
            "mask_convs=(32,32)",
            "mask_aligned=True",
        ),
    ),
    epochs=5,
    eval_every=5,
)
"""As `scenes_instances`, of one coarse map in place of a pyramid, and less than half as long."""
PAPER = dataclasses.replace(
    MASK,
    name="roi-paper",
    model=Model("maskrcnn_resnet50_c5", options=("mask_aligned=True",), dtype="bfloat16"),
    schedule=Schedule("step", warmup=1 / 160, milestones=(0.75,)),
    steps=160_000,
)
"""160,000 steps of 16 images, divided by ten after 120,000."""
SEEDS = {"quick": 3, "paper": 1}


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Both arms' recipes."""
    base = QUICK
    if options.scale == "paper":
        file = "/".join(filter(None, (options.data_dir, "annotations/instances_train2017.json")))
        base = dataclasses.replace(PAPER, data=dataclasses.replace(PAPER.data, source=f"coco:{file}"))
    return {
        arm: dataclasses.replace(
            base,
            name=f"{base.name}-{pooling}",
            model=dataclasses.replace(base.model, options=(*base.model.options, f"pooling={pooling}")),
        )
        for arm, pooling in POOLING.items()
    }


def study(options: SeededOptions) -> Study:
    """Both arms, and what is said of them."""
    return Study("roi", recipes_of(options), options.count(SEEDS), claims, table, figure, options.seed)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def claims(results: Results) -> dict[str, bool]:
    """What the table is there to show, of the means over the seeds."""
    ahead = {name: _ahead(results, metric) > 0 for name, metric in COLUMNS.items()}  # nan is not ahead
    return {f"RoIAlign is ahead in {name}": ahead[name] for name in ("box AP75", "mask AP")}


def table(results: Results) -> str:
    """The lecture's table, and under it the paper's."""
    ours = {arm: [results[arm].percent(metric) for metric in COLUMNS.values()] for arm in POOLING}
    gains = {"difference": [f"{_ahead(results, metric):+.1f}" for metric in COLUMNS.values()]}
    theirs = {arm: [f"{value:.1f}" for value in values] for arm, values in PUBLISHED.items()}
    published = zip(PUBLISHED[ALIGN], PUBLISHED[POOL], strict=True)
    theirs["difference"] = [f"{align - pool:+.1f}" for align, pool in published]
    return f"{grid('ours (%)', list(COLUMNS), ours | gains)}\n{grid('the paper, COCO (%)', list(COLUMNS), theirs)}"


def figure(results: Results) -> Any:
    """A pair of bars for each column of the table, with the spread over the seeds."""
    series = {
        arm: [(results[arm].mean(metric, 100), results[arm].spread(metric, 100)) for metric in COLUMNS.values()]
        for arm in POOLING
    }
    return grouped_bars(list(COLUMNS), series, size=(7.5, 3.4))


def _ahead(results: Results, metric: str) -> float:
    """By how many percent points RoIAlign is ahead; nan where a seed diverged."""
    return results[ALIGN].mean(metric, 100) - results[POOL].mean(metric, 100)
