"""Optical flow on moving digits, which come with the package: pairs of frames with exact flow.

python -m train fit moving_flow
python -m train fit moving_flow --task.loss photometric        without true flow

The network is a thin PWC-Net, whose cost volumes compare features directly: what a network of convolutions alone has
to learn first. They reach 8 pixels at a quarter of the image's resolution, which is as far as anything moves here, and
4 more at a half: the digits' strokes are thin, and vanish where maps are coarser. The flow of a half is enlarged to all
pixels by weights that are learned, as in RAFT, which keeps its edges.

Measured on the 200 test pairs with seed 0, on 2 quiet cores of a CPU, everything included:

| recipe | end-point error | of what stays visible | outliers | no motion | seconds | processor time |
|---|--:|--:|--:|--:|--:|--:|
| moving_flow | 0.490 px | 0.447 px | 3.4 % | 3.445 px | 525 | 641 s |

With 8400 pairs it is 0.463 px in 733 s of processor time. Batches of eight, twice as far in sight, came to 0.496 px
with 10,500 pairs (1119 s), to 0.518 with 4000 in eight epochs; then without learned weights to 0.577; of 1000 pairs,
with levels of a half, a quarter and an eighth, to 0.91. What is left are mostly edges.
"""

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.flow import Flow

OPTIONS = (
    "widths=(24,48)",
    "radius=2",
    "estimator=(64,48,32)",
    "context=(48,48,32)",
    "standardised=True",
    "convex=48",
)

MOVING = Recipe(
    name="moving_flow",
    model=Model("pwc_tiny", options=OPTIONS),
    data=Data(source="moving:7500", batch_size=4, eval_batch_size=50),
    augment=Augment(flip=True, mean=(0.3, 0.3, 0.3), std=(0.2, 0.2, 0.2)),
    task=Flow(weights=(2.0, 2.0, 1.0)),
    optimizer=Optimizer("adamw", learning_rate=1.5e-3, weight_decay=1e-4),
    schedule=Schedule("one_cycle", warmup=0.15),
    epochs=4,
    eval_every=2,
    log_every=250,
)

RECIPES = (MOVING,)
