"""Lite R-ASPP: a gate from the whole map and two small convolutions, for telephones.

Howard et al., 2019, Searching for MobileNetV3, section 6.4 and Figure 10; as torchvision/models/segmentation/lraspp.py,
whose gate is of the mean over the whole map. Lecture rows L61, L65.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.dense.segmenter import Segmenter, scores_of
from zoo.nn import linear_uniform
from zoo.nn.network import Network
from zoo.nn.resize import resize


class LRASPP(Segmenter):
    """Scores of a fine map and of a coarse one, whose channels are gated by its mean. Submodules `backbone`, `head`."""

    low: str = "stage3/block1"
    """The backbone's map of an eighth of the image."""
    high: str = "final"
    """Its last map."""
    width: int = 128
    """Channels that the last map is reduced to."""

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Segmenter`."""
        return self.low, self.high

    def scored(
        self, maps: Mapping[str, Float[Array, "batch _ _ _"]], train: bool
    ) -> dict[str, Float[Array, "batch _ _ classes"]]:
        """See `Segmenter`."""
        head = self.rematerialised(LRASPPHead, static_argnums=(3,))
        head = head(self.num_classes, self.width, **self.shared, name="head")
        return {"logits": head(maps[self.low], maps[self.high], train)}


class LRASPPHead(Network):
    """Submodules `high`, `gate`, `low_logits` and `high_logits`, all of them 1x1 convolutions."""

    num_classes: int
    width: int = 128

    @nn.compact
    def __call__(
        self,
        low: Float[Array, "batch rows columns channels"],
        high: Float[Array, "batch _ _ more_channels"],
        train: bool,
    ) -> Float[Array, "batch rows columns classes"]:
        conv, norm = self.conv_maker(use_bias=False, kernel_init=linear_uniform), self.norm_maker()
        x = ConvNormActivation(self.width, 1, conv, norm, name="high")(high, train)
        mean = high.astype(self.wide).mean(axis=(1, 2), keepdims=True).astype(high.dtype)
        x = x * nn.sigmoid(conv(self.width, (1, 1), name="gate")(mean))
        # torchvision enlarges before it scores; the scores are fewer, and the same but for rounding.
        coarse = scores_of(self, x, self.num_classes, "high_logits")
        return scores_of(self, low, self.num_classes, "low_logits") + resize(coarse, low.shape[1:3])
