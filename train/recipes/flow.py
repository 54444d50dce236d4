"""Optical flow on moving digits, which come with the package: pairs of frames with exact flow.

python -m train fit moving_flow
python -m train fit moving_flow --task.loss photometric        without true flow

The network is a thin PWC-Net, whose cost volumes compare features directly: what a network of convolutions alone has
to learn first. Its last flow has half of the image's resolution, for the digits' strokes are thin. What it reaches was
not measured yet.
"""

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.flow import Flow

MOVING = Recipe(
    name="moving_flow",
    model=Model("pwc_tiny"),
    data=Data(source="moving", batch_size=8, eval_batch_size=50),
    augment=Augment(flip=True, mean=(0.3, 0.3, 0.3), std=(0.2, 0.2, 0.2)),
    task=Flow(),
    optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=1e-4),
    schedule=Schedule("one_cycle", warmup=0.15),
    epochs=16,
    eval_every=4,
    log_every=125,
)

RECIPES = (MOVING,)
