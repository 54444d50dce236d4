"""The catalog's rows of the chapter `zoo.convnets`: networks for 32 x 32 images."""

from typing import Any

from zoo.catalog.entry import Entry

HE_2016 = "He et al., 2016, Deep Residual Learning for Image Recognition"
HE_2016_IDENTITY = "He et al., 2016, Identity Mappings in Deep Residual Networks"
ZAGORUYKO_2016 = "Zagoruyko and Komodakis, 2016, Wide Residual Networks"
XIE_2017 = "Xie et al., 2017, Aggregated Residual Transformations for Deep Neural Networks"
HUANG_2017 = "Huang et al., 2017, Densely Connected Convolutional Networks"

WEIGHTS = ("akamaster/cifar_resnet",)
DENSENET_LAYOUTS = ("hazyresearch/densenet", "torchvision/densenet")


def _cifar_resnets() -> list[Entry]:
    def row(name: str, paper: str, lecture: str, **options: Any) -> Entry:
        builder = "zoo.convnets.cifar_resnet:CifarResNet"
        return Entry(name, builder, "classification", (32, 32, 3), paper, lecture, options, WEIGHTS)

    basic = (20, 32, 44, 56, 110)
    bottleneck = {"bottleneck": True, "shortcut": "B"}
    preactivation = {"unit": "full_preactivation"}
    wide = {**preactivation, "shortcut": "B"}
    aggregated = {**bottleneck, "stem_width": 64, "widening": 4, "group_width": 64, "stride_first": False}
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
        *(  # their depth counts two of the projections
            row(f"cifar_wide_resnet{depth}_{k}", ZAGORUYKO_2016, "L48", depth=depth - 2, widening=k, **wide)
            for depth, k in ((16, 8), (28, 10), (40, 4))
        ),
        *(
            row(f"cifar_resnext29_{groups}x64d", XIE_2017, "L44", depth=29, cardinality=groups, **aggregated)
            for groups in (8, 16)
        ),
    ]


def _cifar_densenets() -> list[Entry]:
    def row(name: str, stage_sizes: tuple[int, ...], growth_rate: int, lecture: str = "L47", **options: Any) -> Entry:
        builder, shape = "zoo.convnets.densenet:DenseNet", (32, 32, 3)
        options |= {"num_classes": 10, "stage_sizes": stage_sizes, "growth_rate": growth_rate, "small_images": True}
        return Entry(name, builder, "classification", shape, HUANG_2017, lecture, options, DENSENET_LAYOUTS)

    def basic(depth: int, growth_rate: int) -> Entry:
        name, layers = f"cifar_densenet_{depth}_{growth_rate}", (depth - 4) // 3
        return row(name, 3 * (layers,), growth_rate, stem_width=16, bottleneck=False, compression=1.0)

    def bottleneck_compressed(depth: int, growth_rate: int) -> Entry:
        name, layers = f"cifar_densenet_bc_{depth}_{growth_rate}", (depth - 4) // 6
        return row(name, 3 * (layers,), growth_rate, stem_width=2 * growth_rate)

    return [
        *(basic(*size) for size in ((40, 12), (100, 12))),
        *(bottleneck_compressed(*size) for size in ((40, 12), (100, 12), (250, 24), (190, 40))),
        row("cifar_densenet121", (6, 12, 24, 16), 32, "L47, L90", stem_width=64),  # as Mettes et al., 2019, use it
        row("cifar_densenet_tiny", (2, 2, 2), 4, stem_width=8),
    ]


ENTRIES = (*_cifar_resnets(), *_cifar_densenets())
