"""R-CNN, Fast R-CNN and Faster R-CNN: how precise, how fast, and what of the time are proposals. Lecture rows L55-L60.

    python -m train experiment generations                  scenes of digits, one small backbone
    python -m train experiment generations --scale paper    Pascal VOC 2007 below --data-dir, AlexNet and VGG-16

Girshick et al., 2014, R-CNN; Girshick, 2015, Fast R-CNN, Table 4; Ren et al., 2015, Faster R-CNN, Table 5. The first
two are given selective search's boxes, the third proposes its own. Seconds are those of one image from its pixels to
its detections, the search included, with programs that are compiled and warm. At the papers' scale the backbones begin
with what ImageNet taught them.
"""

import dataclasses
from typing import Any

import numpy as np

from train.config import Model, Recipe
from train.experiments import SeededOptions
from train.experiments.detection.speed import OF_PROPOSALS, SECONDS, measure
from train.experiments.study import Result, Results, Study
from train.experiments.tables import grid, smaller, with_spread
from train.recipes.detection import BOXES
from train.recipes.photographs import VOC
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style
from train.tasks.detection.voc_judge import VOC07

R_CNN, FAST, FASTER = "R-CNN", "Fast R-CNN", "Faster R-CNN"
PUBLISHED = {
    R_CNN: ("66.0", "47.0", "not counted"),
    FAST: ("66.9", "1.83", "83 %"),
    FASTER: ("69.9", "0.198", "5 %"),
}
"""AP at IoU 0.5 on VOC 2007 with VGG-16; seconds an image, R-CNN's of Table 4 of the second paper, which leaves out
its search; and what share of them are proposals, 1,510 of 1,830 and 10 of 198 ms in Table 5 of the third."""
_ALIKE = ("box_batch_size_per_image=32", "box_positive_fraction=0.5", "box_detections_per_img=16")
QUICK = {
    R_CNN: Model("rcnn_tiny", options=(*_ALIKE, "side=32", "classifier=softmax")),
    FAST: Model("fast_rcnn_tiny", options=(*_ALIKE, "frozen_norm=False", "hidden=(256,)")),
    FASTER: Model(
        "fasterrcnn_tiny",
        options=(
            *_ALIKE,
            "frozen_norm=False",
            "hidden=(256,)",
            "maps=('stage2',)",
            "width=0",
            "pooling=pool",
            "box_nms_thresh=0.3",
            "anchor_sizes=((10,15,20),)",
            "aspect_ratios=(1.3,2.0)",
            "rpn_pre_nms_top_n=(200,200)",
            "rpn_post_nms_top_n=(64,64)",
            "rpn_fg_iou_thresh=0.6",
            "rpn_batch_size_per_image=64",
        ),
    ),
}
"""ResNet-8 in each: of every region, warped as in the paper to the size of image that the network is made for, or once
with RoIPool of its map of stride 2."""
PAPER = {R_CNN: Model("rcnn_alexnet"), FAST: Model("fast_rcnn_vgg16"), FASTER: Model("fasterrcnn_vgg16")}
PROPOSALS = {"quick": 96, "paper": 2000}
"""Of selective search: those of a scene find 95 % of its digits (IoU 0.5, the 250 test scenes)."""

QUICK_RECIPE = dataclasses.replace(BOXES, name="generations-quick", epochs=5, eval_every=5)
PAPER_RECIPE = dataclasses.replace(VOC, name="generations-paper")
"""The end-to-end training of the third paper; 11 recalls count, as there."""
AP50 = {"quick": "ap50", "paper": VOC07.name}
SEEDS = {"quick": 1, "paper": 1}


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Every generation's recipe: they differ in the model, and in whether proposals are given."""
    models, base = (QUICK, QUICK_RECIPE) if options.scale == "quick" else (PAPER, PAPER_RECIPE)
    source = base.data.source if options.scale == "quick" else f"voc:{options.data_dir or 'VOC2007'}"
    return {
        arm: dataclasses.replace(
            base,
            name=f"{base.name}-{model.name}",
            model=model,
            freeze=() if arm == R_CNN else base.freeze,
            data=dataclasses.replace(
                base.data, source=source, proposals=0 if arm == FASTER else PROPOSALS[options.scale]
            ),
        )
        for arm, model in models.items()
    }


def study(options: SeededOptions) -> Study:
    """The three, and what is said of them."""
    recipes = recipes_of(options)
    return Study("generations", recipes, options.count(SEEDS), claims, table, figure, options.seed, measure=measure)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def claims(results: Results) -> dict[str, bool]:
    """The lecture's story, of the means over the seeds."""
    seconds = {arm: results[arm].mean(SECONDS) for arm in QUICK}
    of_proposals = {arm: share(results[arm]) for arm in QUICK}
    return {
        "Fast R-CNN is faster than R-CNN": smaller(seconds[FAST], seconds[R_CNN]),
        "Faster R-CNN is faster than Fast R-CNN": smaller(seconds[FASTER], seconds[FAST]),
        "most of Fast R-CNN's time are proposals": of_proposals[FAST] > 0.5,
        "less than half of Faster R-CNN's time are": of_proposals[FASTER] < 0.5,
    }


def share(result: Result) -> float:
    """What part of the time is proposals, of means over the seeds; nan if one diverged.

    >>> share(Result({SECONDS: [0.25, 0.75], OF_PROPOSALS: [0.05, 0.15]}))
    0.2
    """
    return result.mean(OF_PROPOSALS) / result.mean(SECONDS)


def table(results: Results) -> str:
    """What each came to, and what the lecture says beside."""
    columns = (
        "AP (%)",
        "AP50 (%)",
        "seconds an image",
        "of them proposals",
        "papers: AP50, VOC 2007 (%)",
        "seconds an image",
        "of them proposals",
    )
    rows = {
        arm: (
            results[arm].percent("ap") if "ap" in results[arm].metrics else "-",
            results[arm].percent(_ap50(results[arm])),
            with_spread(results[arm].metrics[SECONDS], 4),
            f"{100 * share(results[arm]):.0f} %",
            *PUBLISHED[arm],
        )
        for arm in QUICK
    }
    return grid("detector", columns, rows)


def figure(results: Results) -> Any:
    """Seconds an image, of which the orange part are proposals, left; AP50, right."""
    drawing = new_figure(9, 2.6, LIGHT)
    times, precision = drawing.subplots(1, 2, width_ratios=(3, 2), sharey=True)
    names = list(QUICK)
    whole, part = (np.nan_to_num([results[arm].mean(name, 1000) for arm in names]) for name in (SECONDS, OF_PROPOSALS))
    times.barh(names, part, color=COLOURS[1], height=0.6, label="proposals")
    drawn = times.barh(names, whole - part, left=part, color=COLOURS[0], height=0.6, label="the rest")
    times.bar_label(drawn, [f" {each:.1f}" for each in whole], fontsize="small")
    shares = [results[arm].mean(_ap50(results[arm]), 100) for arm in names]
    bars = precision.barh(names, np.nan_to_num(shares), color=COLOURS[2], height=0.6)
    precision.bar_label(
        bars, [f" {each:.1f}" if np.isfinite(each) else " diverged" for each in shares], fontsize="small"
    )
    times.invert_yaxis()
    for panel in (times, precision):
        panel.margins(x=0.15)
        style(panel)
    labels(times, x="milliseconds an image")
    labels(precision, x="AP at IoU 0.5 (%)")
    legend(times, loc="lower right")
    return drawing


def _ap50(result: Result) -> str:
    """What the judge calls average precision at IoU 0.5."""
    return next(name for name in AP50.values() if name in result.metrics)
