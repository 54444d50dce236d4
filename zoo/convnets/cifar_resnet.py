"""Residual networks for 32 x 32 images, their plain twins, and the five kinds of residual unit.

He, Zhang, Ren and Sun, 2016, Deep Residual Learning for Image Recognition, section 4.2; and Identity Mappings
in Deep Residual Networks. Zagoruyko and Komodakis, 2016, Wide Residual Networks; Xie et al., 2017, Aggregated
Residual Transformations for Deep Neural Networks. Lecture rows L39-L41, L43, L44.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.residual_units import (
    Branch,
    ConvNorm,
    ConvSpec,
    Stage,
    activate,
    basic_branch,
    bottleneck_branch,
    check_unit,
    final_order,
    stem_order,
)
from zoo.nn import kaiming_fan_out, linear_uniform
from zoo.nn.checks import check_images
from zoo.nn.network import Network

WIDTHS = (16, 32, 64)
"""Channels of the three stages where nothing is widened; a bottleneck's output has four times as many."""

SMALLEST_IMAGE = 4
"""Pixels a side that leave the third stage one."""


class CifarResNet(Network):
    """A stem convolution, three stages of n units each at full, half and quarter resolution, and a classifier.

    Depth 6n + 2 with basic units, 9n + 2 with bottlenecks: the weighted layers, projections not counted. Wide
    residual networks count two of these: WRN-28 has a depth of 26 here.
    """

    num_classes: int = 10
    """Outputs; 0 gives the pooled features instead of logits."""
    depth: int = 20
    unit: str = "original"
    """Where normalisation and ReLU stand: a name of `zoo.convnets.residual_units.UNITS`."""
    shortcut: str = "A"
    """Where the shape changes: "A" zero padding, "B" 1x1 convolution, "conv3x3"; "none" is the plain twin."""
    bottleneck: bool = False
    """Units of three convolutions (1x1, 3x3, 1x1) instead of two 3x3."""
    stride_first: bool = True
    """Whether a bottleneck has its stride in the first 1x1 convolution or, as ResNeXt, in the 3x3."""
    stem_width: int = 16
    """Channels of the stem."""
    widening: int = 1
    """How many times `WIDTHS` the stages have: the k of wide residual networks."""
    cardinality: int = 1
    """Groups of a bottleneck's 3x3 convolution."""
    group_width: int = 16
    """Channels of each of these groups in the first stage; each next stage has twice as many."""
    dropout: float = 0.0
    """The share of activations dropped in training before each convolution of a unit but the first."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-3, pre_logits and logits.

        Raises:
          ValueError: a depth that is no 6n + 2 (9n + 2), groups in basic units, or images of the wrong rank or
            too small.
          UnknownNameError: there is no such unit or shortcut.
        """
        check_unit(self.unit, self.shortcut)
        blocks = self._blocks()
        check_images(images, "CifarResNet", SMALLEST_IMAGE)
        conv = self.conv_maker(use_bias=False, kernel_init=kaiming_fan_out)
        norm = self.norm_maker()

        stem = ConvNorm(ConvSpec(self.stem_width, 3), stem_order(self.unit), conv, norm, name="stem")
        named = {"stem": (x := stem(images, train))}
        for i in range(1, len(WIDTHS) + 1):
            first, rest = self._branch(i, strides=1 if i == 1 else 2), self._branch(i)
            stage = Stage(
                (first, *(blocks - 1) * (rest,)),
                conv,
                norm,
                self.unit,
                self.shortcut,
                opens_network=i == 1,
                dropout=self.dropout,
                remat=self.remat,
                name=f"stage{i}",
            )
            named[f"stage{i}"] = x = stage(x, train)
        x = activate(final_order(self.unit), x, lambda x: norm(name="final_norm")(x, not train))
        x = classify(named, x, self.num_classes, linear_uniform, **self.types)
        return named if features else x

    def _branch(self, stage: int, strides: int = 1) -> Branch:
        width = self.widening * WIDTHS[stage - 1]
        if not self.bottleneck:
            return basic_branch(width, strides)
        inner = self.cardinality * self.group_width * 2 ** (stage - 1)
        return bottleneck_branch(4 * width, strides, inner, self.cardinality, self.stride_first)

    def _blocks(self) -> int:
        if not self.bottleneck and self.cardinality != 1:
            raise ValueError(f"basic units have no groups: expected cardinality 1, got {self.cardinality}")
        layers = 9 if self.bottleneck else 6
        blocks, rest = divmod(self.depth - 2, layers)
        if rest or blocks < 1:
            kind = "bottleneck units" if self.bottleneck else "basic units (bottleneck=False)"
            near = max(1, round((self.depth - 2) / layers))
            raise ValueError(
                f"CifarResNet with {kind} expected a depth of {layers}n + 2, got {self.depth}; "
                f"nearest: {layers * near + 2}"
            )
        return blocks
