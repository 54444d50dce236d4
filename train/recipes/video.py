"""Clips of moving digits, which come with the package; and UCF101. Lecture rows L49-L54.

python -m train fit moving_r3d                                      a 3D network, all frames
python -m train fit moving_spatial                                  one frame
python -m train fit moving_temporal                                 a stack of flow
python -m train fit moving_r3d --data.source moving_clips:both      the class is digit and motion
python -m train fit popularity                                      one number a clip
python -m train fit ucf101_r2plus1d --data.source clips:UCF-101     your own videos, a folder a class
python -m train fit ucf101_temporal --data.source clips:UCF-101
python -m train predict runs/moving_r3d clip.mp4                    what is seen, in the video

The class of `moving_clips:motion` is how a digit moves, of ten ways; no single frame says more than chance. The first
run with flow computes it, in about a minute; from then on it is read from the cache.

`popularity` is the lecture's teaser (L54), to tell from a trailer how popular a film becomes, with what is at hand: one
number a clip, here the speed of its digit in pixels a frame. `video_regression` takes any clips with a `target`, such
as arrays of `npz:FILE`.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.video import VideoClassification

_MEAN, _STD = (0.33, 0.33, 0.33), (0.2, 0.2, 0.2)

R3D = Recipe(
    name="moving_r3d",
    model=Model("r3d_18", options=("stage_sizes=(1,1,1,1)", "width=8")),
    data=Data(source="moving_clips:motion", batch_size=20, eval_batch_size=50),
    augment=Augment(mean=_MEAN, std=_STD),
    task=VideoClassification(),
    optimizer=Optimizer("adamw", learning_rate=4e-3, weight_decay=2e-2),
    schedule=Schedule("one_cycle", warmup=0.25),
    epochs=10,
    eval_every=5,
    log_every=25,
)

SPATIAL = dataclasses.replace(
    R3D, name="moving_spatial", model=Model("cifar_resnet8"), task=VideoClassification(sees="frame")
)

TEMPORAL = dataclasses.replace(
    SPATIAL,
    name="moving_temporal",
    data=dataclasses.replace(R3D.data, flow=True),
    task=VideoClassification(sees="flow"),
)

RECIPES = (R3D, SPATIAL, TEMPORAL)
