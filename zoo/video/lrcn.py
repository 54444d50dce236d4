"""LRCN: a network of images sees each frame, an LSTM what it says of them one after the other.

What a network says of a frame has to tell where things are, or no motion is seen: in the paper that is AlexNet's `fc6`,
a dense layer of 6 x 6 places. A network that ends in the mean over all places gets such a layer by `grid`.

Donahue et al., 2015, Long-term Recurrent Convolutional Networks for Visual Recognition and Description, section 4.
Lecture row L52.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.torch_layers import adaptive_avg_pool
from zoo.nn import linear_uniform
from zoo.nn.checks import CLIP_AXES, check_classes, check_images
from zoo.nn.network import Network
from zoo.sequences import LSTM
from zoo.video.consensus import mean_of_probabilities
from zoo.video.tsn import of_frames


class LRCN(Network):
    """A classifier of every frame that remembers those before, and the mean of what it says over time.

    Submodules `backbone`, `fc6` where there is a grid, `lstm` and `head`.
    """

    backbone: nn.Module
    """Any network of images that answers `features=True`, made with num_classes=0; in the paper AlexNet to `fc6`."""
    grid: int = 0
    """Rows and columns of cells over each of which the backbone's last maps are averaged before a dense layer with ReLU
    sees all cells; 0: the LSTM sees the backbone's own vector, which should say where things are, as AlexNet's does."""
    width: int = 256
    """Features of that dense layer."""
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

        These are the network's maps of each frame, with a grid `fc6`, then `hidden`, which is the LSTM's output at each
        frame, pre_logits and logits. What a frame's are depends on that frame and those before.

        Args:
          clips: of any number of frames.
          train: whether to drop features, and to normalise by the batch.
          features: whether to give the features.

        Raises:
          ValueError: clips of the wrong rank, what the network of images refuses, a negative number of classes or
            cells, or a grid for a network without maps.
        """
        check_images(clips, "LRCN", 1, CLIP_AXES, "clips")
        check_classes(self.num_classes)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        named = of_frames(self.backbone, clips, train)
        seen = named.pop("pre_logits").astype(self.dtype)
        if self.grid:
            named["fc6"] = seen = self._of_cells(named)
        _, hidden = LSTM(self.hidden_size, **self.types, name="lstm")(drop(seen))
        named["hidden"] = hidden
        # The classifier is cheap, and wants more digits than bfloat16 has.
        x = hidden.astype(self.wide)
        named["pre_logits"] = x.mean(axis=1)
        if self.num_classes:
            options = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": linear_uniform}
            answers = nn.Dense(self.num_classes, **options, name="head")(drop(x))
            named["logits"] = mean_of_probabilities(answers)
        return named if features else list(named.values())[-1]

    def _of_cells(self, named: Mapping[str, Array]) -> Float[Array, "batch time width"]:
        """A vector a frame, of the last maps."""
        maps = [value for value in named.values() if value.ndim == 5]
        if not maps or self.grid < 0:
            raise ValueError(f"LRCN expected maps and a grid of at least 0, got {list(named)} and grid={self.grid}")
        batch, time, *places = maps[-1].shape
        cells = adaptive_avg_pool(maps[-1].reshape(batch * time, *places), self.grid)
        dense = nn.Dense(self.width, **self.types, kernel_init=linear_uniform, name="fc6")
        return nn.relu(dense(cells.reshape(batch, time, -1)))
