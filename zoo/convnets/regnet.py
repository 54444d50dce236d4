"""RegNet: residual bottlenecks whose widths, stage by stage, follow from four numbers.

Radosavovic et al., 2020, Designing Network Design Spaces; Hu et al., 2018, Squeeze-and-Excitation Networks (RegNetY).
Initialised as in torchvision/models/regnet.py. Lecture row L48.
"""

import collections
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.squeeze_excite import SqueezeExcite, divisible
from zoo.convnets.torch_layers import bias_uniform
from zoo.nn import kaiming_fan_out
from zoo.nn.checks import check_images
from zoo.nn.network import ModuleMaker, Network

SMALLEST_IMAGE = 32
"""Pixels a side that leave the fourth stage one."""


class RegNet(Network):
    """A 3x3 convolution, stages of bottlenecks of growing width each at half the resolution, and a classifier.

    RegNetX-400MF as it stands; the fields make the others, with the paper's names.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    depth: int = 22
    """Blocks of all stages."""
    w_0: int = 24
    """Width of the first block, a multiple of 8."""
    w_a: float = 24.48
    """By how much the width grows from block to block, before it is rounded to steps."""
    w_m: float = 2.54
    """By what factor the width grows from step to step; a stage is the blocks of one step."""
    group_width: int = 16
    """Channels of a group of the 3x3 convolutions."""
    squeeze: float = 0.0
    """Hidden channels of squeeze-and-excitation over the block's input channels, 1/4 in RegNetY; 0 leaves it out."""
    stem: int = 32
    """Channels of the first convolution."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        The stem's feature is at half resolution, each stage's at half of what is before it.

        Raises:
          ValueError: numbers that make no widths, or images of the wrong rank or too small.
        """
        stages = stages_of(self.depth, self.w_0, self.w_a, self.w_m, self.group_width)
        check_images(images, "RegNet", SMALLEST_IMAGE)
        conv = self.conv_maker(use_bias=False, kernel_init=kaiming_fan_out)
        norm = self.norm_maker()

        stem = ConvNormActivation(self.stem, 3, conv, norm, strides=2, name="stem")
        named = {"stem": (x := stem(images, train))}
        for i, stage in enumerate(stages, start=1):
            blocks = RegNetStage(stage, self.squeeze, conv, norm, self.remat, name=f"stage{i}")
            named[f"stage{i}"] = x = blocks(x, train)
        x = classify(named, x, self.num_classes, nn.initializers.normal(0.01), **self.types)
        return named if features else x


class StageShape(NamedTuple):
    """What the blocks of a stage have in common."""

    width: int
    blocks: int
    group_width: int


def stages_of(depth: int, w_0: int, w_a: float, w_m: float, group_width: int) -> tuple[StageShape, ...]:
    """The stages that the paper's numbers make: widths grow linearly, rounded to powers of w_m and multiples of 8.

    Radosavovic et al., 2020, equations 2 to 4; then to multiples of the group's width, as in torchvision.

    Raises:
      ValueError: no blocks, a w_0 that is no positive multiple of 8, a negative w_a, a w_m of 1 or less, or groups
        without channels.

    >>> [(stage.width, stage.blocks) for stage in stages_of(22, 24, 24.48, 2.54, 16)]
    [(32, 1), (64, 2), (160, 7), (400, 12)]
    """
    if depth < 1 or w_0 < 1 or w_0 % 8 or w_a < 0 or w_m <= 1 or group_width < 1:
        raise ValueError(
            "RegNet expected depth >= 1, w_0 a positive multiple of 8, w_a >= 0, w_m > 1 and group_width >= 1, "
            f"got depth {depth}, w_0 {w_0}, w_a {w_a}, w_m {w_m}, group_width {group_width}"
        )
    steps = np.round(np.log((w_0 + w_a * np.arange(depth)) / w_0) / np.log(w_m))
    widths = 8 * np.round(w_0 * w_m**steps / 8).astype(int)
    counts = collections.Counter(widths.tolist())  # keeps their order, which is ascending
    groups = {width: min(group_width, width) for width in counts}
    return tuple(StageShape(divisible(width, groups[width]), counts[width], groups[width]) for width in counts)


class RegNetStage(nn.Module):
    """Blocks of one width, of which the first halves the resolution. Submodules `block1`, `block2`, ..."""

    shape: StageShape
    squeeze: float
    conv: ModuleMaker
    norm: ModuleMaker
    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        block = nn.remat(RegNetBlock, static_argnums=(2,)) if self.remat else RegNetBlock
        width, blocks, group_width = self.shape
        for i in range(1, blocks + 1):
            strides, hidden = 2 if i == 1 else 1, round(self.squeeze * x.shape[-1])
            x = block(width, strides, width // group_width, hidden, self.conv, self.norm, name=f"block{i}")(x, train)
        return x


class RegNetBlock(nn.Module):
    """x + F(x): a 1x1 convolution, a 3x3 in groups, squeeze-and-excitation if there is one, and a 1x1; then ReLU.

    Submodules `conv1`, `norm1`, `conv2`, `norm2`, `se`, `conv3`, `norm3`, and `shortcut`, a 1x1 convolution where the
    shape changes.
    """

    width: int
    strides: int
    groups: int
    squeezed: int
    """Hidden channels of squeeze-and-excitation; 0 leaves it out."""
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        def conv_of_gates(features: int, window: tuple[int, int], name: str, **options: Any) -> nn.Module:
            """The only convolutions with biases, which torchvision leaves as torch draws them."""
            inputs = self.width if name == "reduce" else self.squeezed
            return self.conv(features, window, bias_init=bias_uniform(inputs), name=name, **options)

        window = {"strides": self.strides, "padding": 1, "feature_group_count": self.groups}
        y = self.conv(self.width, (1, 1), padding=0, name="conv1")(x)
        y = self.conv(self.width, (3, 3), **window, name="conv2")(nn.relu(self.norm(name="norm1")(y, not train)))
        y = nn.relu(self.norm(name="norm2")(y, not train))
        if self.squeezed:
            y = SqueezeExcite(self.squeezed, conv_of_gates, name="se")(y)
        y = self.norm(name="norm3")(self.conv(self.width, (1, 1), padding=0, name="conv3")(y), not train)
        if self.strides != 1 or x.shape[-1] != self.width:
            linear = {"activation": None, "strides": self.strides}
            x = ConvNormActivation(self.width, 1, self.conv, self.norm, **linear, name="shortcut")(x, train)
        return nn.relu(x + y)
