"""ShuffleNet V2: half of the channels pass each unit as they are, and a shuffle mixes the halves.

Ma, Zhang, Zheng and Sun, 2018, ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, Table 5
and Figure 3 (c), (d); begun as in torchvision/models/shufflenetv2.py. Lecture row L48.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.torch_layers import bias_uniform
from zoo.names import unknown
from zoo.nn import linear_uniform, max_pool
from zoo.nn.checks import check_images
from zoo.nn.network import ModuleMaker, Network


class Size(NamedTuple):
    """A column of the paper's Table 5."""

    stages: tuple[int, int, int]
    """Channels of stages 2, 3 and 4."""
    final: int = 1024
    """Channels of the last 1x1 convolution."""
    stem: int = 24
    blocks: tuple[int, int, int] = (4, 8, 4)
    """Units in each stage."""


SIZES = {
    "x0.5": Size((48, 96, 192)),
    "x1.0": Size((116, 232, 464)),
    "x1.5": Size((176, 352, 704)),
    "x2.0": Size((244, 488, 976), final=2048),
    "tiny": Size((8, 16, 32), final=32, stem=4, blocks=(2, 2, 1)),
}


class ShuffleNetV2(Network):
    """A convolution and pooling, each with stride 2; three stages of units; a 1x1 convolution, and a classifier."""

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    size: str = "x1.0"
    """A key of `SIZES`."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-3, final, pre_logits and logits.

        Stages are counted from one here; the paper's are 2 to 4.

        Raises:
          ValueError: images of the wrong rank.
          UnknownNameError: there is no such size.
        """
        if self.size not in SIZES:
            raise unknown("size of ShuffleNetV2", self.size, SIZES)
        size = SIZES[self.size]
        check_images(images, "ShuffleNetV2")
        conv = self.conv_maker(kernel_init=linear_uniform)
        norm = self.norm_maker()

        stem = ConvNormActivation(size.stem, 3, conv, norm, strides=2, name="stem")
        named = {"stem": (x := stem(images, train))}
        x = max_pool(x, 3, 2, padding=1)
        for i, (width, blocks) in enumerate(zip(size.stages, size.blocks, strict=True), start=1):
            named[f"stage{i}"] = x = Stage(width, blocks, conv, norm, self.remat, name=f"stage{i}")(x, train)
        named["final"] = x = ConvNormActivation(size.final, 1, conv, norm, name="final")(x, train)
        x = classify(named, x, self.num_classes, linear_uniform, bias_uniform(size.final), **self.types)
        return named if features else x


class Stage(nn.Module):
    """Units of one width, the first with stride 2. Submodules `block1`, `block2`, ..."""

    width: int
    blocks: int
    conv: ModuleMaker
    norm: ModuleMaker
    remat: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        unit = nn.remat(ShuffleUnit, static_argnums=(2,)) if self.remat else ShuffleUnit
        for i in range(1, self.blocks + 1):
            x = unit(self.width, 2 if i == 1 else 1, self.conv, self.norm, name=f"block{i}")(x, train)
        return x


class ShuffleUnit(nn.Module):
    """Two branches side by side, shuffled: figure 3 (c) at stride 1, where each takes half of the channels, or (d).

    Submodules `branch2`, and at stride 2 `branch1`: at stride 1 the first branch does nothing.
    """

    width: int
    strides: int
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        branch = functools.partial(Branch, self.width // 2, self.strides, conv=self.conv, norm=self.norm)
        if self.strides == 1:
            first, second = jnp.split(x, 2, axis=-1)
        else:
            first, second = branch(expands=False, name="branch1")(x, train), x
        second = branch(expands=True, name="branch2")(second, train)
        return channel_shuffle(jnp.concatenate([first, second], axis=-1), 2)


class Branch(nn.Module):
    """A filter of each channel between two 1x1 convolutions, the first of them only where it `expands`.

    Submodules `pointwise1`, `depthwise` and `pointwise2`, all normalised; the 1x1 convolutions are activated too.
    """

    width: int
    strides: int
    expands: bool
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        layer = functools.partial(ConvNormActivation, conv=self.conv, norm=self.norm)
        if self.expands:
            x = layer(self.width, 1, name="pointwise1")(x, train)
        channels = x.shape[-1]
        x = layer(channels, 3, activation=None, strides=self.strides, groups=channels, name="depthwise")(x, train)
        return layer(self.width, 1, name="pointwise2")(x, train)


def channel_shuffle(x: Float[Array, "*batch c"], groups: int) -> Float[Array, "*batch c"]:
    """Deals the channels: first the first of each group, then the second of each, and so on.

    >>> channel_shuffle(jnp.arange(6), 2)
    Array([0, 3, 1, 4, 2, 5], dtype=int32)
    """
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups).swapaxes(-1, -2).reshape(x.shape)
