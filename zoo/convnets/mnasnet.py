"""MnasNet: inverted residual blocks whose windows and widths were searched for on a telephone.

Tan et al., 2019, MnasNet: Platform-Aware Neural Architecture Search for Mobile, the variant B1 (no squeeze-and-
excitation), as in torchvision/models/mnasnet.py. Lecture row L48.
"""

from collections.abc import Mapping
from itertools import starmap

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.inverted_residual import Plan, Row, features_of, stages_of
from zoo.convnets.squeeze_excite import divisible
from zoo.nn import kaiming_fan_out
from zoo.nn.checks import check_images
from zoo.nn.network import Network

ROWS = (
    Row(1, 16, 1, 1),
    Row(3, 24, 3, 2),
    Row(3, 40, 3, 2, 5),
    Row(6, 80, 3, 2, 5),
    Row(6, 96, 2, 1),
    Row(6, 192, 4, 2, 5),
    Row(6, 320, 1, 1),
)
"""The network of the paper; the first row is a depthwise separable convolution."""

fan_out_uniform = jax.nn.initializers.variance_scaling(1.0, "fan_out", "uniform")


class MnasNet(Network):
    """A convolution with stride 2, seven rows of blocks, a 1x1 convolution, and a classifier.

    `zoo.nn.BatchNorm` with momentum 0.9997: for evaluation after few steps of training set a smaller `momentum`.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    width: float = 1.0
    """Multiplies all widths but the final one; they are rounded to multiples of eight."""
    rows: tuple[Row, ...] = ROWS
    """The stages: expansion, channels, blocks, strides and window of each."""
    stem: int = 32
    final: int = 1280
    """Channels of the last 1x1 convolution."""
    dropout: float = 0.2
    """The share of the pooled features that is dropped in training; needs the random stream "dropout"."""
    momentum: float = 0.9997
    """The share of the old value in running statistics."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-7, final, pre_logits and logits.

        Raises:
          ValueError: images of the wrong rank.
        """
        check_images(images, "MnasNet")
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        norm = self.norm_maker(momentum=self.momentum)
        named = features_of(images, train, self.plan(), nn.relu, conv, norm, self.remat)
        drop = {"dropout": self.dropout, "train": train}
        x = classify(named, named["final"], self.num_classes, fan_out_uniform, **self.types, **drop)
        return named if features else x

    def plan(self) -> Plan:
        """Everything that is convolved."""
        stem = divisible(self.stem * self.width)
        rows = (row._replace(features=divisible(row.features * self.width)) for row in starmap(Row, self.rows))
        return Plan(stem, stages_of(rows, stem), self.final)
