"""Residual networks on a group, for images of 32 x 32 pixels.

Cohen and Welling, 2016, Group Equivariant Convolutional Networks, section 8.2; He et al., 2016, Deep Residual Learning
for Image Recognition, section 4.2. Lecture row L79.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.geometric.group_convolution import GroupConv, LiftingConv, folded
from zoo.geometric.group_pooling import mean_places
from zoo.geometric.groups import Group, group_named
from zoo.nn import linear_uniform
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network


class GroupResNet(Network):
    """A lifting convolution, three stages of n units of two group convolutions each, and a classifier of the mean.

    The mean is over all places and elements. Depth 6n + 2, projections not counted. Logits do not change when an image
    is turned by 90 degrees, or with p4m mirrored. Between stages places are averaged two by two, where the paper has
    strides of two: on maps of even size those would leave a row out at one border alone, and turned images would be
    seen elsewhere.

    >>> import jax, zoo
    >>> image = jax.ShapeDtypeStruct((2, 32, 32, 3), "float32")
    >>> model = zoo.create("p4m_resnet44")
    >>> jax.eval_shape(lambda image: model.init_with_output(jax.random.key(0), image)[0], image).shape
    (2, 10)
    """

    num_classes: int = 10
    """Outputs; 0 gives the means instead of logits."""
    group: str = "p4m"
    """z2, p4 or p4m."""
    depth: int = 44
    widths: tuple[int, int, int] = (11, 23, 45)
    """Channels of each stage, for each element."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-3, pre_logits and logits.

        Maps are (batch, height, width, elements x channels), those of one element side by side.

        Raises:
          ValueError: a depth that is no 6n + 2, or images of the wrong rank, or whose sides are no multiples of four.
          UnknownNameError: there is no such group.
        """
        check_images(images, "GroupResNet", 4)
        check_classes(self.num_classes)
        units, rest = divmod(self.depth - 2, 6)
        if rest or units < 1:
            raise ValueError(f"GroupResNet expected a depth of 6n + 2, got {self.depth}")
        group, norm = group_named(self.group), self.norm_maker()
        unit = self.rematerialised(GroupUnit)
        x = LiftingConv(self.widths[0], group, padding=1, use_bias=False, **self.types, name="stem")(images)
        x = nn.relu(norm(name="stem_norm")(x, not train))
        named = {"stem": folded(x)}
        for stage, width in enumerate(self.widths, 1):
            x = x if stage == 1 else mean_places(x, 2)
            for number in range(1, units + 1):
                x = unit(width, group, norm, **self.types, name=f"stage{stage}_unit{number}")(x, train)
            named[f"stage{stage}"] = folded(x)
        named["pre_logits"] = x = x.astype(self.wide).mean(axis=(1, 2, 3))
        if self.num_classes:
            types = {"dtype": self.wide, "param_dtype": self.param_dtype}
            named["logits"] = x = nn.Dense(self.num_classes, kernel_init=linear_uniform, **types, name="head")(x)
        return named if features else x


class GroupUnit(nn.Module):
    """Two group convolutions with normalisation beside the identity, or a 1x1 one where channels change."""

    width: int
    group: Group
    norm: ModuleMaker
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w elements c"], train: bool) -> Float[Array, "b h w elements width"]:
        shared = {"use_bias": False, "dtype": self.dtype, "param_dtype": self.param_dtype}
        branch = GroupConv(self.width, self.group, padding=1, **shared, name="conv1")(x)
        branch = nn.relu(self.norm(name="norm1")(branch, not train))
        branch = GroupConv(self.width, self.group, padding=1, **shared, name="conv2")(branch)
        branch = self.norm(name="norm2")(branch, not train)
        if x.shape[-1] != self.width:
            x = GroupConv(self.width, self.group, side=1, **shared, name="shortcut")(x)
        return nn.relu(x + branch)
