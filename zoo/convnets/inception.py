"""Inception v3: five kinds of modules whose windows are made of smaller and of one-sided ones.

Szegedy et al., 2016, Rethinking the Inception Architecture for Computer Vision, sections 3 to 6, as in
torchvision/models/inception.py, whose names for layers are kept. Lecture row L48.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.googlenet import scaled
from zoo.convnets.torch_layers import bias_uniform
from zoo.nn import avg_pool, global_avg_pool, max_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network

SMALLEST_IMAGE = 75
"""Pixels a side that leave the last modules one."""

SMALLEST_WITH_AUX = 299
"""Pixels a side that the auxiliary head's 5x5 convolution needs."""

Layer = Callable[..., Array]
"""Called with (x, name, features, window=1, strides=1, padding=None): a convolution, batch norm and ReLU."""

Branches = Callable[[Array, Layer], list[Array]]
"""The branches of a module, which lie one behind the other in its output's channels."""

WIDE, TALL = (1, 7), (7, 1)


def stem(x: Array, layer: Layer) -> list[Array]:
    """Convolutions 1a to 2b."""
    x = layer(layer(x, "conv1a", 32, 3, strides=2, padding=0), "conv2a", 32, 3, padding=0)
    return [layer(x, "conv2b", 64, 3)]


def second(x: Array, layer: Layer) -> list[Array]:
    """Convolutions 3b and 4a."""
    return [layer(layer(x, "conv3b", 80), "conv4a", 192, 3, padding=0)]


def grid35(x: Array, layer: Layer, pooled: int) -> list[Array]:
    """On maps of 35 x 35: windows of 5x5, and of 5x5 as two of 3x3 (Figure 5)."""
    double = layer(layer(x, "branch3x3dbl_1", 64), "branch3x3dbl_2", 96, 3)
    return [
        layer(x, "branch1x1", 64),
        layer(layer(x, "branch5x5_1", 48), "branch5x5_2", 64, 5),
        layer(double, "branch3x3dbl_3", 96, 3),
        layer(avg_pool(x, 3, 1, padding=1), "branch_pool", pooled),
    ]


def to_grid17(x: Array, layer: Layer) -> list[Array]:
    """Half the resolution without a bottleneck (Figure 10)."""
    double = layer(layer(x, "branch3x3dbl_1", 64), "branch3x3dbl_2", 96, 3)
    return [
        layer(x, "branch3x3", 384, 3, strides=2, padding=0),
        layer(double, "branch3x3dbl_3", 96, 3, strides=2, padding=0),
        max_pool(x, 3, 2),
    ]


def grid17(x: Array, layer: Layer, inner: int) -> list[Array]:
    """On maps of 17 x 17: windows of 7x7 as 1x7 and 7x1 (Figure 6)."""
    once = layer(layer(x, "branch7x7_1", inner), "branch7x7_2", inner, WIDE)
    twice = layer(x, "branch7x7dbl_1", inner)
    for i, window in enumerate((TALL, WIDE, TALL), start=2):
        twice = layer(twice, f"branch7x7dbl_{i}", inner, window)
    return [
        layer(x, "branch1x1", 192),
        layer(once, "branch7x7_3", 192, TALL),
        layer(twice, "branch7x7dbl_5", 192, WIDE),
        layer(avg_pool(x, 3, 1, padding=1), "branch_pool", 192),
    ]


def to_grid8(x: Array, layer: Layer) -> list[Array]:
    """Half the resolution once more."""
    once = layer(x, "branch3x3_1", 192)
    seven = layer(layer(x, "branch7x7x3_1", 192), "branch7x7x3_2", 192, WIDE)
    seven = layer(seven, "branch7x7x3_3", 192, TALL)
    return [
        layer(once, "branch3x3_2", 320, 3, strides=2, padding=0),
        layer(seven, "branch7x7x3_4", 192, 3, strides=2, padding=0),
        max_pool(x, 3, 2),
    ]


def grid8(x: Array, layer: Layer) -> list[Array]:
    """On maps of 8 x 8: windows of 1x3 and 3x1 side by side (Figure 7)."""
    once = layer(x, "branch3x3_1", 384)
    double = layer(layer(x, "branch3x3dbl_1", 448), "branch3x3dbl_2", 384, 3)
    return [
        layer(x, "branch1x1", 320),
        layer(once, "branch3x3_2a", 384, (1, 3)),
        layer(once, "branch3x3_2b", 384, (3, 1)),
        layer(double, "branch3x3dbl_3a", 384, (1, 3)),
        layer(double, "branch3x3dbl_3b", 384, (3, 1)),
        layer(avg_pool(x, 3, 1, padding=1), "branch_pool", 192),
    ]


