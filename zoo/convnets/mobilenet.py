"""MobileNet V2 and V3: inverted residual blocks for telephones.

Sandler et al., 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, Table 2; Howard et al., 2019,
Searching for MobileNetV3, Tables 1 and 2; rounding and initialisation as in torchvision/models/mobilenetv2.py
and mobilenetv3.py. Lecture row L48.
"""

from collections.abc import Mapping
from itertools import starmap
from typing import Any, NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.conv_norm import Activation
from zoo.convnets.inverted_residual import Block, Plan, Row, features_of, stages_of
from zoo.convnets.squeeze_excite import divisible
from zoo.names import unknown
from zoo.nn import global_avg_pool, kaiming_fan_out
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import Network

V2_ROWS = (
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 2),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
    Row(6, 160, 3, 2),
    Row(6, 320, 1, 1),
)
"""Table 2 of MobileNetV2."""


class MobileNetV2(Network):
    """A convolution with stride 2, seven rows of inverted residual blocks, a 1x1 convolution, and a classifier."""

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    width: float = 1.0
    """Multiplies all widths, which are rounded to multiples of eight; the final one is never made smaller."""
    rows: tuple[Row, ...] = V2_ROWS
    """The stages: expansion, channels, blocks, strides and window of each."""
    stem: int = 32
    final: int = 1280
    """Channels of the last 1x1 convolution."""
    dropout: float = 0.2
    """The share of the pooled features that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-7, final, pre_logits and logits.

        Raises:
          ValueError: images of the wrong rank.
        """
        check_images(images, "MobileNetV2")
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        norm = self.norm_maker()
        named = features_of(images, train, self.plan(), nn.relu6, conv, norm, self.remat)
        drop = {"dropout": self.dropout, "train": train}
        x = classify(named, named["final"], self.num_classes, nn.initializers.normal(0.01), **self.types, **drop)
        return named if features else x

    def plan(self) -> Plan:
        """Everything that is convolved."""
        stem = divisible(self.stem * self.width)
        rows = (row._replace(features=divisible(row.features * self.width)) for row in starmap(Row, self.rows))
        return Plan(stem, stages_of(rows, stem, activation=nn.relu6), divisible(self.final * max(1.0, self.width)))


def _dense(outputs: int, dtype: Any, param_dtype: Any, name: str) -> nn.Dense:
    start = nn.initializers.normal(0.01)
    return nn.Dense(outputs, dtype=dtype, param_dtype=param_dtype, kernel_init=start, name=name)


class Bottleneck(NamedTuple):
    """A row of MobileNetV3's tables."""

    size: int
    expanded: int
    features: int
    squeezes: bool
    activation: Activation
    strides: int = 1


class V3Table(NamedTuple):
    """One of MobileNetV3's tables, cut in stages of one width."""

    stages: tuple[tuple[Bottleneck, ...], ...]
    hidden: int
    """Features of the dense layer before the last."""
    stem: int = 16


RE, HS = nn.relu, nn.hard_swish

V3_TABLES = {
    "large": V3Table(
        (
            (Bottleneck(3, 16, 16, False, RE),),
            (Bottleneck(3, 64, 24, False, RE, 2), Bottleneck(3, 72, 24, False, RE)),
            (Bottleneck(5, 72, 40, True, RE, 2), *2 * (Bottleneck(5, 120, 40, True, RE),)),
            (
                Bottleneck(3, 240, 80, False, HS, 2),
                Bottleneck(3, 200, 80, False, HS),
                *2 * (Bottleneck(3, 184, 80, False, HS),),
            ),
            (Bottleneck(3, 480, 112, True, HS), Bottleneck(3, 672, 112, True, HS)),
            (Bottleneck(5, 672, 160, True, HS, 2), *2 * (Bottleneck(5, 960, 160, True, HS),)),
        ),
        hidden=1280,
    ),
    "small": V3Table(
        (
            (Bottleneck(3, 16, 16, True, RE, 2),),
            (Bottleneck(3, 72, 24, False, RE, 2), Bottleneck(3, 88, 24, False, RE)),
            (Bottleneck(5, 96, 40, True, HS, 2), *2 * (Bottleneck(5, 240, 40, True, HS),)),
            (Bottleneck(5, 120, 48, True, HS), Bottleneck(5, 144, 48, True, HS)),
            (Bottleneck(5, 288, 96, True, HS, 2), *2 * (Bottleneck(5, 576, 96, True, HS),)),
        ),
        hidden=1024,
    ),
    "tiny": V3Table(
        (
            (Bottleneck(3, 8, 8, True, RE, 2),),
            (Bottleneck(3, 16, 8, False, RE),),
            (Bottleneck(5, 16, 16, True, HS, 2), Bottleneck(5, 32, 16, True, HS)),
        ),
        hidden=16,
        stem=8,
    ),
}
"""Table 1, Table 2, and one for tests."""


