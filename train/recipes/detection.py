"""Detectors of scenes of digits: their boxes, and with `scenes_instances` the pixels of each.

python -m train fit scenes_detection
python -m train fit scenes_instances

Faster R-CNN and Mask R-CNN (`zoo/detection`) with ResNet-8 of CIFAR under a pyramid of two maps, of which the finer has
half the image's size: digits are 5 to 24 pixels large. They are shifted and not mirrored, which would make them others.
Measured on the 250 test scenes with seed 0 and 2 cores of a CPU, which others used too in the first case, everything
included:

| recipe | result | seconds |
|---|---|--:|
| scenes_detection | AP 66.1 %, AP at IoU 0.5 90.3 %, at 0.75 80.3 % | 608 |
| scenes_instances | AP 67.0 %, 90.6 %, 80.1 %; of masks 49.7 %, 85.7 %, 55.5 % | 512 |

On another CPU, which rounds sums otherwise, scenes_instances had 67.5 %, 91.0 % and 80.7 %; of masks 50.1 %, 85.7 % and
56.2 %.

What it gets wrong are mostly classes: half-covered digits, and two boxes of two classes about one digit. Its training
scenes it knows better (class loss 0.34 beside 0.51).
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.detection import Detection

OPTIONS = (
    "maps=('stage2','stage3')",
    "frozen_norm=False",
    "extra='none'",
    "width=64",
    "anchor_sizes=((10,15),(20,26))",
    "aspect_ratios=(1.3,2.0)",
    "rpn_pre_nms_top_n=(300,300)",
    "rpn_post_nms_top_n=(64,64)",
    "rpn_fg_iou_thresh=0.6",
    "rpn_batch_size_per_image=64",
    "box_batch_size_per_image=48",
    "box_positive_fraction=0.5",
    "box_detections_per_img=20",
    "hidden=(256,)",
)
"""Anchors of the digits' sizes and proportions, and few proposals: an image has at most 8 digits."""

BOXES = Recipe(
    name="scenes_detection",
    model=Model("fasterrcnn_tiny", options=OPTIONS),
    data=Data(source="scenes", batch_size=8, eval_batch_size=50),
    augment=Augment(pad_crop=8, mean=(0.31, 0.31, 0.31), std=(0.22, 0.22, 0.22)),
    task=Detection(),
    optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.15),
    epochs=12,
    eval_every=3,
    log_every=125,
)

INSTANCES = dataclasses.replace(
    BOXES,
    name="scenes_instances",
    model=Model("maskrcnn_tiny", options=(*OPTIONS, "mask_region=7", "mask_convs=(64,64,64,64)", "mask_aligned=True")),
    task=Detection(masks=True),
    epochs=16,
    eval_every=4,
)

RECIPES = (BOXES, INSTANCES)
