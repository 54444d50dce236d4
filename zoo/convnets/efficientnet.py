"""EfficientNet V1 and V2: inverted residual blocks, made wider and deeper together.

Tan and Le, 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, Table 1; Tan and Le, 2021,
EfficientNetV2: Smaller Models and Faster Training, Table 4. Rounding and initialisation as in
torchvision/models/efficientnet.py. Lecture row L48.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.inverted_residual import Plan, Row, features_of, stages_of
from zoo.convnets.squeeze_excite import divisible
from zoo.convnets.stochastic_depth import linear_rates
from zoo.names import unknown
from zoo.nn import kaiming_fan_out
from zoo.nn.checks import check_images
from zoo.nn.network import Network


class Table(NamedTuple):
    """One of the papers' tables."""

    stem: int
    """Channels of the first convolution."""
    rows: tuple[Row, ...]
    fused: int = 0
    """So many rows, the first, have fused blocks, without squeeze-and-excitation."""
    final: int = 0
    """Channels of the last convolution; 0 for four times those of the last row."""


TABLES = {
    "v1": Table(
        32,
        (
            Row(1, 16, 1, 1),
            Row(6, 24, 2, 2),
            Row(6, 40, 2, 2, size=5),
            Row(6, 80, 3, 2),
            Row(6, 112, 3, 1, size=5),
            Row(6, 192, 4, 2, size=5),
            Row(6, 320, 1, 1),
        ),
    ),
    "v2_s": Table(
        24,
        (
            Row(1, 24, 2, 1),
            Row(4, 48, 4, 2),
            Row(4, 64, 4, 2),
            Row(4, 128, 6, 2),
            Row(6, 160, 9, 1),
            Row(6, 256, 15, 2),
        ),
        fused=3,
        final=1280,
    ),
    "v2_m": Table(
        24,
        (
            Row(1, 24, 3, 1),
            Row(4, 48, 5, 2),
            Row(4, 80, 5, 2),
            Row(4, 160, 7, 2),
            Row(6, 176, 14, 1),
            Row(6, 304, 18, 2),
            Row(6, 512, 5, 1),
        ),
        fused=3,
        final=1280,
    ),
    "v2_l": Table(
        32,
        (
            Row(1, 32, 4, 1),
            Row(4, 64, 7, 2),
            Row(4, 96, 7, 2),
            Row(4, 192, 10, 2),
            Row(6, 224, 19, 1),
            Row(6, 384, 25, 2),
            Row(6, 640, 7, 1),
        ),
        fused=3,
        final=1280,
    ),
    "tiny": Table(8, (Row(1, 8, 1, 1), Row(2, 8, 1, 2), Row(2, 16, 2, 2, size=5)), fused=2),
}
"""V1 with a width and a depth of 1 (B0), the tables of V2, and one for tests."""


class EfficientNet(Network):
    """A convolution with stride 2, rows of inverted residual blocks, a 1x1 convolution, and a classifier.

    B0 as it stands; the fields make the others.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    table: str = "v1"
    """A key of `TABLES`."""
    width: float = 1.0
    """Multiplies all widths of the rows and the stem, which are rounded to multiples of eight."""
    depth: float = 1.0
    """Multiplies each row's number of blocks, which is rounded up."""
    dropout: float = 0.2
    """The share of the pooled features that is dropped in training; needs the random stream "dropout"."""
    drop_path: float = 0.2
    """The share of images that would skip one more block in training, evenly less for those before; the same stream."""
    epsilon: float = 1e-5
    """Of all batch normalisations."""
    momentum: float = 0.9
    """Of all batch normalisations: the share of the old statistics in the new."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-7 (V2-S: 6), final, pre_logits, logits.

        Raises:
          ValueError: images of the wrong rank.
          UnknownNameError: there is no such table.
        """
        plan = self.plan()
        check_images(images, "EfficientNet")
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        norm = self.norm_maker(epsilon=self.epsilon, momentum=self.momentum)
        named = features_of(images, train, plan, nn.silu, conv, norm, self.remat)
        uniform = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")
        drop = {"dropout": self.dropout, "train": train}
        x = classify(named, named["final"], self.num_classes, uniform, **self.types, **drop)
        return named if features else x

    def plan(self) -> Plan:
        """Everything that is convolved.

        Raises:
          UnknownNameError: there is no such table.
        """
        if self.table not in TABLES:
            raise unknown("table of EfficientNet", self.table, TABLES)
        table = TABLES[self.table]
        rows = [
            row._replace(features=divisible(row.features * self.width), blocks=math.ceil(row.blocks * self.depth))
            for row in table.rows
        ]
        stem = channels = divisible(table.stem * self.width)
        counts = tuple(row.blocks for row in rows)
        rates = linear_rates(self.drop_path * (1 - 1 / sum(counts)), counts)
        stages = []
        for i, blocks in enumerate(stages_of(rows, stem, activation=nn.silu, squeeze_activation=nn.silu)):
            stage, fused = [], i < table.fused
            for block, rate in zip(blocks, rates[i], strict=True):
                squeezed = 0 if fused else max(1, channels // 4)
                stage.append(block._replace(squeezed=squeezed, fused=fused, drop_path=rate))
                channels = block.features
            stages.append(tuple(stage))
        return Plan(stem, tuple(stages), table.final or 4 * channels)
