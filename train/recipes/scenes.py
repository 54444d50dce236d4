"""Scenes of real digits, which come with the package: a class for every pixel. Their boxes are in `detection.py`.

python -m train fit scenes_segmentation
python -m train fit scenes_segmentation --task.maps stage4        one map alone, an eighth of the image's size

The network is a thin VGG-11, whose dense layers nothing uses: half the processor time of ResNet-8 on these images.
Digits are shifted and not mirrored, which would make them others.

Measured on the 250 test scenes with 2 cores of a CPU that others used too; processor time with everything included:

| recipe | result | seconds | processor time |
|---|---|--:|--:|
| scenes_segmentation | mean IoU 64.44 %, 96.41 % of the pixels | 374 | 247 s |

It knows its training scenes better (mean IoU 74 %). Rotation did not help.
"""

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

RECIPES = (SEGMENTATION,)
