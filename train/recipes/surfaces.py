"""Depth, normals, reflectance and shading of rendered surfaces, which come with the package.

python -m train fit surfaces_all          all four by one network
python -m train fit surfaces_depth        depth alone
python -m train fit surfaces_normals      normals alone

Without augmentation: where a thing stands in the image says how far away it is, and the lamp is always at the left.
The constants that fit the training scenes best are beside the scores, as `abs_rel_constant` and so on.

What the recipes reach was not measured yet: after two epochs `surfaces_all` is off by 14.2 % of the depth and by 15.9
degrees, the constants by 33.4 % and 39.2 degrees.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.surfaces import Surfaces

ALL = Recipe(
    name="surfaces_all",
    model=Model("surfaces_small"),
    data=Data(source="surfaces", batch_size=8, eval_batch_size=50),
    augment=Augment(mean=(0.6, 0.6, 0.6), std=(0.2, 0.2, 0.2)),
    task=Surfaces(weights=(2.0, 1.0, 10.0, 10.0)),
    optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=1e-3),
    schedule=Schedule("one_cycle", warmup=0.15),
    epochs=24,
    eval_every=6,
    log_every=125,
)
DEPTH = dataclasses.replace(ALL, name="surfaces_depth", task=Surfaces(maps=("depth",)))
NORMALS = dataclasses.replace(ALL, name="surfaces_normals", task=Surfaces(maps=("normals",)))

RECIPES = (ALL, DEPTH, NORMALS)
