"""The catalog's rows of the chapter `zoo.convnets`: networks past residual ones, and the transformers beside them."""

from typing import Any

from zoo.catalog.entry import Entry

DOSOVITSKIY_2021 = (
    "Dosovitskiy et al., 2021, An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale"
)
TAN_2019 = "Tan and Le, 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
TAN_2021 = "Tan and Le, 2021, EfficientNetV2: Smaller Models and Faster Training"
RADOSAVOVIC_2020 = "Radosavovic et al., 2020, Designing Network Design Spaces"
LIU_2021 = "Liu et al., 2021, Swin Transformer: Hierarchical Vision Transformer using Shifted Windows"
LIU_2022 = "Liu et al., 2022, A ConvNet for the 2020s"


def _rows(builder: str, paper: str, layout: str, variants: dict[str, dict[str, Any]], size: int = 224) -> list[Entry]:
    """One row a variant, by name; those that set the number of classes are for tests, on images of 32 x 32 pixels."""

    def row(name: str, options: dict[str, Any]) -> Entry:
        side = 32 if "num_classes" in options else size
        shape, layouts = (side, side, 3), (f"torchvision/{layout}",)
        return Entry(name, f"zoo.convnets.{builder}", "classification", shape, paper, "L48", options, layouts)

    return [row(name, options) for name, options in variants.items()]


FOR_TESTS: dict[str, Any] = {"num_classes": 10}
"""What networks for tests have in common. Where trained ones are called tiny, those for tests are "mini"."""

CONVNEXTS: dict[str, dict[str, Any]] = {
    "convnext_tiny": {},
    "convnext_small": {"depths": (3, 3, 27, 3), "drop_path": 0.4},
    "convnext_base": {"depths": (3, 3, 27, 3), "widths": (128, 256, 512, 1024), "drop_path": 0.5},
    "convnext_large": {"depths": (3, 3, 27, 3), "widths": (192, 384, 768, 1536), "drop_path": 0.5},
    "convnext_mini": {"depths": (1, 1, 2, 1), "widths": (4, 8, 8, 8), **FOR_TESTS},
}

VIT_L: dict[str, Any] = {"depth": 24, "heads": 16, "width": 1024, "hidden": 4096}
VITS: dict[str, dict[str, Any]] = {
    "vit_b_16": {},
    "vit_b_32": {"patch_size": 32},
    "vit_l_16": VIT_L,
    "vit_l_32": {"patch_size": 32, **VIT_L},
    "vit_h_14": {"patch_size": 14, "depth": 32, "heads": 16, "width": 1280, "hidden": 5120},
    "vit_mini": {"patch_size": 8, "depth": 2, "heads": 2, "width": 16, "hidden": 32, **FOR_TESTS},
}

SWIN_B: dict[str, Any] = {"heads": (4, 8, 16, 32), "width": 128, "drop_path": 0.5}
SWINS: dict[str, dict[str, Any]] = {
    "swin_t": {},
    "swin_s": {"depths": (2, 2, 18, 2), "drop_path": 0.3},
    "swin_b": {"depths": (2, 2, 18, 2), **SWIN_B},
    "swin_mini": {"depths": (2, 2), "heads": (1, 2), "width": 8, "window": 3, **FOR_TESTS},
}

