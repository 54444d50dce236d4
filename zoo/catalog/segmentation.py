"""The catalog's rows of networks for segmentation, of the chapter `zoo.dense`: FCN, SegNet and U-Net as published."""

from typing import Any

from zoo.catalog.entry import Entry

LONG_2015 = "Long et al., 2015, Fully Convolutional Networks for Semantic Segmentation"
BADRINARAYANAN_2017 = (
    "Badrinarayanan et al., 2017, SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation"
)
RONNEBERGER_2015 = "Ronneberger et al., 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation"

SMALL = {"depth": 11, "widths": (4, 4, 8, 8, 8), "num_classes": 10}
"""A VGG for tests."""
SMALL_FCN = {**SMALL, "hidden": 16, "window": 3, "pad": 1, "fc6_pad": 1}
SMALL_IMAGE = (64, 64, 3)


def _row(
    name: str, builder: str, paper: str, lecture: str, shape: tuple[int, ...], options: dict[str, Any], **more: Any
) -> Entry:
    return Entry(name, f"zoo.dense.{builder}", "segmentation", shape, paper, lecture, options, **more)


def _fcn(name: str, stride: int, shape: tuple[int, ...], options: dict[str, Any]) -> Entry:
    """FCN-32s, -16s or -8s, whose scores of poolings a coarser one lacks."""
    finer = tuple(f"score_pool{level}" for level in (4, 3) if 2**level >= stride)
    return _row(
        *(name, "fcn_vgg:FCNVGG", LONG_2015, "L61, L65, L66", shape, {"stride": stride, **options}),
        weights=("torchvision/vgg_as_fcn",),
        heads=("score_fr", *finer),
        additions=(*finer, "upscore2", "upscore_pool4"),
    )


ENTRIES = (
    *(_fcn(f"fcn{stride}s_vgg16", stride, (500, 500, 3), {}) for stride in (32, 16, 8)),
    *(_fcn(f"fcn{stride}s_tiny", stride, SMALL_IMAGE, SMALL_FCN) for stride in (32, 16, 8)),
    _row("segnet", "segnet:SegNet", BADRINARAYANAN_2017, "L61, L65", (360, 480, 3), {}),
    _row("segnet_tiny", "segnet:SegNet", BADRINARAYANAN_2017, "L61, L65", SMALL_IMAGE, SMALL),
    _row("unet", "unet:UNet", RONNEBERGER_2015, "L65, L66", (572, 572, 1), {}),
    _row("unet_same", "unet:UNet", RONNEBERGER_2015, "L65, L66", (256, 256, 3), {"padding": "same"}),
    _row(
        *("unet_tiny", "unet:UNet", RONNEBERGER_2015, "L65, L66", (32, 32, 3)),
        {"padding": "same", "widths": (4, 8, 8), "num_classes": 10},
    ),
)
