"""Pedestrians of Penn-Fudan: detectors that are fine-tuned on a few photographs, boxes and masks. Rows L38, L67.

python -m train fit penn_fudan --data.source masks:PennFudanPed
python -m train fit penn_fudan_squeezenet --data.source masks:PennFudanPed

The folder is what https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip holds: 170 photographs (Wang, Shi, Song and
Shen, 2007, Object Detection Combining Recognition and Segmentation). Published weights are fetched once;
`--weights FILE` takes others.

`penn_fudan` is torchvision's tutorial on fine-tuning: Mask R-CNN that knows COCO, with heads for a single class; 50
photographs are held out. It was not trained here. `penn_fudan_squeezenet` knows of ImageNet what SqueezeNet does, and
learns to detect from the photographs alone, of which it holds 36 out. Measured with 107 of the 170, so with 71 to learn
from, with DeepScale's weights as the package ndf 0.1.4 has them, seed 0, on 2 cores of a CPU that others used too:

| of what | AP | AP50 | AP75 |
|---|--:|--:|--:|
| boxes | 51.1 % | 78.7 % | 56.6 % |
| masks | 40.3 % | 77.3 % | 45.3 % |
| boxes, `evaluate --flips` | 52.4 % | 81.5 % | 58.3 % |
| masks, `evaluate --flips` | 40.8 % | 77.9 % | 45.9 % |

It took 1180 s, and 401 s of CPU time. What it misses are people far away, for whom it has no anchors, and people behind
others. Without normalisations in the pyramid, and at half the rate, AP50 was 64.9 %: values of SqueezeNet's maps go to
several hundred.
"""

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.detection import Detection
from train.recipes.imagenet import AUGMENT
from train.recipes.photographs import STAYS

TUTORIAL = Recipe(
    name="penn_fudan",
    model=Model("maskrcnn_resnet50_fpn"),
    data=Data("masks:PennFudanPed", held_out=50, batch_size=2, eval_batch_size=2, canvas=1333, shorter=800),
    augment=AUGMENT,
    task=Detection(masks=True),
    optimizer=Optimizer(learning_rate=5e-3, momentum=0.9, weight_decay=5e-4, decay_all=True),
    schedule=Schedule("step", warmup=0.1, milestones=(0.3, 0.6, 0.9)),
    weights="COCO_V1",
    freeze=STAYS,
    epochs=10,
    log_every=20,
)

OPTIONS = (
    "backbone=squeezenet1_1",
    "maps=('stage1','stage2','stage3')",
    "extra=none",
    "width=64",
    "pyramid_norm=True",
    "anchor_sizes=((36,48),(64,84),(110,145))",
    "aspect_ratios=(2.0,3.2)",
    "rpn_fg_iou_thresh=0.6",
    "rpn_pre_nms_top_n=(300,300)",
    "rpn_post_nms_top_n=(100,50)",
    "rpn_batch_size_per_image=64",
    "box_batch_size_per_image=32",
    "box_detections_per_img=20",
    "hidden=(256,)",
    "mask_region=14",
    "mask_convs=(64,64)",
    "mask_aligned=True",
)
"""Anchors that stand upright, of the sizes that people have on the canvas, and few proposals: there are 8 at most."""

SQUEEZENET = Recipe(
    name="penn_fudan_squeezenet",
    model=Model("maskrcnn_tiny", options=OPTIONS),
    data=Data("masks:PennFudanPed", held_out=36, batch_size=2, eval_batch_size=12, canvas=256),
    augment=AUGMENT,
    task=Detection(masks=True),
    optimizer=Optimizer("adamw", learning_rate=1e-3, weight_decay=1e-2, clip_norm=10.0),
    schedule=Schedule("one_cycle", warmup=0.15),
    weights="IMAGENET1K_V1",
    weights_into="backbone",
    freeze=("backbone/stem/*", "backbone/stage1/*"),
    epochs=24,
    eval_every=8,
    log_every=35,
)

RECIPES = (TUTORIAL, SQUEEZENET)
