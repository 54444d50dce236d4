"""SqueezeNet: fire modules, which squeeze by 1x1 convolutions before they look at 3x3 windows.

Iandola et al., 2016, SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters and <0.5MB Model Size, Table 1;
version 1.1 of github.com/forresti/SqueezeNet; initialised as in torchvision/models/squeezenet.py. Lecture row L48.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.torch_layers import ceil_max_pool
from zoo.names import unknown
from zoo.nn import global_avg_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network

kaiming_uniform = jax.nn.initializers.variance_scaling(2.0, "fan_in", "uniform")


class Fire(NamedTuple):
    """A row of the paper's table."""

    squeezed: int
    """Channels of the 1x1 convolution that comes first."""
    expanded: int
    """Channels of each of the two that follow, a 1x1 and a 3x3."""


class Version(NamedTuple):
    """One variant of the network."""

    stem: int
    """Channels of the first convolution."""
    window: int
    """Pixels a side that it sees."""
    stages: tuple[tuple[Fire, ...], ...]
    """Fire modules, behind a pooling each run."""
    smallest_image: int
    """Pixels a side that leave the last stage one."""


A, B, C, D = Fire(16, 64), Fire(32, 128), Fire(48, 192), Fire(64, 256)

VERSIONS = {
    "1.0": Version(96, 7, ((A, A, B), (B, C, C, D), (D,)), 21),
    "1.1": Version(64, 3, ((A, A), (B, B), (C, C, D, D)), 17),
    "tiny": Version(8, 3, ((Fire(4, 8),), (Fire(4, 8), Fire(8, 16))), 9),
}


class SqueezeNet(Network):
    """A convolution with stride 2, fire modules between poolings, and a 1x1 convolution whose mean are the logits.

    Poolings see the last pixel of images of any size. Weights that were trained with poolings that drop it fit as
    well: at 224 pixels a side, and wherever windows end at the border, the two are the same.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the map that enters the last layer instead of logits."""
    version: str = "1.1"
    """A key of `VERSIONS`; 1.1 is as accurate as 1.0 with 2.4 times fewer operations."""
    dropout: float = 0.5
    """The share of the last layer's inputs that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-3, pre_logits and logits.

        The last layer is a convolution, so that pre_logits is a map: the last stage's.

        Raises:
          ValueError: images of the wrong rank or too small.
          UnknownNameError: there is no such version.
        """
        if self.version not in VERSIONS:
            raise unknown("version of SqueezeNet", self.version, VERSIONS)
        version = VERSIONS[self.version]
        check_images(images, f"SqueezeNet {self.version}", version.smallest_image)
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=kaiming_uniform)
        stem = ConvNormActivation(version.stem, version.window, conv, strides=2, padding=0, name="stem")
        named = {"stem": (x := stem(images, train))}
        for i, fires in enumerate(version.stages, start=1):
            named[f"stage{i}"] = x = Fires(fires, conv, self.remat, name=f"stage{i}")(ceil_max_pool(x, 3, 2))
        # The last layer wants more digits than bfloat16 has.
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            small = nn.initializers.normal(0.01)
            head = conv(self.num_classes, (1, 1), padding=0, dtype=self.wide, kernel_init=small, name="head")
            named["logits"] = x = global_avg_pool(nn.relu(head(x)))
        return named if features else x


class Fires(nn.Module):
    """The fire modules of a stage. Submodules `fire1`, `fire2`, ..."""

    fires: Sequence[Fire]
    conv: ModuleMaker
    remat: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        module = nn.remat(FireModule) if self.remat else FireModule
        for i, fire in enumerate(self.fires, start=1):
            x = module(fire, self.conv, name=f"fire{i}")(x)
        return x


class FireModule(nn.Module):
    """Section 3.2: fewer channels by a 1x1 convolution, then a 1x1 and a 3x3 beside each other, each with its ReLU.

    Submodules `squeeze`, `expand1x1` and `expand3x3`; the output has twice as many channels as each of the latter.
    """

    fire: Fire
    conv: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        width = self.fire.expanded
        x = nn.relu(self.conv(self.fire.squeezed, (1, 1), padding=0, name="squeeze")(x))
        of_pixels = self.conv(width, (1, 1), padding=0, name="expand1x1")(x)
        of_windows = self.conv(width, (3, 3), padding=1, name="expand3x3")(x)
        return nn.relu(jnp.concatenate([of_pixels, of_windows], axis=-1))
