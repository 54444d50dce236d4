"""Hyperspherical prototype networks: classes, values, and both at once. Lecture rows L80-L95.

python -m train fit sphere_digits         ten digits on a sphere in three dimensions; its report has a globe to turn
python -m train fit sphere_mnist          ten digits and their rotation at once
python -m train fit sphere_mnist_globe    five digits and their rotation in three dimensions
python -m train fit cifar100_sphere_paper --task.dims 25

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, section 4: a learning rate of 0.01 and a
weight decay of 1e-4 for the sum over 128 examples, which is 1.28 and 1e-4 / 128 for their mean.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.sphere import SphereClassification, SphereJoint
from train.recipes import cifar, cifar10, digits, mnist

DIGITS = dataclasses.replace(
    digits.DIGITS,
    name="sphere_digits",
    model=Model("cifar_resnet8"),
    augment=Augment(pad_crop=1),
    task=SphereClassification(dims=3),
    optimizer=Optimizer(learning_rate=0.05, weight_decay=5e-4, nesterov=True),
    epochs=25,
)

JOINT = Recipe(
    name="sphere_mnist",
    model=Model("lenet5"),
    data=Data(source="tfds:mnist", rotate=(-45.0, 45.0), batch_size=64, eval_batch_size=1000),
    augment=mnist.AUGMENT,
    task=SphereJoint(bounds=(-45.0, 45.0)),
    optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=15,
)

GLOBE = dataclasses.replace(
    JOINT,
    name="sphere_mnist_globe",
    data=dataclasses.replace(JOINT.data, rotate=(0.0, 180.0), classes=("2", "3", "4", "5", "7")),
    task=SphereJoint(dims=3, bounds=(0.0, 180.0)),
)
"""The five digits whose half turns are none of each other's, as in the paper."""

PAPER = Recipe(
    name="sphere",
    model=Model("cifar_resnet32", options=("shortcut=conv3x3",)),
    data=cifar10.DATA,
    augment=cifar10.AUGMENT,
    task=SphereClassification(),
    optimizer=Optimizer(learning_rate=1.28, weight_decay=1e-4 / 128, decay_all=True),
    schedule=Schedule("step", milestones=(0.4, 0.8)),  # 100 and 200
    epochs=250,
    eval_every=10,
)

SOFTMAX = Optimizer(learning_rate=0.1, weight_decay=1e-4, decay_all=True)
"""What softmax classifiers are trained with beside it, at the same schedule."""

RECIPES = (DIGITS, JOINT, GLOBE, cifar.on("cifar10", PAPER), cifar.on("cifar100", PAPER))
