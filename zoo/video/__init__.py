"""Networks that see motion: two streams, 3D convolutions, recurrent ones and transformers. Lecture rows L49-L54."""

from zoo.video.resnet import VideoResNet

__all__ = ["VideoResNet"]
