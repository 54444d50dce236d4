"""CIFAR-10 through TFDS (`python -m train prepare cifar10` builds it once). Lecture rows L39-L43.

python -m train fit cifar10_resnet20          10 epochs, for a machine without an accelerator
python -m train fit cifar10_resnet20_paper    64k steps, as in He et al. (2016), section 4.2

Measured on 2 cores of a CPU: `cifar10_resnet20` 87.12 % of the test set, at 200 to 220 images a second, from
initial parameters that another generator drew.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule

DATA = Data(source="tfds:cifar10", batch_size=128, eval_batch_size=1000)
AUGMENT = Augment(pad_crop=4, flip=True, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))

RESNET20 = Recipe(
    name="cifar10_resnet20",
    model=Model("cifar_resnet20"),
    data=DATA,
    augment=AUGMENT,
    optimizer=Optimizer(learning_rate=0.2, weight_decay=5e-4, nesterov=True),
    schedule=Schedule("one_cycle", warmup=0.25),
    epochs=10,
)

PAPER = Recipe(
    name="cifar10_resnet20_paper",
    model=Model("cifar_resnet20"),
    data=DATA,
    augment=AUGMENT,
    optimizer=Optimizer(learning_rate=0.1, weight_decay=1e-4, decay_all=True),
    schedule=Schedule("step", milestones=(0.5, 0.75)),  # 32k and 48k
    steps=64_000,
    checkpoint_every=2000,
)

RESNET110 = dataclasses.replace(
    PAPER,
    name="cifar10_resnet110_paper",
    model=Model("cifar_resnet110"),
    schedule=Schedule("step", warmup=0.00625, milestones=(0.5, 0.75)),  # 400 steps: it does not start at 0.1
)

RECIPES = (RESNET20, PAPER, RESNET110)
