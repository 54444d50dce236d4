"""Scenes of real digits, which come with the package: a class for every pixel, and a box for every digit.

python -m train fit scenes_segmentation
python -m train fit scenes_boxes
python -m train fit scenes_segmentation --task.maps stage3        the coarsest map alone: FCN-32s, so to speak
"""

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.digit_boxes import DigitBoxes
from train.config.tasks.segmentation import Segmentation

_DATA = Data(source="scenes", batch_size=16, eval_batch_size=125)
_AUGMENT = Augment(pad_crop=8, mean=(0.31, 0.31, 0.31), std=(0.22, 0.22, 0.22))

SEGMENTATION = Recipe(
    name="scenes_segmentation",
    model=Model("cifar_resnet8"),
    data=_DATA,
    augment=_AUGMENT,
    task=Segmentation(),
    optimizer=Optimizer("adamw", learning_rate=4e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.25),
    epochs=12,
    eval_every=2,
    log_every=31,
)

BOXES = Recipe(
    name="scenes_boxes",
    model=Model("cifar_resnet8"),
    data=_DATA,
    augment=_AUGMENT,
    task=DigitBoxes(),
    optimizer=Optimizer("adamw", learning_rate=4e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.25),
    epochs=12,
    eval_every=2,
    log_every=31,
)

RECIPES = (SEGMENTATION, BOXES)
