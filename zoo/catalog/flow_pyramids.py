"""The catalog's rows of optical flow from coarse to fine, of the chapter `zoo.dense`. Images are of any size."""

from typing import Any

from zoo.catalog.entry import Entry
from zoo.catalog.inputs import Input

SUN_2018 = "Sun, Yang, Liu and Kautz, 2018, PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume"


def _row(name: str, side: tuple[int, int], **options: Any) -> Entry:
    inputs = tuple(Input(each, (*side, 3)) for each in ("first", "second"))
    return Entry(name, "zoo.dense.pwc:PWCNet", "optical_flow", inputs, SUN_2018, "L62", options, heads=())


ENTRIES = (
    _row("pwc_small", (384, 512)),
    _row(
        "pwc_tiny",
        (64, 64),
        widths=(16, 24, 32),
        finest=1,
        radius=2,
        estimator=(32, 24, 16),
        context=(24, 24, 16),
        dilations=(1, 2, 4),
        unit=4.0,
        residual=True,
    ),
)
"""The tiny one is for small images and motions: its last flow has half of the resolution, its first an eighth."""
