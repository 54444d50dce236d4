"""Two streams: one network sees a frame, one the optical flow around it, and what they say is fused late.

Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks for Action Recognition in Videos; Feichtenhofer, Pinz
and Zisserman, 2016, Convolutional Two-Stream Network Fusion for Video Action Recognition. Lecture rows L49, L50.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from zoo.names import unknown
from zoo.nn import global_avg_pool, kaiming_fan_out, linear_uniform
from zoo.nn.checks import check_classes
from zoo.nn.network import Network
from zoo.video.consensus import mean_of_probabilities

FUSIONS = ("average", "learned", "conv")
"""How two streams become one answer.

"average": each has a classifier, and the mean of the probabilities counts. "learned": one classifier of the features
of both. "conv": the last maps of both, one behind the other, through a 1x1 convolution, and a classifier of that."""


class TwoStream(Network):
    """A network of frames and one of flow, fused.

    Flow goes in as the channels of an image: x and y of L fields in turn, 2L in all. Clips do as well as frames, with
    flow of two channels for each frame, where both streams take clips.
    """

    spatial: nn.Module
    """Any network of images, or clips, that answers `features=True`, made with num_classes=0."""
    temporal: nn.Module
    """The same for flow."""
    num_classes: int = 101
    """Outputs; 0 gives the features of both streams, or fused ones, instead of logits."""
    fusion: str = "average"
    """A name of `FUSIONS`."""
    map: str = "stage4"
    """The feature of both streams that "conv" fuses."""
    temporal_weight: float = 0.5
    """What the temporal stream's probabilities count in an average, of 1."""
    dropout: float = 0.5
    """The share of the features that a classifier does not see in training; stream "dropout"."""

    @nn.compact
    def __call__(
        self,
        frames: Float[Array, "batch *time height width 3"],
        flow: Float[Array, "batch *time height width channels"],
        train: bool = False,
        features: bool = False,
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features too: spatial/NAME, temporal/NAME, pre_logits and logits.

        Of "conv" there is also `fused`, a map. Of "average" the logits are those whose softmax is the mean.

        Raises:
          ValueError: what the streams refuse; maps of different sizes to fuse; a negative number of classes, or a
            weight outside 0 to 1.
          UnknownNameError: there is no such fusion, or a stream has no such map.
        """
        check_classes(self.num_classes)
        if self.fusion not in FUSIONS:
            raise unknown("fusion of streams", self.fusion, FUSIONS)
        if not 0 <= self.temporal_weight <= 1:
            raise ValueError(f"temporal_weight: expected a number from 0 to 1, got {self.temporal_weight}")
        streams = {
            "spatial": dict(self.spatial(frames, train=train, features=True)),
            "temporal": dict(self.temporal(flow, train=train, features=True)),
        }
        vectors = [named.pop("pre_logits").astype(self.wide) for named in streams.values()]
        named = {f"{stream}/{name}": value for stream, maps in streams.items() for name, value in maps.items()}
        if self.fusion == "conv":
            named["fused"] = x = self._fused(streams)
            vectors = [global_avg_pool(x.astype(self.wide))]
        named["pre_logits"] = x = jnp.concatenate(vectors, axis=-1)
        if not self.num_classes:
            return named if features else x
        if self.fusion == "average":
            answers = [self._head(f"{name}_head", of, train) for name, of in zip(streams, vectors, strict=True)]
            weights = (1 - self.temporal_weight, self.temporal_weight)
            named["logits"] = x = mean_of_probabilities(jnp.stack(answers, axis=-2), weights)
        else:
            named["logits"] = x = self._head("head", x, train)
        return named if features else x

    def _fused(self, streams: Mapping[str, Mapping[str, Array]]) -> Float[Array, "batch *places channels"]:
        """One map of both streams', of as many channels as the larger has."""
        for stream, maps in streams.items():
            if self.map not in maps:
                raise unknown(f"map of the {stream} stream", self.map, maps)
        maps = [named[self.map] for named in streams.values()]
        if maps[0].shape[:-1] != maps[1].shape[:-1]:
            raise ValueError(f"expected maps of one size to fuse, got shapes {maps[0].shape} and {maps[1].shape}")
        channels, window = max(x.shape[-1] for x in maps), (1,) * (maps[0].ndim - 2)
        conv = self.conv_maker(kernel_init=kaiming_fan_out)(channels, window, padding=0, name="fuse")
        return nn.relu(conv(jnp.concatenate(maps, axis=-1)))

    def _head(self, name: str, x: Float[Array, "batch d"], train: bool) -> Float[Array, "batch classes"]:
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        options = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": linear_uniform}
        return nn.Dense(self.num_classes, **options, name=name)(x)


def joined(spatial: PyTree[Array], temporal: PyTree[Array]) -> PyTree[Array]:
    """The variables of two classifiers, each trained alone, as those of a `TwoStream` that averages them.

    Args:
      spatial: {"params": ..., "batch_stats": ...} of a network of frames with its layer `head`.
      temporal: of a network of flow.

    Raises:
      ValueError: one has no layer `head`, or they are of different numbers of classes.
    """
    whole: dict[str, dict] = {}
    for name, variables in (("spatial", spatial), ("temporal", temporal)):
        if "head" not in variables["params"]:
            raise ValueError(f"expected a classifier with a layer head as the {name} stream, got one without")
        for collection, tree in variables.items():
            rest = {layer: value for layer, value in tree.items() if layer != "head"}
            whole.setdefault(collection, {})[name] = rest
        whole["params"][f"{name}_head"] = variables["params"]["head"]
    counts = [whole["params"][f"{name}_head"]["kernel"].shape[-1] for name in ("spatial", "temporal")]
    if counts[0] != counts[1]:
        raise ValueError(f"expected streams of as many classes each, got {counts[0]} and {counts[1]}")
    return whole
