"""Networks for digits that turn: a plain one, and its twins on the groups p4 and p4m.

Cohen and Welling, 2016, Group Equivariant Convolutional Networks, section 8.1: seven layers of 3x3 windows (4x4 in the
last), batch normalisation, ReLU, dropout, and pooling after the second. Lecture row L79.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.geometric.group_convolution import GroupConv, LiftingConv, folded
from zoo.geometric.group_pooling import pool_elements, pool_places
from zoo.geometric.groups import Group, group_named
from zoo.geometric.largest import largest
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network


class GroupCNN(Network):
    """Group convolutions, the last of which gives a map a class; the largest value over places and elements counts.

    The logits do not change when an image is turned by 90 degrees, or with p4m mirrored; maps before are moved with it.
    On z2, where the one element does nothing, it is the ordinary network. Channels are those of one element: to keep
    the parameters, p4 has half as many and p4m a third.

    >>> import jax, zoo
    >>> model = zoo.create("p4cnn")
    >>> image = jax.ShapeDtypeStruct((2, 28, 28, 1), "float32")
    >>> jax.eval_shape(lambda image: model.init_with_output(jax.random.key(0), image)[0], image).shape
    (2, 10)
    """

    num_classes: int = 10
    """Outputs; 0 gives the maps before the last layer instead of logits."""
    group: str = "p4"
    """z2, p4 or p4m."""
    width: int = 10
    """Channels of each layer."""
    depth: int = 6
    """Convolutions before the last."""
    head_side: int = 4
    """Of the last window, in pixels."""
    pool_after: int = 2
    """The layer after which places are pooled, two by two."""
    pool_elements: bool = False
    """Whether each layer ends in the largest value over the elements, so that none knows how what it sees is turned."""
    dropout: float = 0.0
    """The share of each layer's outputs that training sets to zero."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stage1, stage2, ..., pre_logits and logits.

        Features are maps (batch, height, width, elements x channels), those of one element side by side.

        Raises:
          ValueError: options that do not fit, or images of the wrong rank, too small, or of a size whose turned maps
            would be pooled otherwise.
          UnknownNameError: there is no such group.
        """
        check_images(images, "GroupCNN", self._smallest())
        check_classes(self.num_classes)
        group, named, x = group_named(self.group), {}, images
        layer, norm = self.rematerialised(GroupLayer), self.norm_maker()
        for number in range(1, self.depth + 1):
            name = f"stage{number}"
            x = layer(self.width, group, norm, self.pool_elements, **self.types, name=name)(x, train)
            x = pool_places(x, 2) if number == self.pool_after else x
            named[name] = _as_images(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x) if self.dropout else x
        x = x.astype(self.wide)
        named["pre_logits"] = result = _as_images(x)
        if self.num_classes:
            kind, types = _conv_for(x), {"dtype": self.wide, "param_dtype": self.param_dtype}
            scores = kind(self.num_classes, group, self.head_side, **types, name="head")(x)
            named["logits"] = result = largest(scores, (1, 2, 3))
        return named if features else result

    def _smallest(self) -> int:
        """Pixels a side that leave the last window one place."""
        if not 1 <= self.pool_after <= self.depth:
            raise ValueError(f"expected pooling after layer 1 to {self.depth}, got {self.pool_after}")
        pooled = self.head_side + 2 * (self.depth - self.pool_after)
        return 2 * pooled + 2 * self.pool_after


class GroupLayer(nn.Module):
    """A convolution, batch normalisation and ReLU. Submodules `conv` and `norm`.

    A channel's statistics are over all elements, as over batch and space: the normalisation does not tell elements
    apart, and turned maps are normalised as they were.
    """

    width: int
    group: Group
    norm: ModuleMaker
    pool_elements: bool
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w *elements c"], train: bool) -> Float[Array, "b h2 w2 *elements width"]:
        """Maps on the group; images where the elements are pooled."""
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = _conv_for(x)(self.width, self.group, use_bias=False, **types, name="conv")(x)
        x = nn.relu(self.norm(name="norm")(x, not train))
        return pool_elements(x) if self.pool_elements else x


def _conv_for(x: Float[Array, "b h w *elements c"]) -> type[LiftingConv | GroupConv]:
    """The layer that takes images, or the one that takes maps."""
    return LiftingConv if x.ndim == 4 else GroupConv


def _as_images(x: Float[Array, "b h w *elements c"]) -> Float[Array, "b h w channels"]:
    return x if x.ndim == 4 else folded(x)
