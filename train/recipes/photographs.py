"""Detectors of photographs as in the papers, on Pascal VOC and on COCO, for accelerators. Lecture rows L59, L60, L67.

python -m train fit voc_fasterrcnn_vgg16 --data.source voc:VOCdevkit/VOC2007
python -m train fit coco_fasterrcnn_resnet50_fpn --data.source coco:annotations/instances_train2017.json
python -m train fit coco_maskrcnn_resnet50_fpn
python -m train fit coco_retinanet_resnet50_fpn

All begin with published weights of the backbone on ImageNet, of which the first layers stay as they are, and so do all
normalisations. As published, on VOC 2007's test and on COCO's val2017; none of it was trained here:

| recipe | result | source |
|---|---|---|
| voc_fasterrcnn_vgg16 | AP50 of 11 recalls 69.9 % | Ren et al., 2015, table 3 |
| coco_fasterrcnn_resnet50_fpn | AP 36.7 % | Girshick et al., 2018, Detectron, its table of baselines, 1x |
| coco_maskrcnn_resnet50_fpn | AP 37.7 %, of masks 33.9 % | the same |
| coco_retinanet_resnet50_fpn | AP 35.7 % | the same |

What differs: on VOC the head's dense layers begin at random and have no dropout, the rate of biases is not doubled, and
all is learned at once, not in four steps. On COCO images without objects are trained on too.
"""

import dataclasses

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.detection import Detection
from train.recipes.imagenet import AUGMENT

VOC = Recipe(
    name="voc_fasterrcnn_vgg16",
    model=Model("fasterrcnn_vgg16"),
    data=Data(
        source="voc:VOCdevkit/VOC2007",
        workers=4,
        batch_size=1,
        eval_batch_size=4,
        canvas=1000,
        shorter=600,
        two_canvases=True,
    ),
    augment=AUGMENT,
    task=Detection(judge="voc07"),
    optimizer=Optimizer(learning_rate=1e-3, momentum=0.9, weight_decay=5e-4),
    schedule=Schedule("step", milestones=(50 / 70,)),
    weights="IMAGENET1K_V1",
    weights_into="backbone",
    freeze=("backbone/stage1/*", "backbone/stage2/*"),
    steps=70_000,
)

STAYS = ("backbone/stem/*", "backbone/stage1/*", "backbone/*norm*")
"""The first layers of a ResNet, and the scales and shifts of all its normalisations."""

FASTER = Recipe(
    name="coco_fasterrcnn_resnet50_fpn",
    model=Model("fasterrcnn_resnet50_fpn"),
    data=Data(
        source="coco:annotations/instances_train2017.json",
        workers=8,
        batch_size=16,
        eval_batch_size=16,
        canvas=1333,
        shorter=800,
        two_canvases=True,
    ),
    augment=AUGMENT,
    task=Detection(),
    optimizer=Optimizer(learning_rate=0.02, momentum=0.9, weight_decay=1e-4),
    schedule=Schedule("step", warmup=1 / 90, milestones=(60 / 90, 80 / 90)),
    weights="IMAGENET1K_V1",
    weights_into="backbone",
    freeze=STAYS,
    steps=90_000,
    eval_every=3,
)

MASK = dataclasses.replace(
    FASTER,
    name="coco_maskrcnn_resnet50_fpn",
    model=Model("maskrcnn_resnet50_fpn"),
    task=Detection(masks=True),
)

RETINANET = dataclasses.replace(
    FASTER,
    name="coco_retinanet_resnet50_fpn",
    model=Model("retinanet_resnet50_fpn"),
    optimizer=dataclasses.replace(FASTER.optimizer, learning_rate=0.01),
)

RECIPES = (VOC, FASTER, MASK, RETINANET)
