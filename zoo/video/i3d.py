"""I3D: GoogLeNet inflated, whose windows see time as they see height and width.

Carreira and Zisserman, 2017, Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset, Figure 3.
Lecture rows L49, L51.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.googlenet import MODULES, STEM, Modules, SecondStage, scaled, small_dense, small_normal
from zoo.convnets.torch_layers import ceil_max_pool
from zoo.names import unknown
from zoo.nn import avg_pool, global_avg_pool
from zoo.nn.checks import CLIP_AXES, check_classes, check_images
from zoo.nn.network import ModuleMaker, Network

SMALLEST_CLIP = (1, 15, 15)
"""Frames, and pixels a side, that leave the last modules one."""

BORDERS = ("zeros", "repeat")
"""What a convolution sees before the first frame and after the last."""


class I3D(Network):
    """A convolution of 7x7x7, a 1x1x1 and a 3x3x3, nine inception modules between poolings, and a classifier.

    Its variables have the names of `zoo.convnets.GoogLeNet`, and kernels one axis more: `zoo.video.inflate` makes them
    of that network's. The two first poolings leave time as it is. Flow goes in as frames of two channels.
    """

    num_classes: int = 400
    """Outputs; 0 gives the pooled features instead of logits."""
    width: float = 1.0
    """Multiplies all widths."""
    dropout: float = 0.5
    """The share of the pooled features that is dropped in training; needs the random stream "dropout"."""
    borders: str = "zeros"
    """A name of `BORDERS`: zeros, as the authors have it, or the first and the last frame again, with which what an
    inflated network makes of a clip that does not move is what the network of images makes of one frame."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch time height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        The stem halves time, height and width; the stages end before the next pooling.

        Raises:
          ValueError: clips of the wrong rank or too small, or a negative number of classes.
          UnknownNameError: there is no such treatment of borders.
        """
        check_images(clips, "I3D", SMALLEST_CLIP, CLIP_AXES, "clips")
        check_classes(self.num_classes)
        if self.borders not in BORDERS:
            raise unknown("treatment of borders", self.borders, BORDERS)
        conv = self.conv_maker(kernel_init=small_normal)
        conv = functools.partial(repeating, conv) if self.borders == "repeat" else conv
        norm = self.norm_maker(epsilon=1e-3)
        modules = functools.partial(Modules, conv=conv, norm=norm, width=self.width, remat=self.remat)
        first, *second = (scaled(channels, self.width) for channels in STEM)

        named = {"stem": (x := ConvNormActivation(first, 7, conv, norm, strides=2, name="stem")(clips, train))}
        x = ceil_max_pool(x, (1, 3, 3), (1, 2, 2))
        named["stage1"] = x = SecondStage(second, conv, norm, name="stage1")(x, train)
        pools = (((1, 3, 3), (1, 2, 2)), (3, 2), (2, 2))
        for i, (rows, pool) in enumerate(zip(MODULES, pools, strict=True), start=2):
            named[f"stage{i}"] = x = modules(rows, name=f"stage{i}")(ceil_max_pool(x, *pool), train)[-1]
        named["pre_logits"] = x = mean_of_pairs(x.astype(self.wide))
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            named["logits"] = x = small_dense(self.num_classes, x.shape[-1], self.wide, self.param_dtype, "head")(x)
        return named if features else x


def mean_of_pairs(x: Float[Array, "b t h w c"]) -> Float[Array, "b c"]:
    """The mean over height, width and all pairs of frames that follow each other, as the paper's pooling has it.

    >>> mean_of_pairs(jnp.array([1.0, 0, 0]).reshape(1, 3, 1, 1, 1))
    Array([[0.25]], dtype=float32)
    """
    return global_avg_pool(avg_pool(x, (min(2, x.shape[1]), *x.shape[2:-1]), 1))


def repeating(conv: ModuleMaker, features: int, window: tuple[int, ...], padding: Any, **options: Any) -> Any:
    """A convolution that sees the first frame before the first, and the last after the last, in place of zeros.

    Args:
      conv: makes the convolution.
      features: as for `zoo.nn.Conv`.
      window: of time, height and width.
      padding: how much before and after, one integer an axis.
      **options: as for `zoo.nn.Conv`.
    """
    time, *rest = padding
    inner = conv(features, window, padding=(0, *rest), **options)

    def call(clips: Float[Array, "b t h w c"]) -> Float[Array, "b t2 h2 w2 d"]:
        return inner(jnp.pad(clips, ((0, 0), (time, time), (0, 0), (0, 0), (0, 0)), mode="edge"))

    return call
