"""What torchvision's segmentation networks share: heads on maps of a backbone, enlarged to the image.

Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation; the auxiliary head of Zhao et
al., 2017, Pyramid Scene Parsing Network, section 3.3; as torchvision/models/segmentation/_utils.py. Lecture rows L61,
L65.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.convnets.torch_layers import bias_uniform
from zoo.nn import Conv, linear_uniform
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of
from zoo.nn.network import Network
from zoo.nn.resize import resize


class Segmenter(Network):
    """Scores of each pixel from maps of a backbone. A subclass says which maps it `reads`, and what is `scored`.

    Images may have any size, from one pixel on, if the backbone takes it.
    """

    backbone: nn.Module
    """A network that answers `features=True`; made with `num_classes=0` it has no head of its own."""
    num_classes: int = 21
    """Classes, the background among them."""

    @property
    def shared(self) -> dict[str, Any]:
        """What its parts declare as it does."""
        return {**self.types, "axis_name": self.axis_name}

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of the backbone's maps that are read."""
        raise NotImplementedError

    def scored(
        self, maps: Mapping[str, Float[Array, "batch _ _ _"]], train: bool
    ) -> dict[str, Float[Array, "batch _ _ classes"]]:
        """The coarse scores "logits", and with an auxiliary head and in training also "aux1"."""
        raise NotImplementedError

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch height width classes"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits of each pixel, float32; with `features` also the maps that are read, by the backbone's names.

        With an auxiliary head and `train` a dict of logits and aux1, whose loss torchvision adds half of.

        Raises:
          ValueError: images of the wrong rank or too small for the backbone, a backbone without maps, or no class.
          UnknownNameError: the backbone has no map of a name that is read.
        """
        check_images(images, type(self).__name__)
        if not isinstance(self.num_classes, int | np.integer) or self.num_classes < 1:
            raise ValueError(f"num_classes: expected a positive integer, got {self.num_classes!r}")
        maps = maps_of(self.backbone, images, train, tuple(dict.fromkeys(self.reads)))
        scored = self.scored(maps, train)
        answers = {name: resize(scores, images.shape[1:3]) for name, scores in scored.items()}
        if features:
            return maps | answers
        return answers if len(answers) > 1 else answers["logits"]


class FCNHead(Network):
    """A 3x3 convolution to a quarter of the channels, and a 1x1 convolution that scores.

    Submodules `hidden` and `logits`; as torchvision/models/segmentation/fcn.py.
    """

    num_classes: int
    dropout: float = 0.1
    """The share of the hidden activations that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch rows columns channels"], train: bool
    ) -> Float[Array, "batch rows columns classes"]:
        conv, norm = self.conv_maker(use_bias=False, kernel_init=linear_uniform), self.norm_maker()
        x = ConvNormActivation(x.shape[-1] // 4, 3, conv, norm, name="hidden")(x, train)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return scores_of(self, x, self.num_classes, "logits")


def scores_of(
    network: Network, x: Float[Array, "batch rows columns channels"], num_classes: int, name: str
) -> Float[Array, "batch rows columns classes"]:
    """A 1x1 convolution, float32 at least, as submodule of the network that calls it; it begins as torch's do.

    Args:
      network: the module in whose compact call this is.
      x: its last map.
      num_classes: how many scores a place.
      name: of the submodule.
    """
    inits = {"kernel_init": linear_uniform, "bias_init": bias_uniform(x.shape[-1])}
    wide = {"dtype": network.wide, "param_dtype": network.param_dtype}
    return Conv(num_classes, (1, 1), **inits, **wide, name=name)(x.astype(network.wide))


class OnOneMap(Segmenter):
    """A head on one map, and in training an auxiliary FCN head on an earlier one. A subclass makes the `scores`."""

    map: str = "stage4"
    """The backbone's map that is scored."""
    aux_map: str = "stage3"
    """The map that the auxiliary head scores."""
    aux_heads: bool = True
    """Whether there is an auxiliary head, `aux1`; it answers in training alone, beside the logits."""
    aux_dropout: float = 0.1
    """The share of the auxiliary head's hidden activations that is dropped in training."""

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Segmenter`."""
        return (self.map, self.aux_map) if self.aux_heads else (self.map,)

    def scores(
        self, x: Float[Array, "batch rows columns channels"], train: bool
    ) -> Float[Array, "batch rows columns classes"]:
        """The scores of the map's places."""
        raise NotImplementedError

    def scored(
        self, maps: Mapping[str, Float[Array, "batch _ _ _"]], train: bool
    ) -> dict[str, Float[Array, "batch _ _ classes"]]:
        """See `Segmenter`."""
        scored = {"logits": self.scores(maps[self.map], train)}
        if self.aux_heads and (train or self.is_initializing()):
            head = self.rematerialised(FCNHead)(self.num_classes, self.aux_dropout, **self.shared, name="aux1")
            scores = head(maps[self.aux_map], train)
            scored |= {"aux1": scores} if train else {}
        return scored
