"""The catalog's rows of the chapter `zoo.video`. Clips are time, height and width."""

from typing import Any

from zoo.catalog.entry import Entry
from zoo.catalog.inputs import Input

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


def _residual(name: str, clip: tuple[int, int, int] = (16, 112, 112), **options: Any) -> Entry:
    return _row(name, "resnet:VideoResNet", clip, TRAN_2018, "L51", options, ("torchvision/video_resnet",))


ENTRIES = (
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
)
