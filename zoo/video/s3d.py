"""S3D: GoogLeNet for clips whose windows are of height and width first, and then of time.

Xie et al., 2018, Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video Classification, as in
torchvision/models/video/s3d.py. Lecture row L51.
"""

import functools
from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.googlenet import MODULES, STEM, Modules, SecondStage, scaled
from zoo.convnets.torch_layers import bias_uniform
from zoo.nn import avg_pool, global_avg_pool, linear_uniform, max_pool
from zoo.nn.checks import CLIP_AXES, check_classes, check_images
from zoo.nn.network import ModuleMaker, Network

SMALLEST_CLIP = (5, 17, 17)
"""Frames, and pixels a side, that leave the last modules one; torchvision's takes from 13 and 209 on."""

LAST_WINDOW = (2, 7, 7)
"""Of the mean behind the last modules; of smaller maps it is all of them."""


class S3D(Network):
    """A separable convolution of 7x7x7, a 1x1x1 and a separable 3x3x3, nine inception modules, and a classifier."""

    num_classes: int = 400
    """Outputs; 0 gives the pooled features instead of logits."""
    width: float = 1.0
    """Multiplies all widths."""
    dropout: float = 0.2
    """The share of the pooled features that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch time height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        The stem halves time, height and width; the stages end before the next pooling.

        Raises:
          ValueError: clips of the wrong rank or too small, or a negative number of classes.
        """
        check_images(clips, "S3D", SMALLEST_CLIP, CLIP_AXES, "clips")
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=linear_uniform)
        norm = self.norm_maker(epsilon=1e-3, momentum=0.999)
        modules = functools.partial(Modules, conv=conv, norm=norm, width=self.width, remat=self.remat, layer=layer)
        first, *second = (scaled(channels, self.width) for channels in STEM)

        named = {"stem": (x := Separable(first, 7, conv, norm, strides=2, name="stem")(clips, train))}
        x = max_pool(x, (1, 3, 3), (1, 2, 2), padding=(0, 1, 1))
        named["stage1"] = x = SecondStage(second, conv, norm, layer, name="stage1")(x, train)
        pools = (((1, 3, 3), (1, 2, 2), (0, 1, 1)), (3, 2, 1), (2, 2, 0))
        for i, (rows, pool) in enumerate(zip(MODULES, pools, strict=True), start=2):
            named[f"stage{i}"] = x = modules(rows, name=f"stage{i}")(max_pool(x, *pool), train)[-1]
        named["pre_logits"] = x = mean_of_windows(x.astype(self.wide))
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            inits = {"kernel_init": linear_uniform, "bias_init": bias_uniform(x.shape[-1])}
            head = nn.Dense(self.num_classes, dtype=self.wide, param_dtype=self.param_dtype, **inits, name="head")
            named["logits"] = x = head(x)
        return named if features else x


def mean_of_windows(x: Float[Array, "b t h w c"]) -> Float[Array, "b c"]:
    """The mean over all windows of 2 x 7 x 7 of each window's mean: what is near a border counts less.

    >>> import jax.numpy as jnp
    >>> mean_of_windows(jnp.array([1.0, 0, 0]).reshape(1, 3, 1, 1, 1))
    Array([[0.25]], dtype=float32)
    """
    return global_avg_pool(avg_pool(x, tuple(map(min, LAST_WINDOW, x.shape[1:-1])), 1))


def layer(features: int, window: int, conv: ModuleMaker, norm: ModuleMaker, name: str) -> nn.Module:
    """A convolution with what follows it, which is separable if it sees more than one place."""
    kind = Separable if window > 1 else ConvNormActivation
    return kind(features, window, conv, norm, name=name)


class Separable(nn.Module):
    """A convolution over height and width, and one over time, each with normalisation and ReLU.

    Submodules `spatial` and `temporal`.
    """

    features: int
    window: int
    conv: ModuleMaker
    norm: ModuleMaker
    strides: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], train: bool) -> Float[Array, "b t2 h2 w2 features"]:
        size, step = self.window, self.strides
        for name, window, strides in (
            ("spatial", (1, size, size), (1, step, step)),
            ("temporal", (size, 1, 1), (step, 1, 1)),
        ):
            x = ConvNormActivation(self.features, window, self.conv, self.norm, strides=strides, name=name)(x, train)
        return x
