"""DeepLabV3: one map seen through windows of several widths, by convolutions with holes, and as a whole.

Chen, Papandreou, Schroff and Adam, 2017, Rethinking Atrous Convolution for Semantic Image Segmentation, section 3.3; as
torchvision/models/segmentation/deeplabv3.py. Lecture rows L61, L65.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.dense.segmenter import OnOneMap, scores_of
from zoo.nn import linear_uniform
from zoo.nn.network import Network

RATES = (12, 24, 36)
"""For maps of an eighth of the image; the paper has half of them for a sixteenth."""


class DeepLabV3(OnOneMap):
    """Atrous spatial pyramid pooling on a backbone's last map. Submodules `backbone`, `aspp`, `head`, `aux1`."""

    rates: tuple[int, ...] = RATES
    """How far apart the taps of the pyramid's 3x3 convolutions are, in places of the map."""
    width: int = 256
    """Channels of each branch of the pyramid, and of what follows."""
    dropout: float = 0.5
    """The share of the pyramid's output that is dropped in training; needs the random stream "dropout"."""

    def scores(
        self, x: Float[Array, "batch rows columns channels"], train: bool
    ) -> Float[Array, "batch rows columns classes"]:
        """See `OnOneMap`."""
        aspp = self.rematerialised(ASPP)
        x = aspp(self.rates, self.width, self.dropout, **self.shared, name="aspp")(x, train)
        return self.rematerialised(DeepLabHead)(self.num_classes, **self.shared, name="head")(x, train)


class ASPP(Network):
    """Atrous spatial pyramid pooling: a 1x1 convolution, 3x3 ones with holes, and the mean of the map, side by side.

    Submodules `conv1x1`, `rate12` and so on, `pooled`, and `project`, a 1x1 convolution of all of them.
    """

    rates: tuple[int, ...] = RATES
    width: int = 256
    dropout: float = 0.5

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch rows columns channels"], train: bool
    ) -> Float[Array, "batch rows columns width"]:
        conv, norm = self.conv_maker(use_bias=False, kernel_init=linear_uniform), self.norm_maker()
        layer = functools.partial(ConvNormActivation, conv=conv, norm=norm)
        branches = [layer(self.width, 1, name="conv1x1")(x, train)]
        branches += [layer(self.width, 3, dilation=rate, name=f"rate{rate}")(x, train) for rate in self.rates]
        mean = x.astype(self.wide).mean(axis=(1, 2), keepdims=True).astype(x.dtype)
        pooled = layer(self.width, 1, name="pooled")(mean, train)
        branches.append(jnp.broadcast_to(pooled, branches[0].shape))
        x = layer(self.width, 1, name="project")(jnp.concatenate(branches, axis=-1), train)
        return nn.Dropout(self.dropout, deterministic=not train)(x)


class DeepLabHead(Network):
    """A 3x3 convolution, and a 1x1 one that scores. Submodules `hidden` and `logits`."""

    num_classes: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch rows columns channels"], train: bool
    ) -> Float[Array, "batch rows columns classes"]:
        conv, norm = self.conv_maker(use_bias=False, kernel_init=linear_uniform), self.norm_maker()
        x = ConvNormActivation(x.shape[-1], 3, conv, norm, name="hidden")(x, train)
        return scores_of(self, x, self.num_classes, "logits")
