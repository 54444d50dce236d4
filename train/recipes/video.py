"""Clips of moving digits, which come with the package; and UCF101. Lecture rows L49-L54.

python -m train fit moving_r3d                                      a 3D network, all frames
python -m train fit moving_spatial                                  one frame
python -m train fit moving_temporal                                 a stack of flow
python -m train fit moving_r3d --data.source moving_clips:both      the class is digit and motion
python -m train fit popularity                                      one number a clip
python -m train fit moving_two_stream                               a frame and flow
python -m train fit moving_lrcn                                     a network of images, and an LSTM over frames
python -m train fit moving_r3d --model.name s3d_tiny --model.options width=0.125    and so on with other networks
python -m train fit ucf101_r2plus1d --weights KINETICS400_V1        UCF101, prepared
python -m train fit ucf101_r2plus1d --data.source clips:UCF-101     or as it is, or your own videos: a folder a class
python -m train fit ucf101_r2plus1d --data.source clips:UCF-101@LISTS/trainlist01.txt       with its official lists
python -m train fit ucf101_r2plus1d --data.source clips:KINETICS@LISTS/train.csv            or Kinetics
python -m train fit ucf101_temporal --data.source clips:UCF-101
python -m train fit ucf101_two_stream --data.source clips:UCF-101
python -m train predict runs/moving_r3d clip.mp4                    what is seen, in the video

The class of `moving_clips:motion` is how a digit moves, of ten ways; no single frame says more than chance. The first
run with flow computes it, in about a minute of two cores; from then on it is read from the cache.

Measured on the 250 test clips with 2 cores of a CPU that others used too:

| recipe | accuracy | processor time, everything included |
|---|--:|--:|
| moving_temporal | 100.0 % | 54 s |
| moving_two_stream | 99.6 % | 57 s |
| moving_spatial | 9.2 %, where chance is 10 % | 35 s |
| moving_r3d | 98.8 % | 114 s |
| popularity | off by 0.112 pixels a frame | 133 s |

`moving_lrcn` learns motion where its network of images has learned to see before, as in the paper, and looks at a grid
of 8 x 8 places:

    python -m train fit moving_spatial --data.source moving_clips:appearance:4000 --epochs 8 --workdir runs/seen
    python -m train fit moving_lrcn --weights runs/seen/model.safetensors --weights-into backbone --freeze "backbone/*"

90.0 % after six epochs with Muon (253 s of processor time, and 67 s for the network of images, which learns which digit
a frame shows); AdamW came to 61.6 %. Trained with the LSTM from random numbers it has 10.0 % after two epochs with
Muon; with AdamW, on a grid of 4 x 4, 10.0 % after 400 steps, frozen 10.0 % after two epochs, and LeNet-5, whose
features say where things are, 10.4 % after 2400 steps. Those of UCF101 and Kinetics were not measured.

`popularity` is the lecture's teaser (L54), to tell from a trailer how popular a film becomes, with what is at hand: one
number a clip, here the speed of its digit in pixels a frame. `video_regression` takes any clips with a `target`, such
as arrays of `npz:FILE`.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.video import VideoClassification, VideoRegression

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

TWO_STREAM = dataclasses.replace(
    TEMPORAL,
    name="moving_two_stream",
    model=Model(
        "two_stream_tiny",
        options=("spatial=cifar_resnet8", "temporal=cifar_resnet8", "fusion=learned", "dropout=0.2"),
    ),
    task=VideoClassification(sees="frame_and_flow"),
)

LRCN = dataclasses.replace(
    R3D,
    name="moving_lrcn",
    model=Model("lrcn_tiny", options=("backbone=cifar_resnet8", "grid=8", "width=64", "hidden_size=64", "dropout=0")),
    data=dataclasses.replace(R3D.data, source="moving_clips:motion:4000"),
    optimizer=dataclasses.replace(R3D.optimizer, name="muon", learning_rate=2e-2),
    epochs=6,
    eval_every=2,
    log_every=100,
)

POPULARITY = dataclasses.replace(R3D, name="popularity", task=VideoRegression())

UCF101 = Recipe(
    name="ucf101_r2plus1d",
    model=Model("r2plus1d_18", dtype="bfloat16"),
    data=Data(
        source="tfds:ucf101/ucf101_1",
        frames=16,
        rate=15.0,
        clips=10,
        crop=112,
        resize=128,
        smallest_area=0.25,
        batch_size=32,
        eval_batch_size=8,
        workers=8,
    ),
    augment=Augment(flip=True, mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989)),
    task=VideoClassification(),
    optimizer=Optimizer("sgd", learning_rate=0.01, weight_decay=1e-4),
    schedule=Schedule("cosine", warmup=0.1),
    epochs=30,
    eval_every=5,
)
"""Meant to begin with what Kinetics taught: `--weights KINETICS400_V1`, which saw 15 frames a second."""

UCF101_TEMPORAL = dataclasses.replace(
    UCF101,
    name="ucf101_temporal",
    model=Model("resnet18", dtype="bfloat16"),
    data=dataclasses.replace(
        UCF101.data, frames=11, rate=0.0, clips=25, crop=224, resize=256, batch_size=64, eval_batch_size=4, flow=True
    ),
    task=VideoClassification(sees="flow", mean_flow=True),
)
"""Ten fields of flow, and 25 clips of a video at evaluation, as in the paper."""

UCF101_TWO_STREAM = dataclasses.replace(
    UCF101_TEMPORAL,
    name="ucf101_two_stream",
    model=Model("two_stream_resnet18", dtype="bfloat16"),
    task=VideoClassification(sees="frame_and_flow", mean_flow=True),
)

RECIPES = (R3D, SPATIAL, TEMPORAL, TWO_STREAM, LRCN, POPULARITY, UCF101, UCF101_TEMPORAL, UCF101_TWO_STREAM)
