"""The catalog's rows of the chapter `zoo.convnets`: residual and densely connected networks for 224 x 224 images."""

from typing import Any

from zoo.catalog.cifar import DENSENET_LAYOUTS, HE_2016, HE_2016_IDENTITY, HUANG_2017, XIE_2017, ZAGORUYKO_2016
from zoo.catalog.entry import Entry

HU_2018 = "Hu et al., 2018, Squeeze-and-Excitation Networks"

BASIC: dict[int, dict[str, Any]] = {
    18: {"stage_sizes": (2, 2, 2, 2), "bottleneck": False},
    34: {"stage_sizes": (3, 4, 6, 3), "bottleneck": False},
}
BOTTLENECK: dict[int, dict[str, Any]] = {
    50: {"stage_sizes": (3, 4, 6, 3)},
    101: {"stage_sizes": (3, 4, 23, 3)},
    152: {"stage_sizes": (3, 8, 36, 3)},
    200: {"stage_sizes": (3, 24, 36, 3)},
}

RESNET_LAYOUTS = ("torchvision/resnet", "timm/resnet", "timm/resnetv2")
"""Of torchvision's networks, those with squeeze-and-excitation and those with pre-activation: one class has all."""


def _resnets() -> list[Entry]:
    def row(
        name: str, paper: str, lecture: str, size: int = 224, layouts: tuple[str, ...] = RESNET_LAYOUTS, **options: Any
    ) -> Entry:
        shape, builder = (size, size, 3), "zoo.convnets.resnet:ResNet"
        return Entry(name, builder, "classification", shape, paper, lecture, options, layouts)

    def resnext(depth: int, cardinality: int, group_width: int, lecture: str) -> Entry:
        name = f"resnext{depth}_{cardinality}x{group_width}d"
        groups = {"cardinality": cardinality, "group_width": group_width}
        return row(name, XIE_2017, lecture, **BOTTLENECK[depth], **groups)

    depths = {depth: options for depth, options in (BASIC | BOTTLENECK).items() if depth < 200}
    lecture = {18: "L40, L42, L48", 34: "L40, L42, L48", 101: "L40, L45, L48"}
    squeeze = {"squeeze": 16, "layouts": RESNET_LAYOUTS[1:]}
    preactivation = {"unit": "full_preactivation", "layouts": RESNET_LAYOUTS[2:]}
    return [
        *(row(f"resnet{depth}", HE_2016, lecture.get(depth, "L40, L48"), **depths[depth]) for depth in depths),
        *(row(f"plain{depth}", HE_2016, "L39, L42", **BASIC[depth], shortcut="none") for depth in BASIC),
        row("preact_resnet50", HE_2016_IDENTITY, "L41, L43", **BOTTLENECK[50], **preactivation),
        row("preact_resnet200", HE_2016_IDENTITY, "L41, L43, L45, L46", **BOTTLENECK[200], **preactivation),
        *(
            row(f"wide_resnet{depth}_2", ZAGORUYKO_2016, "L48", **BOTTLENECK[depth], group_width=128)
            for depth in (50, 101)
        ),
        row("resnet101_1x100d", XIE_2017, "L45, L46", **BOTTLENECK[101], group_width=100),
        resnext(50, 32, 4, "L44, L48"),
        *(resnext(101, *groups, "L44-L46") for groups in ((32, 4), (2, 64), (64, 4))),
        resnext(101, 32, 8, "L44, L48"),
        *(row(f"se_resnet{depth}", HU_2018, "L48", **depths[depth], **squeeze) for depth in depths),
        row("resnet_tiny", HE_2016, "L40", 32, stage_sizes=(1, 1, 1, 1), bottleneck=False, width=4, num_classes=10),
    ]


def _densenets() -> list[Entry]:
    def row(name: str, size: int = 224, **options: Any) -> Entry:
        shape, builder = (size, size, 3), "zoo.convnets.densenet:DenseNet"
        layouts = tuple(reversed(DENSENET_LAYOUTS))
        return Entry(name, builder, "classification", shape, HUANG_2017, "L47, L48", options, layouts)

    return [
        row("densenet121", stage_sizes=(6, 12, 24, 16)),
        row("densenet161", stage_sizes=(6, 12, 36, 24), growth_rate=48, stem_width=96),
        row("densenet169", stage_sizes=(6, 12, 32, 32)),
        row("densenet201", stage_sizes=(6, 12, 48, 32)),
        row("densenet_tiny", 32, stage_sizes=(1, 2, 1, 1), growth_rate=4, stem_width=8, num_classes=10),
    ]


ENTRIES = (*_resnets(), *_densenets())
