"""GoogLeNet: inception modules, which look at windows of several sizes side by side, and auxiliary classifiers.

Szegedy et al., 2015, Going Deeper with Convolutions, Table 1; with the batch normalisation of Ioffe and Szegedy,
2015, Batch Normalization: Accelerating Deep Network Training, as in torchvision/models/googlenet.py. Lecture row L48.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.torch_layers import adaptive_avg_pool, bias_uniform, ceil_max_pool, flatten_channels_first
from zoo.nn import global_avg_pool, max_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network


class Inception(NamedTuple):
    """A row of the paper's Table 1: channels of an inception module's six convolutions."""

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    project: int
    """Channels of the 1x1 convolution behind the pooling."""


MODULES = (
    (Inception(64, 96, 128, 16, 32, 32), Inception(128, 128, 192, 32, 96, 64)),
    (
        Inception(192, 96, 208, 16, 48, 64),
        Inception(160, 112, 224, 24, 64, 64),
        Inception(128, 128, 256, 24, 64, 64),
        Inception(112, 144, 288, 32, 64, 64),
        Inception(256, 160, 320, 32, 128, 128),
    ),
    (Inception(256, 160, 320, 32, 128, 128), Inception(384, 192, 384, 48, 128, 128)),
)
"""The modules 3a-3b, 4a-4e and 5a-5b."""

STEM = (64, 64, 192)
"""Channels of the three convolutions before them."""

SMALLEST_IMAGE = 15
"""Pixels a side that leave the last modules one."""

small_normal = nn.initializers.normal(0.01)


class GoogLeNet(Network):
    """Three convolutions, nine inception modules between poolings, and a classifier on the mean.

    Published weights of torchvision expect images scaled to -1 to 1: that is preprocessing, and not done here (its
    `transform_input` does it inside the network). `zoo.nn.BatchNorm` with epsilon 0.001.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits, and leaves out all heads."""
    aux_heads: bool = False
    """Two more classifiers, behind 4a and 4d; they answer in training alone, beside the logits."""
    width: float = 1.0
    """Multiplies all widths."""
    dropout: float = 0.2
    """The share of the pooled features that is dropped in training; needs the random stream "dropout"."""
    aux_dropout: float = 0.7
    """The same before the last layers of the auxiliary heads."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        With auxiliary heads and `train` a dict of logits, aux1 and aux2 (the heads behind 4a and 4d); the paper adds
        0.3 times their losses to that of the logits.

        Raises:
          ValueError: images of the wrong rank or too small.
        """
        check_images(images, "GoogLeNet", SMALLEST_IMAGE)
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=small_normal)
        norm = self.norm_maker(epsilon=1e-3)
        modules = functools.partial(Modules, conv=conv, norm=norm, width=self.width, remat=self.remat)
        first, *second = (scaled(channels, self.width) for channels in STEM)
        auxiliary = functools.partial(AuxiliaryHead, self.num_classes, self.aux_dropout, self.width)
        with_aux = self.aux_heads and self.num_classes > 0 and (train or self.is_initializing())

        stem = ConvNormActivation(first, 7, conv, norm, strides=2, name="stem")
        named = {"stem": (x := stem(images, train))}
        named["stage1"] = x = SecondStage(second, conv, norm, name="stage1")(ceil_max_pool(x, 3, 2), train)
        for i, (rows, window) in enumerate(zip(MODULES, (3, 3, 2), strict=True), start=2):
            outputs = modules(rows, name=f"stage{i}")(ceil_max_pool(x, window, 2), train)
            if i == 3 and with_aux:
                for name, at in (("aux1", outputs[0]), ("aux2", outputs[3])):
                    answer = auxiliary(conv, norm, **self.types, name=name)(at, train)
                    named |= {name: answer} if train else {}
            named[f"stage{i}"] = x = outputs[-1]
        # The mean and the classifier are cheap, and want more digits than bfloat16 has.
        named["pre_logits"] = x = global_avg_pool(x.astype(self.wide))
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            named["logits"] = x = small_dense(self.num_classes, x.shape[-1], self.wide, self.param_dtype, "head")(x)
        if "aux1" in named and not features:
            return {name: named[name] for name in ("logits", "aux1", "aux2")}
        return named if features else x


def scaled(channels: int, width: float) -> int:
    """A width of the network made so many times wider."""
    return max(1, round(width * channels))


def small_dense(outputs: int, inputs: int, dtype: Any, param_dtype: Any, name: str) -> nn.Dense:
    """A dense layer that begins with deviation 0.01, and with biases uniform in ±1/sqrt(inputs) as in torch."""
    start = {"kernel_init": small_normal, "bias_init": bias_uniform(inputs)}
    return nn.Dense(outputs, dtype=dtype, param_dtype=param_dtype, **start, name=name)


class SecondStage(nn.Module):
    """A 1x1 and a 3x3 convolution, of all axes. Submodules `reduce3x3` and `conv3x3`."""

    widths: tuple[int, int]
    conv: ModuleMaker
    norm: ModuleMaker
    layer: ModuleMaker = ConvNormActivation
    """Makes a convolution with what follows it, from features, window, `conv` and `norm`."""

    @nn.compact
    def __call__(self, x: Float[Array, "b *places c"], train: bool) -> Float[Array, "b *places d"]:
        reduce, width = self.widths
        x = self.layer(reduce, 1, self.conv, self.norm, name="reduce3x3")(x, train)
        return self.layer(width, 3, self.conv, self.norm, name="conv3x3")(x, train)


class Modules(nn.Module):
    """Inception modules one after the other. Submodules `inception_a`, `inception_b`, ... as the paper counts them."""

    rows: tuple[Inception, ...]
    conv: ModuleMaker
    norm: ModuleMaker
    width: float
    remat: bool
    layer: ModuleMaker = ConvNormActivation
    """As for `SecondStage`."""

    @nn.compact
    def __call__(self, x: Float[Array, "b *places c"], train: bool) -> list[Float[Array, "b *places _"]]:
        """What each of them gives."""
        module = nn.remat(InceptionModule, static_argnums=(2,)) if self.remat else InceptionModule
        outputs = []
        for letter, row in zip("abcde", self.rows, strict=False):
            row = Inception(*(scaled(channels, self.width) for channels in row))
            x = module(row, self.conv, self.norm, self.layer, name=f"inception_{letter}")(x, train)
            outputs.append(x)
        return outputs


class InceptionModule(nn.Module):
    """A 1x1, a 3x3, a "5x5" convolution and a pooling side by side. Submodules by the names of the table's columns.

    The window of `conv5x5` is 3x3, a mistake of torchvision's that its weights have to live with, and so we.
    """

    row: Inception
    conv: ModuleMaker
    norm: ModuleMaker
    layer: ModuleMaker = ConvNormActivation
    """As for `SecondStage`."""

    @nn.compact
    def __call__(self, x: Float[Array, "b *places c"], train: bool) -> Float[Array, "b *places d"]:
        def layer(name: str, window: int, x: Array) -> Array:
            return self.layer(getattr(self.row, name), window, self.conv, self.norm, name=name)(x, train)

        branches = [
            layer("conv1x1", 1, x),
            layer("conv3x3", 3, layer("reduce3x3", 1, x)),
            layer("conv5x5", 3, layer("reduce5x5", 1, x)),
            layer("project", 1, max_pool(x, 3, 1, padding=1)),
        ]
        return jnp.concatenate(branches, axis=-1)


class AuxiliaryHead(nn.Module):
    """The mean over 4x4 cells, a 1x1 convolution and two dense layers. Submodules `conv1x1`, `dense` and `head`."""

    num_classes: int
    dropout: float
    width: float
    conv: ModuleMaker
    norm: ModuleMaker
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b num_classes"]:
        channels, hidden = scaled(128, self.width), scaled(1024, self.width)
        x = ConvNormActivation(channels, 1, self.conv, self.norm, name="conv1x1")(adaptive_avg_pool(x, 4), train)
        x = flatten_channels_first(x)
        x = nn.relu(small_dense(hidden, x.shape[-1], self.dtype, self.param_dtype, "dense")(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        wide = jnp.promote_types(self.dtype, jnp.float32)
        return small_dense(self.num_classes, x.shape[-1], wide, self.param_dtype, "head")(x)
