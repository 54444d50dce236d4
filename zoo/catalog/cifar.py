"""The catalog's rows of the chapter `zoo.convnets`: networks for 32 x 32 images."""

from typing import Any

from zoo.catalog.entry import Entry

HE_2016 = "He et al., 2016, Deep Residual Learning for Image Recognition"
HE_2016_IDENTITY = "He et al., 2016, Identity Mappings in Deep Residual Networks"

WEIGHTS = ("akamaster/cifar_resnet",)


def _cifar_resnets() -> list[Entry]:
    def row(name: str, paper: str, lecture: str, **options: Any) -> Entry:
        builder = "zoo.convnets.cifar_resnet:CifarResNet"
        return Entry(name, builder, "classification", (32, 32, 3), paper, lecture, options, WEIGHTS)

    basic = (20, 32, 44, 56, 110)
    bottleneck = {"bottleneck": True, "shortcut": "B"}
    preactivation = {"unit": "full_preactivation"}
    return [
        row("cifar_resnet8", HE_2016, "L40", depth=8),
        *(row(f"cifar_resnet{depth}", HE_2016, "L39-L41", depth=depth) for depth in basic),
        *(row(f"cifar_resnet{depth}", HE_2016_IDENTITY, "L43", depth=depth, **bottleneck) for depth in (164, 1001)),
        row("cifar_resnet1202", HE_2016, "L40", depth=1202),
        *(row(f"cifar_plain{depth}", HE_2016, "L39", depth=depth, shortcut="none") for depth in basic),
        row("cifar_preact_resnet110", HE_2016_IDENTITY, "L41, L43", depth=110, **preactivation),
        *(
            row(f"cifar_preact_resnet{depth}", HE_2016_IDENTITY, "L41, L43", depth=depth, **bottleneck, **preactivation)
            for depth in (164, 1001)
        ),
    ]


ENTRIES = (*_cifar_resnets(),)
