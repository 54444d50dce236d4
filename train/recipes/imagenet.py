"""ResNet-50 on ImageNet, in three ways, for accelerators. Lecture rows L40, L48.

python -m train prepare imagenet2012 --manual-dir DIR         once; DIR holds the two archives of image-net.org
python -m train fit imagenet_resnet50                         90 epochs, as in He et al. (2016) and Goyal et al. (2017)
python -m train fit imagenet_resnet50_large_batch             90 epochs of 8192 images a step
python -m train fit imagenet_resnet50_modern                  600 epochs, as torchvision's IMAGENET1K_V2
python -m train fit imagenet_resnet50 --data.source folder:DIR

In a folder lie DIR/train/CLASS/*.JPEG and DIR/val/CLASS/*.JPEG; any other will do. Top-1 accuracy, as published, of
the central crop:

| recipe | accuracy | source |
|---|--:|---|
| imagenet_resnet50 | 76.13 % | torchvision's IMAGENET1K_V1: 256 images a step, divided by ten at 30 and 60 epochs |
| imagenet_resnet50_large_batch | 76.3 % | Ying et al., 2018, Image Classification at Supercomputer Scale |
| imagenet_resnet50_modern | 80.86 % | Vryniotis, 2021, How to Train State-of-the-Art Models Using TorchVision |

What differs from the first: one more division by ten, at 80 epochs. From the last: each image comes once an epoch,
not four times varied (which was said to give 0.1 to 0.2 %); mixing draws for each image, not for each batch; erasing
fills in noise, not the mean colour.
"""

import dataclasses

from train.config import Augment, Classification, Data, Model, Optimizer, Recipe, Schedule

DATA = Data(
    source="tfds:imagenet2012", workers=16, batch_size=256, eval_batch_size=512, crop=224, resize=256, eval_crop=224
)
AUGMENT = Augment(flip=True, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
MODEL = Model("resnet50", dtype="bfloat16")

CLASSIC = Recipe(
    name="imagenet_resnet50",
    model=MODEL,
    data=DATA,
    augment=AUGMENT,
    optimizer=Optimizer(learning_rate=0.1, momentum=0.9, weight_decay=1e-4, decay_all=True),  # 0.1 for 256 images
    schedule=Schedule("step", milestones=(30 / 90, 60 / 90, 80 / 90)),
    epochs=90,
)

LARGE_BATCH = Recipe(
    name="imagenet_resnet50_large_batch",
    model=MODEL,
    data=dataclasses.replace(DATA, batch_size=8192),
    augment=AUGMENT,
    task=Classification(label_smoothing=0.1),
    optimizer=Optimizer("lars", learning_rate=10.0, momentum=0.9, weight_decay=1e-4),
    schedule=Schedule("quadratic", warmup=5 / 90),
    epochs=90,
)

MODERN = Recipe(
    name="imagenet_resnet50_modern",
    model=MODEL,
    data=dataclasses.replace(DATA, batch_size=1024, crop=176, resize=232),
    augment=dataclasses.replace(AUGMENT, trivial=True, erase=0.1, mixup=0.2, cutmix=1.0),
    task=Classification(label_smoothing=0.1),
    optimizer=Optimizer(learning_rate=0.5, momentum=0.9, weight_decay=2e-5, ema=0.999966),
    schedule=Schedule("cosine", warmup=5 / 600),
    epochs=600,
    eval_every=5,
)

RECIPES = (CLASSIC, LARGE_BATCH, MODERN)
