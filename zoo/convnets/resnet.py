"""Residual networks for ImageNet: plain, pre-activation, wide, aggregated (ResNeXt) and squeeze-and-excitation ones.

He, Zhang, Ren and Sun, 2016, Deep Residual Learning for Image Recognition, and Identity Mappings in Deep Residual
Networks; Zagoruyko and Komodakis, 2016, Wide Residual Networks; Xie et al., 2017, Aggregated Residual
Transformations for Deep Neural Networks; Hu et al., 2018, Squeeze-and-Excitation Networks. Lecture rows L39-L46.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.residual_units import (
    Branch,
    ConvNorm,
    ConvSpec,
    Stage,
    activate,
    basic_branch,
    bottleneck_branch,
    check_unit,
    dilated,
    final_order,
    stem_order,
    without_strides,
)
from zoo.convnets.torch_layers import bias_uniform
from zoo.names import unknown
from zoo.nn import kaiming_fan_out, linear_uniform, max_pool
from zoo.nn.checks import check_images
from zoo.nn.network import Network

SMALLEST_IMAGE = 32
"""Pixels a side that leave the fourth stage one; a dilated network, which is for dense prediction, takes one pixel."""


class ResNet(Network):
    """A 7x7 convolution, max pooling, stages of residual units each at half the resolution, and a classifier.

    ResNet-50 as it stands; the fields make the others. Initialised as in torchvision/models/resnet.py.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    stage_sizes: tuple[int, ...] = (3, 4, 6, 3)
    """Units of each stage."""
    bottleneck: bool = True
    """Units of three convolutions (1x1, 3x3, 1x1) instead of two 3x3."""
    width: int = 64
    """Channels of the stem and the first stage; each next stage has twice as many, a bottleneck's output four times."""
    cardinality: int = 1
    """Groups of a bottleneck's 3x3 convolution."""
    group_width: int = 64
    """Channels of each of these groups in the first stage; each next stage has twice as many."""
    unit: str = "original"
    """Where normalisation and ReLU stand: a name of `zoo.convnets.residual_units.UNITS`."""
    shortcut: str = "B"
    """Where the shape changes: "A" zero padding, "B" 1x1 convolution, "conv3x3"; "none" is the plain twin."""
    squeeze: int = 0
    """Squeeze-and-excitation's reduction ratio, 16 in the paper; 0 for none."""
    stride_first: bool = False
    """Whether a bottleneck has its stride in the first 1x1 convolution, as the paper (v1), or in the 3x3 (v1.5)."""
    replace_stride_with_dilation: tuple[bool, ...] = (False, False, False)
    """For each stage but the first, whether it keeps the resolution and dilates its convolutions instead."""
    zero_init_residual: bool = False
    """Whether every unit begins as the identity: the last scale of its branch is zero."""

    def setup(self) -> None:
        """The stem and the stages, by name; what follows them is made where it is called."""
        check_unit(self.unit, self.shortcut)
        conv, norm = self.conv_maker(use_bias=False, kernel_init=kaiming_fan_out), self.norm_maker()
        self.stem = ConvNorm(ConvSpec(self.width, 7, 2), stem_order(self.unit), conv, norm)
        for i, branches in enumerate(self._branches(), start=1):
            stage = Stage(
                branches,
                conv,
                norm,
                self.unit,
                self.shortcut,
                opens_network=i == 1,
                squeeze=self.squeeze,
                zero_init=self.zero_init_residual,
                remat=self.remat,
            )
            setattr(self, f"stage{i}", stage)

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        The stem's feature is at half resolution, stage1's at a quarter, the last stage's at 1/32.

        Raises:
          ValueError: images of the wrong rank or too small, groups in basic units, or anything but one flag of
            dilation for each stage but the first.
          UnknownNameError: there is no such unit or shortcut.
        """
        named = self.maps_before(None, images, train)
        *_, x = named.values()
        x = activate(final_order(self.unit), x, lambda x: self.norm_maker()(name="final_norm")(x, not train))
        inits = {"kernel_init": linear_uniform, "bias_init": bias_uniform(x.shape[-1])}
        x = classify(named, x, self.num_classes, **inits, **self.types)
        return named if features else x

    def maps_before(
        self, stage: str | None, images: Float[Array, "batch height width channels"], train: bool = False
    ) -> dict[str, Float[Array, "batch _ _ _"]]:
        """The maps of the stem and of the stages before one, or of all; nothing of the others is computed.

        Args:
          stage: the first that is left out, such as "stage4"; None for no stage.
          images: as for a call.
          train: as for a call.

        Raises:
          ValueError: as for a call.
          UnknownNameError: there is no such stage.
        """
        check_images(images, "ResNet", 1 if any(self.replace_stride_with_dilation) else SMALLEST_IMAGE)
        stages = self.stage_names[: None if stage is None else self._number(stage)]
        named = {"stem": self.stem(images, train)}
        x = max_pool(named["stem"], 3, 2, padding=1)
        for name in stages:
            named[name] = x = getattr(self, name)(x, train)
        return named

    def through(
        self, stage: str, x: Float[Array, "n rows columns channels"], train: bool = False
    ) -> Float[Array, "n _ _ _"]:
        """What one stage makes of maps, such as regions of the map before it: the head of Faster R-CNN C4.

        Args:
          stage: such as "stage4".
          x: maps with the channels that the stage before has.
          train: as for a call.

        Raises:
          UnknownNameError: there is no such stage.
        """
        return getattr(self, self.stage_names[self._number(stage)])(x, train)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Of the stages, in order."""
        return tuple(f"stage{i}" for i in range(1, len(self.stage_sizes) + 1))

    def _number(self, stage: str) -> int:
        if stage not in self.stage_names:
            raise unknown("stage", stage, self.stage_names)
        return self.stage_names.index(stage)

    def _branches(self) -> list[tuple[Branch, ...]]:
        """The branches of each stage's units."""
        flags = self.replace_stride_with_dilation
        expected = len(self.stage_sizes) - 1
        fit = isinstance(flags, tuple | list) and all(flag in (True, False) for flag in flags)
        if not fit or len(flags) != expected:
            raise ValueError(
                f"replace_stride_with_dilation: expected {expected} flags, one a stage but the first, got {flags!r}"
            )
        if not self.bottleneck and self.cardinality != 1:
            raise ValueError(f"basic units have no groups: expected cardinality 1, got {self.cardinality}")
        stages, dilation = [], 1
        for i, (units, dense) in enumerate(zip(self.stage_sizes, (False, *flags), strict=True)):
            first = dilated(self._branch(2**i, strides=2 if i else 1), dilation)
            if dense:
                first, dilation = without_strides(first), 2 * dilation
            rest = dilated(self._branch(2**i), dilation)
            stages.append((first, *(units - 1) * (rest,)))
        return stages

    def _branch(self, widening: int, strides: int = 1) -> Branch:
        if not self.bottleneck:
            return basic_branch(widening * self.width, strides)
        return bottleneck_branch(
            4 * widening * self.width,
            strides,
            widening * self.group_width * self.cardinality,
            self.cardinality,
            self.stride_first,
        )
