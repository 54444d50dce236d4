"""The catalog's rows of the chapter `zoo.dense`: torchvision's networks for segmentation."""

from typing import Any

from zoo.catalog.entry import Entry, Ref

LONG_2015 = "Long et al., 2015, Fully Convolutional Networks for Semantic Segmentation"
CHEN_2017 = "Chen et al., 2017, Rethinking Atrous Convolution for Semantic Image Segmentation"
HOWARD_2019 = "Howard et al., 2019, Searching for MobileNetV3"

DILATED: dict[str, Any] = {"num_classes": 0, "replace_stride_with_dilation": (False, True, True)}
"""The last two stages keep the resolution of the second, an eighth of the image's."""
RESNET50, RESNET101, RESNET_TINY = (Ref(f"resnet{size}", **DILATED) for size in ("50", "101", "_tiny"))
MOBILENET = Ref("mobilenet_v3_large", num_classes=0, maps_only=True, dilated=True)

FCNS = {
    "fcn_resnet50": {"backbone": RESNET50},
    "fcn_resnet101": {"backbone": RESNET101},
    "fcn_resnet_tiny": {"backbone": RESNET_TINY, "num_classes": 11},
}
DEEPLABS = {
    "deeplabv3_resnet50": {"backbone": RESNET50},
    "deeplabv3_resnet101": {"backbone": RESNET101},
    "deeplabv3_mobilenet_v3_large": {"backbone": MOBILENET, "map": "final", "aux_map": "stage3/block1"},
    "deeplabv3_tiny": {"backbone": RESNET_TINY, "num_classes": 11, "rates": (1, 2, 3), "width": 8},
}
LRASPPS = {
    "lraspp_mobilenet_v3_large": {"backbone": MOBILENET},
    "lraspp_tiny": {
        "backbone": Ref("mobilenet_v3_tiny", num_classes=0, maps_only=True, dilated=True),
        "num_classes": 11,
        "low": "stage1",
        "width": 8,
    },
}


def _rows(builder: str, paper: str, heads: tuple[str, ...], variants: dict[str, dict[str, Any]]) -> list[Entry]:
    """One row a variant; those for tests have images of 64 x 64 pixels."""
    layouts = (f"torchvision/{builder.partition(':')[2].lower().removeprefix('dilated')}",)
    auxiliary = ("aux1",) if "aux1/logits" in heads else ()

    def row(name: str, options: dict[str, Any]) -> Entry:
        shape = (64, 64, 3) if name.endswith("_tiny") else (520, 520, 3)
        path = f"zoo.dense.{builder}"
        return Entry(name, path, "segmentation", shape, paper, "L61, L65", options, layouts, heads, auxiliary)

    return [row(name, options) for name, options in variants.items()]


ENTRIES = (
    *_rows("dilated_fcn:DilatedFCN", LONG_2015, ("head/logits", "aux1/logits"), FCNS),
    *_rows("deeplab:DeepLabV3", CHEN_2017, ("head/logits", "aux1/logits"), DEEPLABS),
    *_rows("lraspp:LRASPP", HOWARD_2019, ("head/low_logits", "head/high_logits"), LRASPPS),
)
