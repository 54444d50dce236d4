"""Names of video networks' weights in torchvision. Lecture row L51."""

from zoo.video.resnet import VideoResNet
from zoo.weights.rules import Family, batch_norm, convolution, join, linear


def video_resnet(model: VideoResNet) -> Family:
    """The rules of one residual network for clips, torchvision/models/video/resnet.py."""
    theirs, ours = "layer{stage}.{block}", "stage{stage}/block{block+1}"
    split = bool(model.stem_width)
    stem = (
        convolution("stem.0", "stem/conv_spatial", 3)
        + batch_norm("stem.1", "stem/conv_norm")
        + convolution("stem.3", "stem/conv_temporal", 3)
        if split
        else convolution("stem.0", "stem/conv", 3)
    )
    return Family(
        join(
            stem,
            batch_norm(f"stem.{4 if split else 1}", "stem/norm"),
            convolution(f"{theirs}.conv{{n}}.0", f"{ours}/conv{{n}}", 3),
            convolution(f"{theirs}.conv{{n}}.0.0", f"{ours}/conv{{n}}_spatial", 3),
            batch_norm(f"{theirs}.conv{{n}}.0.1", f"{ours}/conv{{n}}_norm"),
            convolution(f"{theirs}.conv{{n}}.0.3", f"{ours}/conv{{n}}_temporal", 3),
            batch_norm(f"{theirs}.conv{{n}}.1", f"{ours}/norm{{n}}"),
            convolution(f"{theirs}.downsample.0", f"{ours}/shortcut/conv", 3),
            batch_norm(f"{theirs}.downsample.1", f"{ours}/shortcut/norm"),
            linear("fc", "head"),
        )
    )
