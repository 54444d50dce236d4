"""ConvNeXt: a residual network modernised step by step until it equals transformers.

Liu et al., 2022, A ConvNet for the 2020s; Touvron et al., 2021, Going Deeper with Image Transformers (layer scale).
Initialised as in torchvision/models/convnext.py. Lecture row L48.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.patches import PatchEmbedding
from zoo.convnets.stochastic_depth import drop_path, linear_rates
from zoo.nn import global_avg_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.dense import Dense
from zoo.nn.network import ModuleMaker, Network

SMALLEST_IMAGE = 32
"""Pixels a side that leave the fourth stage one."""

EPSILON = 1e-6
"""Of all layer normalisations."""

normal = nn.initializers.normal(0.02)
"""Of every kernel: torch's truncated normal, whose bounds of ±2 cut off nothing."""


class ConvNeXt(Network):
    """Patches of 4x4, four stages of blocks each at half the resolution of the last, and a classifier.

    ConvNeXt-T as it stands; the fields make the others.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled and normalised features instead of logits."""
    depths: tuple[int, ...] = (3, 3, 9, 3)
    """Blocks of each stage."""
    widths: tuple[int, ...] = (96, 192, 384, 768)
    """Channels of each stage."""
    layer_scale: float = 1e-6
    """What a block's branch is multiplied by at first; learned, for each channel."""
    drop_path: float = 0.1
    """The share of images that skip the last block in training, evenly less for those before; stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        The features of stem and stage1 are at a quarter of the resolution, the last stage's at 1/32.

        Raises:
          ValueError: images of the wrong rank or too small, or depths and widths of different numbers of stages.
        """
        if len(self.depths) != len(self.widths):
            raise ValueError(f"expected a depth and a width a stage, got depths {self.depths}, widths {self.widths}")
        check_images(images, "ConvNeXt", SMALLEST_IMAGE)
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=normal)
        dense = functools.partial(Dense, kernel_init=normal, **self.types)
        norm = functools.partial(nn.LayerNorm, epsilon=EPSILON, **self.types)
        scale = functools.partial(LayerScale, self.layer_scale, **self.types)

        named = {"stem": (x := PatchEmbedding(self.widths[0], 4, conv, norm, name="stem")(images))}
        rates = linear_rates(self.drop_path, self.depths)
        for i, (width, drop_rates) in enumerate(zip(self.widths, rates, strict=True), start=1):
            stage = ConvNeXtStage(
                width, drop_rates, conv, dense, norm, scale, downsample=i > 1, remat=self.remat, name=f"stage{i}"
            )
            named[f"stage{i}"] = x = stage(x, train)
        # The mean, its norm and the classifier are cheap, and want more digits than bfloat16 has.
        x = global_avg_pool(x.astype(self.wide))
        named["pre_logits"] = x = norm(dtype=self.wide, name="final_norm")(x)
        if self.num_classes:
            named["logits"] = x = dense(self.num_classes, dtype=self.wide, name="head")(x)
        return named if features else x


class ConvNeXtStage(nn.Module):
    """Blocks at one resolution, which a normalisation and a 2x2 convolution may halve first.

    Submodules `downsample`, `block1`, `block2`, ...
    """

    width: int
    drop_rates: tuple[float, ...]
    """One rate of stochastic depth a block."""
    conv: ModuleMaker
    dense: ModuleMaker
    norm: ModuleMaker
    scale: ModuleMaker
    downsample: bool
    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        if self.downsample:
            x = Downsample(self.width, self.conv, self.norm, name="downsample")(x)
        block = nn.remat(ConvNeXtBlock, static_argnums=(2,)) if self.remat else ConvNeXtBlock
        for i, rate in enumerate(self.drop_rates, start=1):
            x = block(self.conv, self.dense, self.norm, self.scale, rate, name=f"block{i}")(x, train)
        return x


class Downsample(nn.Module):
    """A normalisation over channels, then a 2x2 convolution with stride 2. Submodules `norm` and `conv`."""

    features: int
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 features"]:
        return self.conv(self.features, (2, 2), strides=2, padding=0, name="conv")(self.norm(name="norm")(x))


class ConvNeXtBlock(nn.Module):
    """x + F(x): a depthwise 7x7 convolution, a norm, two dense layers over channels with GELU between, and a scale.

    Submodules `conv`, `norm`, `dense1`, `dense2` and `layer_scale`.
    """

    conv: ModuleMaker
    dense: ModuleMaker
    norm: ModuleMaker
    scale: ModuleMaker
    drop_path: float = 0.0
    """The share of images that skip F in training."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h w c"]:
        channels = x.shape[-1]
        branch = self.conv(channels, (7, 7), padding=3, feature_group_count=channels, name="conv")(x)
        branch = self.dense(4 * channels, name="dense1")(self.norm(name="norm")(branch))
        branch = self.dense(channels, name="dense2")(nn.gelu(branch, approximate=False))
        return x + drop_path(self.scale(name="layer_scale")(branch), self.drop_path, train)


class LayerScale(nn.Module):
    """Multiplies each channel by a number that is learned. Parameter `scale`, (1, 1, channels)."""

    initial: float
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        initial = nn.initializers.constant(self.initial)
        scale = self.param("scale", initial, (1, 1, x.shape[-1]), self.param_dtype)
        return x * scale.astype(self.dtype)
