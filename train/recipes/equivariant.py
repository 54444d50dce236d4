"""Networks that know a symmetry, on digits. Lecture row L79.

python -m train fit digits_p4cnn                             turns by 90 degrees change nothing
python -m train fit digits_p4cnn --data.rotate -180 180      digits turned by any angle
python -m train fit digits_p4cnn --model.name p4mcnn         mirror images too
python -m train fit mnist_p4cnn
python -m train fit spherical_digits                         digits on the sphere; rotations change next to nothing
python -m train fit points_pointnet                          sets of points in any order

Measured with one seed, of 360 held-out digits: `digits_p4cnn` 97.2 %, `spherical_digits` 96.1 %, `points_pointnet`
86.7 %; of MNIST's test `mnist_p4cnn` 99.2 %, turned by any angle 90.8 %.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.points import PointClassification
from train.recipes import mnist

DIGITS_P4CNN = Recipe(
    name="digits_p4cnn",
    model=Model("p4cnn", options=("depth=4", "head_side=2")),
    data=Data(source="digits:16", batch_size=64, eval_batch_size=360),
    augment=Augment(mean=(0.15,), std=(0.3,)),
    optimizer=Optimizer("adam", learning_rate=5e-3, weight_decay=0.0),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=20,
    eval_every=5,
    log_every=22,
)

MNIST_P4CNN = Recipe(
    name="mnist_p4cnn",
    model=Model("p4cnn"),
    data=Data(source="tfds:mnist", batch_size=128, eval_batch_size=1000),
    augment=mnist.AUGMENT,
    optimizer=Optimizer("adam", learning_rate=5e-3, weight_decay=0.0),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=10,
    eval_every=5,
)

POINTS = Recipe(
    name="points_pointnet",
    model=Model("pointnet", options=("width=0.25",)),
    data=Data(source="points", batch_size=64, eval_batch_size=360),
    task=PointClassification(),
    optimizer=Optimizer("adam", learning_rate=2e-3, weight_decay=0.0),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=20,
    eval_every=5,
    log_every=22,
)

SPHERICAL = dataclasses.replace(
    DIGITS_P4CNN,
    name="spherical_digits",
    model=Model("spherical_cnn"),
    data=dataclasses.replace(DIGITS_P4CNN.data, source="spherical_digits"),
)

RECIPES = (DIGITS_P4CNN, MNIST_P4CNN, POINTS, SPHERICAL)
