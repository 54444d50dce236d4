"""Residual networks for clips: of 3D convolutions, of 3D and then 2D ones, and of 2D ones each followed by one in time.

Tran et al., 2018, A Closer Look at Spatiotemporal Convolutions for Action Recognition: R3D, MCx, R2D and R(2+1)D, as in
torchvision/models/video/resnet.py. Lecture row L51.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.names import unknown
from zoo.nn import kaiming_fan_out
from zoo.nn.checks import CLIP_AXES, check_images
from zoo.nn.network import ModuleMaker, Network

KINDS = ("3d", "2d", "2+1d")
"""What a convolution of clips may be.

"3d": one window of time, height and width. "2d": of height and width alone. "2+1d": such a one, a normalisation and
ReLU, and one over time."""


class VideoResNet(Network):
    """A convolution, stages of basic residual units, each but the first at half the resolution, and a classifier.

    R3D-18 as it stands; the fields make the others. The stem halves height and width; where a stage's convolutions
    see time, it halves time too.
    """

    num_classes: int = 400
    """Outputs; 0 gives the pooled features instead of logits."""
    stage_sizes: tuple[int, ...] = (2, 2, 2, 2)
    """Units of each stage."""
    convolutions: tuple[str, ...] = ("3d", "3d", "3d", "3d")
    """Of each stage, a name of `KINDS`."""
    stem_width: int = 0
    """Channels between a stem's convolution of frames and the one over time; 0 for one convolution of both."""
    width: int = 64
    """Channels of the stem and the first stage; each next stage has twice as many."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch time height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        Raises:
          ValueError: clips of the wrong rank or of no size, or not one kind of convolution for each stage.
          UnknownNameError: there is no such kind.
        """
        check_images(clips, "VideoResNet", 1, CLIP_AXES, "clips")
        if len(self.convolutions) != len(self.stage_sizes):
            raise ValueError(
                f"expected a kind of convolution for each of {len(self.stage_sizes)} stages, got {self.convolutions}"
            )
        conv, norm = self.conv_maker(use_bias=False, kernel_init=kaiming_fan_out), self.norm_maker()
        named = {"stem": (x := Stem(self.width, self.stem_width, conv, norm, name="stem")(clips, train))}
        for i, (units, kind) in enumerate(zip(self.stage_sizes, self.convolutions, strict=True)):
            stage = ClipStage(
                kind, units, 2**i * self.width, 2 if i else 1, conv, norm, self.remat, name=f"stage{i + 1}"
            )
            named[f"stage{i + 1}"] = x = stage(x, train)
        x = classify(named, x, self.num_classes, nn.initializers.normal(0.01), **self.types)
        return named if features else x


def convolve(
    conv: ModuleMaker,
    norm: ModuleMaker,
    kind: str,
    name: str,
    x: Float[Array, "b t h w c"],
    train: bool,
    features: int,
    middle: int,
    strides: int = 1,
) -> Float[Array, "b t2 h2 w2 features"]:
    """Applies a convolution of windows of 3, as submodules of the calling module.

    It is `name`; of the kind "2+1d" there are `name_spatial`, `name_norm` and `name_temporal`.

    Args:
      conv: makes a convolution.
      norm: makes a normalisation.
      kind: a name of `KINDS`.
      name: of the submodule.
      x: what it sees.
      train: whether normalisation is by the batch.
      features: channels of the result.
      middle: channels between the two convolutions of "2+1d".
      strides: of each axis that the window sees.

    Raises:
      UnknownNameError: there is no such kind.
    """
    if kind not in KINDS:
        raise unknown("convolution of clips", kind, KINDS)
    if kind == "3d":
        return conv(features, (3, 3, 3), strides=strides, padding=1, name=name)(x)
    spatial = {"strides": (1, strides, strides), "padding": (0, 1, 1)}
    if kind == "2d":
        return conv(features, (1, 3, 3), **spatial, name=name)(x)
    x = conv(middle, (1, 3, 3), **spatial, name=f"{name}_spatial")(x)
    x = nn.relu(norm(name=f"{name}_norm")(x, not train))
    return conv(features, (3, 1, 1), strides=(strides, 1, 1), padding=(1, 0, 0), name=f"{name}_temporal")(x)


def middle_width(inputs: int, outputs: int) -> int:
    """The channels between the two convolutions of "2+1d", with which it has as many parameters as one of 3x3x3.

    Section 3.5 of the paper. Both convolutions of a unit have those of its first.

    >>> middle_width(64, 64)
    144
    """
    return 27 * inputs * outputs // (9 * inputs + 3 * outputs)


class Stem(nn.Module):
    """A window of 3x7x7, or of 7x7 and then 3 in time, and normalisation and ReLU after each.

    Submodules `conv`, or `conv_spatial`, `conv_norm` and `conv_temporal`; and `norm`.
    """

    features: int
    middle: int
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], train: bool) -> Float[Array, "b t h2 w2 features"]:
        if self.middle:
            x = self.conv(self.middle, (1, 7, 7), strides=(1, 2, 2), padding=(0, 3, 3), name="conv_spatial")(x)
            x = nn.relu(self.norm(name="conv_norm")(x, not train))
            x = self.conv(self.features, (3, 1, 1), padding=(1, 0, 0), name="conv_temporal")(x)
        else:
            x = self.conv(self.features, (3, 7, 7), strides=(1, 2, 2), padding=(1, 3, 3), name="conv")(x)
        return nn.relu(self.norm(name="norm")(x, not train))


class ClipStage(nn.Module):
    """Residual units at one resolution. Submodules `block1`, `block2`, ..."""

    kind: str
    units: int
    features: int
    strides: int
    """Of the first unit."""
    conv: ModuleMaker
    norm: ModuleMaker
    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], train: bool) -> Float[Array, "b t2 h2 w2 features"]:
        unit = nn.remat(ClipUnit, static_argnums=(2,)) if self.remat else ClipUnit
        for i in range(1, self.units + 1):
            strides = self.strides if i == 1 else 1
            x = unit(self.kind, self.features, strides, self.conv, self.norm, name=f"block{i}")(x, train)
        return x


class ClipUnit(nn.Module):
    """x + F(x), then ReLU, with F of two convolutions. Submodules `conv1`, `norm1`, `conv2`, `norm2` and `shortcut`."""

    kind: str
    features: int
    strides: int
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], train: bool) -> Float[Array, "b t2 h2 w2 features"]:
        sizes = self.features, middle_width(x.shape[-1], self.features)
        branch = convolve(self.conv, self.norm, self.kind, "conv1", x, train, *sizes, self.strides)
        branch = nn.relu(self.norm(name="norm1")(branch, not train))
        branch = convolve(self.conv, self.norm, self.kind, "conv2", branch, train, *sizes)
        branch = self.norm(name="norm2")(branch, not train)
        if self.strides != 1 or x.shape[-1] != self.features:
            x = Projection(self.kind, self.features, self.strides, self.conv, self.norm, name="shortcut")(x, train)
        return nn.relu(x + branch)


class Projection(nn.Module):
    """A 1x1x1 convolution and a normalisation where the shape changes. Submodules `conv` and `norm`."""

    kind: str
    features: int
    strides: int
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], train: bool) -> Float[Array, "b t2 h2 w2 features"]:
        strides = (1 if self.kind == "2d" else self.strides, self.strides, self.strides)
        x = self.conv(self.features, (1, 1, 1), strides=strides, padding=0, name="conv")(x)
        return self.norm(name="norm")(x, not train)