class MobileNetV3(Network):
    """A convolution with stride 2, inverted residual blocks, a 1x1 convolution, a dense layer and a classifier.

    `zoo.nn.BatchNorm` with momentum 0.99.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the features before the last layer instead of logits."""
    size: str = "large"
    """A key of `V3_TABLES`."""
    width: float = 1.0
    """Multiplies all widths, which are rounded to multiples of eight."""
    reduced_tail: bool = False
    """Half the channels in the last stage and after it, for networks that have fewer classes to tell apart."""
    dilated: bool = False
    """The last stage keeps its resolution, and its windows are twice as wide: for dense prediction."""
    maps_only: bool = False
    """Whether nothing follows the last map, and each block is a feature: a backbone, for detection."""
    dropout: float = 0.2
    """The share of the features before the last layer dropped in training; needs the random stream "dropout"."""
    epsilon: float = 1e-3
    """Of the normalisations."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-6 (small: 5), final, pre_logits, logits.

        Raises:
          ValueError: images of the wrong rank.
          UnknownNameError: there is no such size.
        """
        plan = self.plan()
        check_images(images, "MobileNetV3")
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        norm = self.norm_maker(momentum=0.99, epsilon=self.epsilon)
        named = features_of(images, train, plan, nn.hard_swish, conv, norm, self.remat, self.maps_only)
        if self.maps_only:
            return named if features else global_avg_pool(named["final"].astype(self.wide))
        # What follows is cheap, and wants more digits than bfloat16 has.
        x = global_avg_pool(named["final"].astype(self.wide))
        hidden = divisible(V3_TABLES[self.size].hidden // self._divider() * self.width)
        named["pre_logits"] = x = nn.hard_swish(_dense(hidden, self.wide, self.param_dtype, "dense")(x))
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            named["logits"] = x = _dense(self.num_classes, self.wide, self.param_dtype, "head")(x)
        return named if features else x

    def plan(self) -> Plan:
        """Everything that is convolved.

        Raises:
          UnknownNameError: there is no such size.
        """
        if self.size not in V3_TABLES:
            raise unknown("size of MobileNetV3", self.size, V3_TABLES)
        table, divider = V3_TABLES[self.size], self._divider()
        *body, tail = table.stages
        first, *rest = (row._replace(features=row.features // divider) for row in tail)
        # The first row of the tail expands channels that are not reduced.
        tail = [first, *(row._replace(expanded=row.expanded // divider) for row in rest)]
        last = tuple(map(self._block, tail))
        if self.dilated:  # a block that had strides has no shortcut, though its shape may now stay
            last = tuple(b._replace(strides=1, dilation=2, shortcut=b.strides == 1) for b in last)
        stages = (*(tuple(map(self._block, stage)) for stage in body), last)
        return Plan(divisible(table.stem * self.width), stages, final=6 * last[-1].features)

    def _block(self, row: Bottleneck) -> Block:
        expanded = divisible(row.expanded * self.width)
        return Block(
            divisible(row.features * self.width),
            expanded,
            row.size,
            row.strides,
            squeezed=divisible(expanded // 4) if row.squeezes else 0,
            activation=row.activation,
            gate=nn.hard_sigmoid,
        )

    def _divider(self) -> int:
        return 2 if self.reduced_tail else 1