MODULES = {
    "stage2": {
        letter: functools.partial(grid35, pooled=pooled) for letter, pooled in zip("bcd", (32, 64, 64), strict=True)
    },
    "stage3": {
        "a": to_grid17,
        **{
            letter: functools.partial(grid17, inner=inner)
            for letter, inner in zip("bcde", (128, 160, 160, 192), strict=True)
        },
    },
    "stage4": {"a": to_grid8, "b": grid8, "c": grid8},
}
"""The modules 5b-5d, 6a-6e and 7a-7c: functions of a map and a maker of layers, that give the branches."""


class InceptionV3(Network):
    """Five convolutions, eleven inception modules at three resolutions, and a classifier on the mean.

    Published weights of torchvision expect images scaled to -1 to 1: that is preprocessing, and not done here (its
    `transform_input` does it inside the network). `zoo.nn.BatchNorm` with epsilon 0.001. Every convolution begins
    with deviation 0.1: torchvision means 0.01 for the auxiliary head's 5x5, but its code never looks there.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits, and leaves out all heads."""
    aux_heads: bool = False
    """One more classifier, behind 6e; it answers in training alone, beside the logits."""
    width: float = 1.0
    """Multiplies all widths."""
    dropout: float = 0.5
    """The share of the pooled features that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        With the auxiliary head and `train` a dict of logits and aux1.

        Raises:
          ValueError: images of the wrong rank, or smaller than 75 pixels a side; with the auxiliary head and in
            training or initialisation, smaller than 299.
        """
        with_aux = self.aux_heads and self.num_classes > 0 and (train or self.is_initializing())
        name = "Inception v3 with its auxiliary head" if with_aux else "Inception v3"
        check_images(images, name, SMALLEST_WITH_AUX if with_aux else SMALLEST_IMAGE)
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=nn.initializers.normal(0.1))
        norm = self.norm_maker(epsilon=1e-3)
        module = self.rematerialised(InceptionModule)
        module = functools.partial(module, conv=conv, norm=norm, width=self.width)

        named = {"stem": (x := module(stem, name="stem")(images, train))}
        named["stage1"] = x = module(second, name="stage1")(max_pool(x, 3, 2), train)
        x = max_pool(x, 3, 2)
        for stage, modules in MODULES.items():
            named[stage] = x = Stage(modules, module, name=stage)(x, train)
            if stage == "stage3" and with_aux:
                answer = AuxiliaryHead(self.num_classes, self.width, conv, norm, self.param_dtype, name="aux1")(
                    x, train
                )
                named |= {"aux1": answer} if train else {}
        # The mean and the classifier are cheap, and want more digits than bfloat16 has.
        named["pre_logits"] = x = global_avg_pool(x.astype(self.wide))
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            named["logits"] = x = _dense(self.num_classes, x.shape[-1], self.wide, self.param_dtype, 0.1)(x)
        if "aux1" in named and not features:
            return {name: named[name] for name in ("logits", "aux1")}
        return named if features else x


def _dense(outputs: int, inputs: int, dtype: Any, param_dtype: Any, deviation: float) -> nn.Dense:
    start = {"kernel_init": nn.initializers.normal(deviation), "bias_init": bias_uniform(inputs)}
    return nn.Dense(outputs, dtype=dtype, param_dtype=param_dtype, **start, name="head")


class Stage(nn.Module):
    """Inception modules one after the other. Submodules `mixed_a`, `mixed_b`, ..."""

    modules: Mapping[str, Branches]
    make: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        for letter, branches in self.modules.items():
            x = self.make(branches, name=f"mixed_{letter}")(x, train)
        return x


class InceptionModule(nn.Module):
    """Branches side by side. Submodules by the names that they give their layers."""

    branches: Branches
    conv: ModuleMaker
    norm: ModuleMaker
    width: float

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        def layer(x: Array, name: str, features: int, window: int | tuple[int, int] = 1, **options: Any) -> Array:
            width = scaled(features, self.width)
            return ConvNormActivation(width, window, self.conv, self.norm, **options, name=name)(x, train)

        return jnp.concatenate(self.branches(x, layer), axis=-1)


class AuxiliaryHead(nn.Module):
    """Pooling, a 1x1 and a 5x5 convolution, the mean, and a dense layer. Submodules `conv1x1`, `conv5x5` and `head`."""

    num_classes: int
    width: float
    conv: ModuleMaker
    norm: ModuleMaker
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b num_classes"]:
        layer = functools.partial(ConvNormActivation, conv=self.conv, norm=self.norm)
        x = layer(scaled(128, self.width), 1, name="conv1x1")(avg_pool(x, 5, 3), train)
        x = layer(scaled(768, self.width), 5, padding=0, name="conv5x5")(x, train)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        x = global_avg_pool(x.astype(wide))
        return _dense(self.num_classes, x.shape[-1], wide, self.param_dtype, 0.001)(x)
