"""The catalog's rows of the chapter `zoo.video`. Clips are time, height and width."""

from typing import Any

from zoo.catalog.entry import Entry, Ref
from zoo.catalog.inputs import Input

SIMONYAN_2014 = "Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks for Action Recognition in Videos"
FEICHTENHOFER_2016 = (
    "Feichtenhofer, Pinz and Zisserman, 2016, Convolutional Two-Stream Network Fusion for Video Action Recognition"
)
WANG_2016 = "Wang et al., 2016, Temporal Segment Networks: Towards Good Practices for Deep Action Recognition"
DONAHUE_2015 = "Donahue et al., 2015, Long-term Recurrent Convolutional Networks for Visual Recognition and Description"
TRAN_2015 = "Tran et al., 2015, Learning Spatiotemporal Features with 3D Convolutional Networks"
CARREIRA_2017 = "Carreira and Zisserman, 2017, Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset"
XIE_2018 = (
    "Xie et al., 2018, Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video Classification"
)
FAN_2021 = "Fan et al., 2021, Multiscale Vision Transformers"
LI_2022 = "Li et al., 2022, MViTv2: Improved Multiscale Vision Transformers for Classification and Detection"
LIU_2022 = "Liu et al., 2022, Video Swin Transformer"
TRAN_2018 = "Tran et al., 2018, A Closer Look at Spatiotemporal Convolutions for Action Recognition"

TINY: dict[str, Any] = {"num_classes": 10}
"""What networks for tests have in common."""


def _row(
    name: str,
    builder: str,
    clip: tuple[int, int, int],
    paper: str,
    lecture: str,
    options: dict[str, Any],
    weights: tuple[str, ...] = (),
) -> Entry:
    inputs = (Input("clips", (*clip, 3), kind="clip"),)
    return Entry(name, f"zoo.video.{builder}", "video_classification", inputs, paper, lecture, options, weights)


STACK = 10
"""Fields of flow that a temporal stream sees, each of two channels."""


def _two_stream(name: str, paper: str, of: str, side: int = 224, **options: Any) -> Entry:
    inputs = (Input("frames", (side, side, 3)), Input("flow", (side, side, 2 * STACK), kind="flow"))
    streams = {stream: Ref(of, num_classes=0) for stream in ("spatial", "temporal")}
    heads = ("head", "spatial_head", "temporal_head")
    builder = "zoo.video.two_stream:TwoStream"
    return Entry(name, builder, "video_classification", inputs, paper, "L49, L50", {**streams, **options}, heads=heads)


def _segments(name: str, of: str, clip: tuple[int, int, int], **options: Any) -> Entry:
    return _row(name, "tsn:TSN", clip, WANG_2016, "L49", {"backbone": Ref(of, num_classes=0), **options})


def _recurrent(name: str, of: str, clip: tuple[int, int, int], **options: Any) -> Entry:
    return _row(name, "lrcn:LRCN", clip, DONAHUE_2015, "L52", {"backbone": Ref(of, num_classes=0), **options})


def _residual(name: str, clip: tuple[int, int, int] = (16, 112, 112), **options: Any) -> Entry:
    return _row(name, "resnet:VideoResNet", clip, TRAN_2018, "L51", options, ("torchvision/video_resnet",))


def _mvit(name: str, paper: str, clip: tuple[int, int, int] = (16, 224, 224), **options: Any) -> Entry:
    return _row(name, "mvit:MViT", clip, paper, "L51", options, ("torchvision/mvit",))


def _swin(name: str, clip: tuple[int, int, int] = (32, 224, 224), **options: Any) -> Entry:
    return _row(name, "swin:VideoSwin", clip, LIU_2022, "L51", options, ("torchvision/swin3d",))


SMALL_MVIT: dict[str, Any] = {"depths": (1, 2), "width": 8, "key_stride": 2}

ENTRIES = (
    _two_stream("two_stream_resnet18", SIMONYAN_2014, "resnet18"),
    _two_stream("two_stream_fused_resnet18", FEICHTENHOFER_2016, "resnet18", fusion="conv"),
    _two_stream("two_stream_tiny", SIMONYAN_2014, "resnet_tiny", 32, **TINY),
    _segments("tsn_resnet18", "resnet18", (3, 224, 224)),
    _segments("tsn_tiny", "resnet_tiny", (3, 32, 32), **TINY),
    _recurrent("lrcn_alexnet", "alexnet", (16, 224, 224)),
    _recurrent("lrcn_tiny", "resnet_tiny", (3, 32, 32), hidden_size=16, **TINY),
    _row("c3d", "c3d:C3D", (16, 112, 112), TRAN_2015, "L51", {}),
    _row("c3d_tiny", "c3d:C3D", (8, 32, 32), TRAN_2015, "L51", {"widths": (4, 8, 8, 16, 16), "hidden": 32, **TINY}),
    _row("i3d", "i3d:I3D", (64, 224, 224), CARREIRA_2017, "L49, L51", {}),
    _row("i3d_tiny", "i3d:I3D", (9, 32, 32), CARREIRA_2017, "L49, L51", {"width": 0.0625, **TINY}),
    _residual("r3d_18"),
    _residual("mc3_18", convolutions=("3d", "2d", "2d", "2d")),
    _residual("r2plus1d_18", convolutions=("2+1d",) * 4, stem_width=45),
    _residual(
        "r2plus1d_tiny",
        (4, 32, 32),
        stage_sizes=(1, 1, 1, 1),
        convolutions=("3d", "2d", "2+1d", "2+1d"),
        stem_width=6,
        width=4,
        **TINY,
    ),
    _row("s3d", "s3d:S3D", (16, 224, 224), XIE_2018, "L51", {}, ("torchvision/s3d",)),
    _row("s3d_tiny", "s3d:S3D", (8, 32, 32), XIE_2018, "L51", {"width": 0.0625, **TINY}, ("torchvision/s3d",)),
    _mvit("mvit_v1_b", FAN_2021),
    _mvit("mvit_v2_s", LI_2022, version=2),
    _mvit("mvit_v2_tiny", LI_2022, (4, 32, 32), version=2, **SMALL_MVIT, **TINY),
    _swin("swin3d_t"),
    _swin("swin3d_s", depths=(2, 2, 18, 2)),
    _swin("swin3d_b", depths=(2, 2, 18, 2), heads=(4, 8, 16, 32), width=128),
    _swin("swin3d_mini", (5, 32, 32), depths=(2, 2), heads=(1, 2), width=8, window=(2, 3, 3), **TINY),
)
