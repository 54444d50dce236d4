"""Networks of clips, and 3D convolutions, beside torch's: a clip classified, and a training step.

    python -m tests.benchmarks.video                        one clip of 16 frames of 112 x 112 pixels
    python -m tests.benchmarks.video r3d_18 --rounds 3
    python -m tests.benchmarks.video "layer*"               3D convolutions alone

As `tests/benchmarks/convnets.py`, which says what the columns are; channels_last is torch's channels_last_3d. S3D sees
224 x 224 pixels, fewer of which torchvision's does not take, and C3D 112 x 112. torch's C3D is stated in the file of
the sides. A layer's training step has the gradient of its clips too. XLA's own 3D convolutions are so slow on CPU that
no network here would end in time: `zoo/nn/README.md` has what the form that is used gains.
"""

from tests.benchmarks.convnets import main
from tests.benchmarks.video_sides import MODELS

if __name__ == "__main__":
    main("video", MODELS, batch=1, side=112)
