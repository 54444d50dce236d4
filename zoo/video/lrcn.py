"""LRCN: a network of images sees each frame, an LSTM what it says of them one after the other.

Donahue et al., 2015, Long-term Recurrent Convolutional Networks for Visual Recognition and Description, section 4.
Lecture row L52.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.nn import linear_uniform
from zoo.nn.checks import CLIP_AXES, check_classes, check_images
from zoo.nn.network import Network
from zoo.sequences import LSTM
from zoo.video.consensus import mean_of_probabilities
from zoo.video.tsn import of_frames


class LRCN(Network):
    """A classifier of every frame that remembers those before, and the mean of what it says over time.

    Submodules `backbone`, `lstm` and `head`.
    """

    backbone: nn.Module
    """Any network of images that answers `features=True`, made with num_classes=0; in the paper AlexNet to `fc6`."""
    num_classes: int = 101
    """Outputs; 0 gives the LSTM's outputs, averaged over time, instead of logits."""
    hidden_size: int = 256
    """Of the LSTM."""
    dropout: float = 0.5
    """The share of what the LSTM and the classifier see that is dropped in training; stream "dropout"."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch time height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32, whose softmax is the mean of that of every frame; with `features` all named features.

        These are the network's maps of each frame, `hidden`, which is the LSTM's output at each frame, pre_logits and
        logits. What a frame's are depends on that frame and those before.

        Args:
          clips: of any number of frames.
          train: whether to drop features, and to normalise by the batch.
          features: whether to give the features.

        Raises:
          ValueError: clips of the wrong rank, what the network of images refuses, or a negative number of classes.
        """
        check_images(clips, "LRCN", 1, CLIP_AXES, "clips")
        check_classes(self.num_classes)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        named = of_frames(self.backbone, clips, train)
        seen = drop(named.pop("pre_logits").astype(self.dtype))
        _, hidden = LSTM(self.hidden_size, **self.types, name="lstm")(seen)
        named["hidden"] = hidden
        # The classifier is cheap, and wants more digits than bfloat16 has.
        x = hidden.astype(self.wide)
        named["pre_logits"] = x.mean(axis=1)
        if self.num_classes:
            options = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": linear_uniform}
            answers = nn.Dense(self.num_classes, **options, name="head")(drop(x))
            named["logits"] = mean_of_probabilities(answers)
        return named if features else list(named.values())[-1]
