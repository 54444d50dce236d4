"""The catalog's rows of the chapter `zoo.convnets`: small networks, for telephones."""

from typing import Any

from zoo.catalog.entry import Entry

SANDLER_2018 = "Sandler et al., 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks"
MA_2018 = "Ma et al., 2018, ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design"
TAN_2019 = "Tan et al., 2019, MnasNet: Platform-Aware Neural Architecture Search for Mobile"
HOWARD_2019 = "Howard et al., 2019, Searching for MobileNetV3"


def _rows(builder: str, paper: str, layout: str, variants: dict[str, dict[str, Any]]) -> list[Entry]:
    """One row a variant, by name; those for tests have ten classes and images of 32 x 32 pixels."""

    def row(name: str, options: dict[str, Any]) -> Entry:
        tiny = name.endswith("_tiny")
        shape, options = ((32, 32, 3), {"num_classes": 10, **options}) if tiny else ((224, 224, 3), options)
        layouts = (f"torchvision/{layout}",)
        return Entry(name, f"zoo.convnets.{builder}", "classification", shape, paper, "L48", options, layouts)

    return [row(name, options) for name, options in variants.items()]


MOBILENETS_V2 = {
    "mobilenet_v2": {},
    "mobilenet_v2_tiny": {"rows": ((1, 8, 1, 1, 3), (2, 8, 2, 2, 3), (3, 16, 1, 2, 3)), "stem": 8, "final": 32},
}
MOBILENETS_V3 = {
    "mobilenet_v3_large": {"size": "large"},
    "mobilenet_v3_small": {"size": "small"},
    "mobilenet_v3_tiny": {"size": "tiny"},
}
SHUFFLENETS = {
    "shufflenet_v2_x0_5": {"size": "x0.5"},
    "shufflenet_v2_x1_0": {"size": "x1.0"},
    "shufflenet_v2_x1_5": {"size": "x1.5"},
    "shufflenet_v2_x2_0": {"size": "x2.0"},
    "shufflenet_v2_tiny": {"size": "tiny"},
}
MNASNETS = {
    "mnasnet0_5": {"width": 0.5},
    "mnasnet0_75": {"width": 0.75},
    "mnasnet1_0": {"width": 1.0},
    "mnasnet1_3": {"width": 1.3},
    "mnasnet_tiny": {"rows": ((1, 8, 1, 1, 3), (3, 8, 2, 2, 3), (3, 16, 1, 2, 5)), "stem": 16, "final": 32},
}

ENTRIES = (
    *_rows("mobilenet:MobileNetV2", SANDLER_2018, "mobilenet_v2", MOBILENETS_V2),
    *_rows("mobilenet:MobileNetV3", HOWARD_2019, "mobilenet_v3", MOBILENETS_V3),
    *_rows("shufflenet:ShuffleNetV2", MA_2018, "shufflenet_v2", SHUFFLENETS),
    *_rows("mnasnet:MnasNet", TAN_2019, "mnasnet", MNASNETS),
)
