"""The catalog's rows of optical flow, of the chapter `zoo.dense`. Both images are of one size, whichever it is."""

from typing import Any

from zoo.catalog.entry import Entry
from zoo.catalog.inputs import Input

DOSOVITSKIY_2015 = "Dosovitskiy et al., 2015, FlowNet: Learning Optical Flow with Convolutional Networks"
TEED_2020 = "Teed and Deng, 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow"

CHAIRS, SINTEL, SMALL = (384, 512), (440, 1024), (64, 64)
"""Height and width of FlyingChairs' images, and of Sintel's, made multiples of 8; and of the variants for tests."""

TINY = {"widths": (8, 8, 12, 12, 16, 16), "refined": (12, 8, 8, 8)}


def _row(
    name: str, builder: str, size: tuple[int, int], paper: str, options: dict[str, Any], weights: tuple[str, ...] = ()
) -> Entry:
    inputs = tuple(Input(each, (*size, 3)) for each in ("first", "second"))
    builder = f"zoo.dense.{builder}"
    return Entry(name, builder, "optical_flow", inputs, paper, "L62", options, weights, heads=())


def _raft(size: str, of: tuple[int, int], **options: Any) -> Entry:
    return _row(f"raft_{size}", "raft:raft", of, TEED_2020, {"size": size, **options}, ("torchvision/raft",))


ENTRIES = (
    _row("flownet_s", "flownet:FlowNetS", CHAIRS, DOSOVITSKIY_2015, {}),
    _row("flownet_c", "flownet:FlowNetC", CHAIRS, DOSOVITSKIY_2015, {}),
    _row("flownet_s_tiny", "flownet:FlowNetS", SMALL, DOSOVITSKIY_2015, TINY),
    _row("flownet_c_tiny", "flownet:FlowNetC", SMALL, DOSOVITSKIY_2015, {**TINY, "redirected": 4}),
    _raft("large", SINTEL),
    _raft("small", SINTEL),
    _raft("tiny", SMALL, updates=4),
)
