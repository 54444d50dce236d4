"""Scenes of real digits, which come with the package: a class for every pixel. Their boxes are in `detection.py`.

python -m train fit scenes_segmentation
python -m train fit scenes_segmentation --task.maps stage4        one map alone, an eighth of the image's size
python -m train fit scenes_fcn32s                                 coarse scores alone
python -m train fit scenes_fcn16s                                 and those of a map twice as fine
python -m train fit scenes_fcn8s                                  and those of one twice as fine again
python -m train fit scenes_unet

Digits are shifted, but for those of `scenes_unet`, and not mirrored, which would make them others. The network of
`scenes_segmentation` is a thin VGG-11, whose dense layers nothing uses: half the processor time of ResNet-8 on these
images.

The three FCNs are ResNet-14 under one head, and differ in the maps that it scores (Long, Shelhamer and Darrell, 2015,
section 4.2). Their strides are 4, 2 and 1 pixels, an eighth of the paper's 32, 16 and 8, for so much smaller are scenes
and the strokes of digits, which are 2 to 4 pixels wide: of the true label maps, made coarser by a factor and enlarged
again, 8 leaves a mean IoU of 39 %, 4 leaves 73 % and 2 leaves 93 %. The paper's table of such bounds, on Pascal VOC,
has 86 % at 32, 93 % at 16 and 96 % at 8. `trimap_iou` is the mean IoU of the pixels that touch an edge.

Measured on the 250 test scenes with 2 cores of a CPU that others used too, everything included:

| recipe | mean IoU | pixels | near edges | seconds | processor time |
|---|--:|--:|--:|--:|--:|
| scenes_segmentation | 64.44 % | 96.41 % | | 374 | 247 s |
| scenes_unet | 79.01 % | 98.09 % | 74.70 % | 980 | 914 s |

`scenes_segmentation` knows its training scenes better (mean IoU 74 %); rotation did not help. `scenes_unet` learns
with Muon, at its usual rate: where AdamW came to 56 % with 12,000 examples, Muon came to 71 % with the same, and in
batches of six, of new scenes each, to 76 %; AdamW needed four times as many for that. Digits are not cut at the border,
as none is in the test. Of 36,000 examples it came to 79.2 %: which pixels are digits it knows (IoU 97 %), what it gets
wrong are their classes. 88 % of these pixels have the right one, 94 % in scenes that it learned from, which show 1437
digits again and again. Turned, sheared and stretched anew in each scene, these taught it no more: 78.5 % of 24,000
scenes, and 80.6 % of those themselves. A classifier that is given the true mask of each digit names 95.9 % of them
right, which is a mean IoU of 94.4 % (`python -m tests.benchmarks.scenes_bound`): they cover each other by up to a half.

What the FCNs reach in all of their epochs was not measured yet; after half of them 58.4 % (FCN-32s), 61.9 % and 63.3 %
(FCN-8s), near edges 47.2 %, 55.6 % and 58.1 % (`python -m train experiment fcn --seeds 1`). A training step of eight
scenes has 1.8 billion operations in `scenes_segmentation`, 5.0 in the FCNs, as XLA counts them.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.segmentation import Segmentation

SEGMENTATION = Recipe(
    name="scenes_segmentation",
    model=Model("vgg11_bn", options=("widths=(16,32,64,128,128)", "hidden=16")),
    data=Data(source="scenes", batch_size=8, eval_batch_size=125),
    augment=Augment(pad_crop=8, mean=(0.31, 0.31, 0.31), std=(0.22, 0.22, 0.22)),
    task=Segmentation(),
    optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.15),
    epochs=20,
    eval_every=4,
    log_every=125,
)

FCN32S = dataclasses.replace(
    SEGMENTATION,
    name="scenes_fcn32s",
    model=Model("cifar_resnet20", options=("depth=14",)),
    data=dataclasses.replace(SEGMENTATION.data, source="scenes:4000", batch_size=16),
    task=Segmentation(maps=("stage3",), trimap=1),
    optimizer=dataclasses.replace(SEGMENTATION.optimizer, learning_rate=3e-3),
    epochs=10,
    eval_every=2,
)
FCN16S = dataclasses.replace(FCN32S, name="scenes_fcn16s", task=Segmentation(maps=("stage2", "stage3"), trimap=1))
FCN8S = dataclasses.replace(
    FCN32S, name="scenes_fcn8s", task=Segmentation(maps=("stage1", "stage2", "stage3"), trimap=1)
)

UNET = dataclasses.replace(
    SEGMENTATION,
    name="scenes_unet",
    model=Model("unet_same", options=("widths=(16,32,96,192)", "batch_norm=True", "dropout=0.0")),
    data=dataclasses.replace(SEGMENTATION.data, source="scenes:10000", batch_size=6),
    augment=dataclasses.replace(SEGMENTATION.augment, pad_crop=0),
    task=Segmentation(trimap=1),
    optimizer=dataclasses.replace(SEGMENTATION.optimizer, name="muon", learning_rate=2e-2),
    epochs=3,
    eval_every=1,
)

RECIPES = (SEGMENTATION, FCN32S, FCN16S, FCN8S, UNET)
