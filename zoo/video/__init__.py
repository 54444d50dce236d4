"""Networks that see motion: two streams, 3D convolutions, recurrent ones and transformers. Lecture rows L49-L54."""

from zoo.video.c3d import C3D
from zoo.video.consensus import mean_of_probabilities, over_windows, window_starts
from zoo.video.i3d import I3D
from zoo.video.inflate import inflate
from zoo.video.lrcn import LRCN
from zoo.video.mvit import MViT
from zoo.video.resnet import VideoResNet
from zoo.video.s3d import S3D
from zoo.video.swin import VideoSwin
from zoo.video.tsn import TSN
from zoo.video.two_stream import TwoStream, joined

__all__ = [
    "C3D",
    "I3D",
    "LRCN",
    "S3D",
    "TSN",
    "MViT",
    "TwoStream",
    "VideoResNet",
    "VideoSwin",
    "inflate",
    "joined",
    "mean_of_probabilities",
    "over_windows",
    "window_starts",
]