REGNETS: dict[str, tuple[int, int, float, float, int]] = {
    "regnet_x_400mf": (22, 24, 24.48, 2.54, 16),
    "regnet_x_800mf": (16, 56, 35.73, 2.28, 16),
    "regnet_x_1_6gf": (18, 80, 34.01, 2.25, 24),
    "regnet_x_3_2gf": (25, 88, 26.31, 2.25, 48),
    "regnet_x_8gf": (23, 80, 49.56, 2.88, 120),
    "regnet_x_16gf": (22, 216, 55.59, 2.1, 128),
    "regnet_x_32gf": (23, 320, 69.86, 2.0, 168),
    "regnet_y_400mf": (16, 48, 27.89, 2.09, 8),
    "regnet_y_800mf": (14, 56, 38.84, 2.4, 16),
    "regnet_y_1_6gf": (27, 48, 20.71, 2.65, 24),
    "regnet_y_3_2gf": (21, 80, 42.63, 2.66, 24),
    "regnet_y_8gf": (17, 192, 76.82, 2.19, 56),
    "regnet_y_16gf": (18, 200, 106.23, 2.48, 112),
    "regnet_y_32gf": (20, 232, 115.89, 2.53, 232),
    "regnet_y_128gf": (27, 456, 160.83, 2.52, 264),
}
"""Depth, w_0, w_a, w_m and the groups' width. Y has squeeze-and-excitation too."""


def _regnet(name: str) -> dict[str, Any]:
    """The fields of this RegNet."""
    numbers = zip(("depth", "w_0", "w_a", "w_m", "group_width"), REGNETS[name], strict=True)
    return {**dict(numbers), **({"squeeze": 0.25} if name.startswith("regnet_y") else {})}


REGNET_TINY: dict[str, Any] = {"depth": 4, "w_0": 8, "w_a": 8.0, "w_m": 2.0, "group_width": 8, "stem": 8}

EFFICIENTNETS: dict[str, tuple[float, float, float, int]] = {
    "efficientnet_b0": (1.0, 1.0, 0.2, 224),
    "efficientnet_b1": (1.0, 1.1, 0.2, 240),
    "efficientnet_b2": (1.1, 1.2, 0.3, 288),
    "efficientnet_b3": (1.2, 1.4, 0.3, 300),
    "efficientnet_b4": (1.4, 1.8, 0.4, 380),
    "efficientnet_b5": (1.6, 2.2, 0.4, 456),
    "efficientnet_b6": (1.8, 2.6, 0.5, 528),
    "efficientnet_b7": (2.0, 3.1, 0.5, 600),
}
"""Width, depth, dropout, and pixels a side: those that torchvision's weights are for."""

EFFICIENTNETS_V2: dict[str, tuple[float, int]] = {
    "efficientnet_v2_s": (0.2, 384),
    "efficientnet_v2_m": (0.3, 480),
    "efficientnet_v2_l": (0.4, 480),
}
"""Dropout and pixels a side."""


def _efficientnets() -> list[Entry]:
    def row(name: str, paper: str, size: int, **options: Any) -> Entry:
        return _rows("efficientnet:EfficientNet", paper, "efficientnet", {name: options}, size)[0]

    slow_statistics = {"epsilon": 1e-3, "momentum": 0.99}
    return [
        *(
            row(
                name,
                TAN_2019,
                size,
                **{"width": width, "depth": depth, "dropout": dropout},
                **(slow_statistics if name >= "efficientnet_b5" else {}),
            )
            for name, (width, depth, dropout, size) in EFFICIENTNETS.items()
        ),
        *(
            row(name, TAN_2021, size, table=name.removeprefix("efficientnet_"), dropout=dropout, epsilon=1e-3)
            for name, (dropout, size) in EFFICIENTNETS_V2.items()
        ),
        row("efficientnet_tiny", TAN_2019, 32, table="tiny", **FOR_TESTS),
    ]


ENTRIES = (
    *_rows("convnext:ConvNeXt", LIU_2022, "convnext", CONVNEXTS),
    *_rows("vision_transformer:VisionTransformer", DOSOVITSKIY_2021, "vision_transformer", VITS),
    *_rows("swin:SwinTransformer", LIU_2021, "swin", SWINS),
    *_rows("regnet:RegNet", RADOSAVOVIC_2020, "regnet", {name: _regnet(name) for name in REGNETS}),
    *_rows("regnet:RegNet", RADOSAVOVIC_2020, "regnet", {"regnet_tiny": REGNET_TINY | {"squeeze": 0.25} | FOR_TESTS}),
    *_efficientnets(),
)
