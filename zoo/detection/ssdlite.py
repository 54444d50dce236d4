"""SSDlite: SSD above MobileNetV3, with depthwise convolutions in place of its own.

Sandler et al., 2018, MobileNetV2, section 6.2; Howard et al., 2019, Searching for MobileNetV3, section 6.3; numbers as
of torchvision/models/detection/ssdlite.py. Row L55.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.inverted_residual import Plan, features_of
from zoo.convnets.mobilenet import MobileNetV3
from zoo.detection.default_boxes import DefaultBoxes
from zoo.detection.single_stage import Choice
from zoo.detection.ssd import SSD, SSDHead
from zoo.nn.checks import check_images
from zoo.nn.network import Network

NORM = {"momentum": 0.97, "epsilon": 1e-3}
"""Of all batch normalisations."""
BOXES = DefaultBoxes(((2, 3),) * 6, (*(0.2 + 0.15 * level for level in range(6)), 1.0))
CHOICE = Choice(0.001, 0.55, 300, 300)
start = nn.initializers.normal(0.03)


class SSDLite(SSD):
    """`SSD` whose head filters each channel by itself before it says what is there."""

    boxes: DefaultBoxes = BOXES
    """Those that stand on the maps, in pixels."""
    choice: Choice = CHOICE

    def setup(self) -> None:
        """The parts; `backbone` is there already."""
        per_place = tuple(self.boxes.per_place(level) for level in range(len(self.maps)))
        self.head = SSDLiteHead(per_place, self.num_classes, axis_name=self.axis_name, **self.types)


class SSDLiteHead(SSDHead):
    """For each map a depthwise convolution, a normalisation and a 1x1 convolution, once for classes and for boxes."""

    def predicted(self, x: Array, channels: int, name: str, train: bool) -> Float[Array, "batch h w channels"]:
        """Of one map, as many values in each place."""
        conv = self.conv_maker(kernel_init=start)
        width = x.shape[-1]
        layer = ConvNormActivation(
            width, 3, conv, self.norm_maker(**NORM), nn.relu6, groups=width, name=f"{name}_depthwise"
        )
        return conv(channels, (1, 1), name=name)(layer(x, train))


class SSDLiteMobileNet(Network):
    """MobileNetV3 with half the channels at its end, and four blocks that halve the map: map1, ..., map6.

    The first map is inside a block: where the last stage begins, after its channels are expanded and before the window
    of stride 2.
    """

    size: str = "large"
    """Of the MobileNetV3."""
    width: float = 1.0
    """Multiplies the MobileNetV3's widths."""
    extra: tuple[int, ...] = (512, 256, 256, 128)
    """Channels of the blocks above it."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width 3"], train: bool = False, features: bool = True
    ) -> Mapping[str, Float[Array, "batch height width channels"]]:
        """The six maps.

        Raises:
          ValueError: images of the wrong rank.
        """
        check_images(images, "SSDLiteMobileNet", 32)
        conv, norm = self.conv_maker(kernel_init=start), self.norm_maker(**NORM)
        plan, named = self.plan(), {}
        opened = (f"stage{len(plan.stages)}", "block1", "expand")

        def keep(call: Callable, arguments: tuple, options: Mapping[str, Any], context: Any) -> Any:
            result = call(*arguments, **options)
            if context.module.path[-3:] == opened:
                named["map1"] = result
            return result

        with nn.intercept_methods(keep):
            maps = features_of(images, train, plan, nn.hard_swish, conv, norm, remat=False)
        named["map2"] = x = maps["final"]
        for i, width in enumerate(self.extra, start=1):
            x = HalvingBlock(width, conv, norm, name=f"extra{i}")(x, train)
            named[f"map{i + 2}"] = x
        return named

    def plan(self) -> Plan:
        """Everything that is convolved in the MobileNetV3."""
        return MobileNetV3(size=self.size, width=self.width, reduced_tail=True, parent=None).plan()


class HalvingBlock(nn.Module):
    """A 1x1 convolution to half the channels, a depthwise one with stride 2, and a 1x1 convolution."""

    features: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 features"]:
        half = self.features // 2

        def layer(features: int, window: int, name: str, **options: int) -> nn.Module:
            return ConvNormActivation(features, window, self.conv, self.norm, nn.relu6, name=name, **options)

        x = layer(half, 1, "reduce")(x, train)
        x = layer(half, 3, "depthwise", strides=2, groups=half)(x, train)
        return layer(self.features, 1, "expand")(x, train)


def ssdlite320(num_classes: int = 91, size: str = "large", width: float = 1.0, **shared: Any) -> SSDLite:
    """An SSDlite above MobileNetV3, for images of 320 x 320 pixels with values from -1 to 1.

    Args:
      num_classes: with the background.
      size: of `SSDLiteMobileNet`.
      width: of `SSDLiteMobileNet`.
      **shared: fields of `zoo.nn.network.Network`, of the detector and its backbone.
    """
    return SSDLite(SSDLiteMobileNet(size, width, **shared), num_classes, **shared)
