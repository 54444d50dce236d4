"""Temporal segment networks: a network of images sees a frame of each segment of a video, and all agree on one answer.

Wang et al., 2016, Temporal Segment Networks: Towards Good Practices for Deep Action Recognition, section 3.1. Lecture
row L49.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.names import unknown
from zoo.nn.checks import CLIP_AXES, check_classes, check_images
from zoo.nn.network import Network

CONSENSUS = {"average": jnp.mean, "max": jnp.max}
"""What is made of the segments' logits."""


class TSN(Network):
    """A network of images over segments, one frame each, or the flow around it, as channels. Submodule `backbone`."""

    backbone: nn.Module
    """Any network of images that answers `features=True`, made with num_classes=0."""
    num_classes: int = 101
    """Outputs; 0 gives the features' mean over segments instead of logits."""
    consensus: str = "average"
    """A name of `CONSENSUS`."""
    dropout: float = 0.5
    """The share of the features that the classifier does not see in training; stream "dropout"."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch segments height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: the network's maps of each segment, pre_logits, logits.

        Args:
          clips: a frame of each segment, in the order of time; of any number of segments.
          train: whether to drop features, and to normalise by the batch.
          features: whether to give the features.

        Raises:
          ValueError: clips of the wrong rank, what the network of images refuses, or a negative number of classes.
          UnknownNameError: there is no such consensus.
        """
        check_images(clips, "TSN", 1, CLIP_AXES, "clips")
        check_classes(self.num_classes)
        if self.consensus not in CONSENSUS:
            raise unknown("consensus", self.consensus, CONSENSUS)
        named = of_frames(self.backbone, clips, train)
        x = named.pop("pre_logits").astype(self.wide)
        named["pre_logits"] = x.mean(axis=1)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            options = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": nn.initializers.normal(0.01)}
            answers = nn.Dense(self.num_classes, **options, name="head")(x)
            named["logits"] = CONSENSUS[self.consensus](answers, axis=1)
        return named if features else list(named.values())[-1]


def of_frames(
    backbone: nn.Module, clips: Float[Array, "batch time height width channels"], train: bool
) -> dict[str, Float[Array, "batch time ..."]]:
    """All named features of a network of images, of each frame by itself."""
    batch, time = clips.shape[:2]
    named = backbone(clips.reshape(batch * time, *clips.shape[2:]), train=train, features=True)
    return {name: value.reshape(batch, time, *value.shape[1:]) for name, value in named.items()}
