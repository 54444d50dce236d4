"""Inverted residual blocks, of which MobileNet V2 and V3, MnasNet and EfficientNet are made.

Sandler et al., 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks; Howard et al., 2019, Searching for
MobileNetV3; Hu et al., 2018, Squeeze-and-Excitation Networks; Huang et al., 2016, Deep Networks with Stochastic
Depth; Tan and Le, 2021, EfficientNetV2 (fused blocks). Lecture row L48.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import Activation, ConvNormActivation
from zoo.convnets.squeeze_excite import SqueezeExcite
from zoo.convnets.stochastic_depth import drop_path
from zoo.nn.network import ModuleMaker


class Block(NamedTuple):
    """One inverted residual block."""

    features: int
    expanded: int
    """Channels that the window filters, one by one; equal to the block's input where nothing is expanded."""
    size: int = 3
    strides: int = 1
    dilation: int = 1
    squeezed: int = 0
    """Hidden channels of squeeze-and-excitation; 0 leaves it out."""
    activation: Activation = nn.relu
    squeeze_activation: Activation = nn.relu
    gate: Activation = nn.sigmoid
    """What makes gates of squeeze-and-excitation's outputs."""
    fused: bool = False
    """Expand and filter in one ordinary convolution (`FusedInvertedResidual`)."""
    shortcut: bool = True
    """Add the input, where the shape stays."""
    drop_path: float = 0.0
    """Probability in training that an image skips the branch (stochastic depth); random stream "dropout"."""


class Row(NamedTuple):
    """A row of the papers' tables: blocks of one width, of which the first has the strides."""

    expansion: float
    features: int
    blocks: int
    strides: int
    size: int = 3


class Plan(NamedTuple):
    """What is convolved in a network: a 3x3 convolution with stride 2, the blocks of each stage, and a 1x1."""

    stem: int
    """Channels of the first convolution."""
    stages: tuple[tuple[Block, ...], ...]
    final: int
    """Channels of the last."""


def stages_of(rows: Iterable[Row], channels: int, **options) -> tuple[tuple[Block, ...], ...]:
    """The blocks of each row, behind a stem of so many channels; further fields of `Block` hold for all.

    >>> [[block.expanded for block in stage] for stage in stages_of([Row(1, 16, 1, 1), Row(6, 24, 2, 2)], 32)]
    [[32], [96, 144]]
    """
    stages = []
    for row in rows:
        stage = []
        for i in range(row.blocks):
            expanded, strides = round(channels * row.expansion), 1 if i else row.strides
            stage.append(Block(row.features, expanded, row.size, strides, **options))
            channels = row.features
        stages.append(tuple(stage))
    return tuple(stages)


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel, squeeze and excite, project by 1x1 without activation; add the input.

    Nothing is added where the shape changes. Submodules `expand` unless nothing is expanded, `depthwise`,
    `se` if squeezed, and `project`, each a convolution `conv` with its `norm`.
    """

    block: Block
    conv: ModuleMaker
    """Makes a convolution: `zoo.nn.Conv` with types and initialiser set."""
    norm: ModuleMaker
    """Makes a normalisation that is called with (x, use_running_average)."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        block = self.block
        layer = functools.partial(ConvNormActivation, conv=self.conv, norm=self.norm, activation=block.activation)
        y = x
        if "expand" in parts(block, x.shape[-1]):
            y = layer(block.expanded, 1, name="expand")(y, train)
        window = {"strides": block.strides, "dilation": block.dilation, "groups": block.expanded}
        y = layer(block.expanded, block.size, **window, name="depthwise")(y, train)
        if block.squeezed:
            gates = block.squeeze_activation, block.gate
            y = SqueezeExcite(block.squeezed, self.conv, *gates, name="se")(y)
        y = layer(block.features, 1, activation=None, name="project")(y, train)
        return _added(block, x, y, train)


class FusedInvertedResidual(nn.Module):
    """The same with one ordinary convolution in place of expansion and filter, or of all where nothing is expanded.

    Submodules `fused` and, unless nothing is expanded, `project`.
    """

    block: Block
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        block = self.block
        layer = functools.partial(ConvNormActivation, conv=self.conv, norm=self.norm, activation=block.activation)
        projects = "project" in parts(block, x.shape[-1])
        width = block.expanded if projects else block.features
        y = layer(width, block.size, strides=block.strides, dilation=block.dilation, name="fused")(x, train)
        if projects:
            y = layer(block.features, 1, activation=None, name="project")(y, train)
        return _added(block, x, y, train)


def parts(block: Block, channels: int) -> tuple[str, ...]:
    """The submodules of a block behind so many channels, in order.

    >>> parts(Block(16, expanded=32, squeezed=8), channels=32)
    ('depthwise', 'se', 'project')
    """
    expands = block.expanded != channels
    if block.fused:
        return ("fused", "project") if expands else ("fused",)
    return (*(("expand",) if expands else ()), "depthwise", *(("se",) if block.squeezed else ()), "project")


def _added(block: Block, x: Array, branch: Array, train: bool) -> Array:
    if not block.shortcut or branch.shape != x.shape:
        return branch
    return x + drop_path(branch, block.drop_path, train)


class InvertedResiduals(nn.Module):
    """The blocks of a stage, each of whose outputs it gives. Submodules `block1`, `block2`, ..."""

    blocks: Sequence[Block]
    conv: ModuleMaker
    norm: ModuleMaker
    remat: bool = False
    """Whether a block's activations are computed again in the backward pass instead of being kept."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> list[Float[Array, "b h2 w2 d"]]:
        outputs = []
        for i, block in enumerate(self.blocks, start=1):
            kind = FusedInvertedResidual if block.fused else InvertedResidual
            kind = nn.remat(kind, static_argnums=(2,)) if self.remat else kind
            outputs.append(x := kind(block, self.conv, self.norm, name=f"block{i}")(x, train))
        return outputs


def features_of(
    images: Float[Array, "b h w c"],
    train: bool,
    plan: Plan,
    activation: Activation,
    conv: ModuleMaker,
    norm: ModuleMaker,
    remat: bool,
    each_block: bool = False,
) -> dict[str, Float[Array, "b h2 w2 d"]]:
    """The features stem, stage1, stage2, ... and final, by name, in order of computation; with `each_block` also
    stage1/block1 and so on, of all but the last block of a stage.

    For use in a module's `__call__`, whose submodules of those names it makes; `activation` follows the first and
    the last convolution.
    """
    layer = functools.partial(ConvNormActivation, conv=conv, norm=norm, activation=activation)
    named = {"stem": (x := layer(plan.stem, 3, strides=2, name="stem")(images, train))}
    for i, blocks in enumerate(plan.stages, start=1):
        *inner, x = InvertedResiduals(blocks, conv, norm, remat, name=f"stage{i}")(x, train)
        if each_block:
            named |= {f"stage{i}/block{j}": output for j, output in enumerate(inner, start=1)}
        named[f"stage{i}"] = x
    named["final"] = layer(plan.final, 1, name="final")(x, train)
    return named
