"""FlowNet: optical flow by one pass through a network, of both images joined (S) or of their correlation (C).

Dosovitskiy et al., 2015, FlowNet: Learning Optical Flow with Convolutional Networks, Figures 2 and 3; numbers as in
its Caffe models and NVIDIA's flownet2-pytorch. Lecture row L62.
"""

import functools
from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.dense.correlation import correlation
from zoo.dense.flow_layers import Layer, Maps, begun, leaky_relu, whole
from zoo.dense.pairs import check_pair, margins, padded
from zoo.nn.network import Network
from zoo.nn.transposed import ConvTranspose

STRIDES = (64, 32, 16, 8, 4)
"""Pixels from one place to the next of the flows that are predicted, from coarse to fine."""


class FlowNet(Network):
    """What both networks have: convolutions to a 64th of the resolution, and back to a quarter in four steps.

    Each step joins maps of three kinds: those of the way down, of a transposed convolution of those before, and of the
    flow before, enlarged. Images are in [0, 1] less their mean, and of any size: their borders are repeated at the
    bottom and on the right until both sides are multiples of 64.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 1024)
    """Channels of the six resolutions."""
    refined: tuple[int, ...] = (512, 256, 128, 64)
    """Channels of the transposed convolutions."""
    unit: float = 20.0
    """Pixels that a prediction of 1 stands for."""

    @nn.compact
    def __call__(
        self,
        first: Float[Array, "batch height width channels"],
        second: Float[Array, "batch height width channels"],
        train: bool = False,
        features: bool = False,
    ) -> (
        Float[Array, "batch height width 2"]
        | tuple[Float[Array, "batch rows columns 2"], ...]
        | Mapping[str, Float[Array, "batch ..."]]
    ):
        """Where each pixel of the first images is in the second ones: x and y in pixels, float32 at least.

        In training the five flows that are predicted, from coarse to fine, each of its own size, a place for every 64,
        32, 16, 8 or 4 pixels begun, in pixels of the image. With `features` all named maps.

        Raises:
          ValueError: images of another rank or of different shapes.
          TypeError: images of integers.
        """
        check_pair(first, second, type(self).__name__)
        height, width = first.shape[1:3]
        around = margins(height, width, STRIDES[0], centred=False)
        named = self.contracted(padded(first, around), padded(second, around))
        skipped = [named[name] for name in ("conv5_1", "conv4_1", "conv3_1", "conv2")]
        x, flows = named["conv6_1"], [self._predicted(named["conv6_1"], 6)]
        for level, maps, features_there in zip((5, 4, 3, 2), skipped, self.refined, strict=True):
            up = functools.partial(ConvTranspose, window=4, stride=2, padding=1, param_dtype=self.param_dtype)
            larger = up(2, dtype=self.wide, name=f"upsample_flow{level + 1}")(flows[-1])
            deconvolved = leaky_relu(up(features_there, dtype=self.dtype, name=f"deconv{level}")(x))
            x = named[f"joined{level}"] = jnp.concatenate([maps, deconvolved, larger.astype(maps.dtype)], axis=-1)
            flows.append(self._predicted(x, level))
        flows = [self.unit * flow for flow in flows]
        if train and not features:
            return begun(flows, STRIDES, (height, width))
        fine = whole(flows[-1], STRIDES[-1], (height, width))
        coarse = {f"flow{level}": flow for level, flow in zip((6, 5, 4, 3, 2), flows, strict=True)}
        return {**named, **coarse, "flow": fine} if features else fine

    def contracted(self, first: Maps, second: Maps) -> dict[str, Maps]:
        """The named maps of the way down, of which conv2, conv3_1, conv4_1, conv5_1 and conv6_1 are used again."""
        raise NotImplementedError

    def deeper(self, x: Maps) -> dict[str, Maps]:
        """The maps from conv3_1 on, which both networks have alike."""
        named = {"conv3_1": (x := self.layer("conv3_1", self.widths[2])(x))}
        for level, features in zip((4, 5, 6), self.widths[3:], strict=True):
            x = self.layer(f"conv{level}", features, strides=2)(x)
            x = named[f"conv{level}_1"] = self.layer(f"conv{level}_1", features)(x)
        return named

    def layer(self, name: str, features: int, side: int = 3, strides: int = 1) -> nn.Module:
        """A convolution and a ReLU that leaks a tenth."""
        kind = self.rematerialised(Layer, static_argnums=())
        return kind(features, self.conv_maker(), side, strides, name=name)

    def _predicted(self, x: Maps, level: int) -> Float[Array, "batch rows columns 2"]:
        conv = self.conv_maker(dtype=self.wide)
        return conv(2, (3, 3), padding=1, name=f"predict_flow{level}")(x.astype(self.wide))


class FlowNetS(FlowNet):
    """FlowNetSimple: the images' channels side by side."""

    def contracted(self, first: Maps, second: Maps) -> dict[str, Maps]:
        """See `FlowNet`."""
        x = jnp.concatenate([first, second], axis=-1).astype(self.dtype)
        named = {}
        for level, (features, side) in enumerate(zip(self.widths[:3], (7, 5, 5), strict=True), start=1):
            x = named[f"conv{level}"] = self.layer(f"conv{level}", features, side, 2)(x)
        return {**named, **self.deeper(x)}


class FlowNetC(FlowNet):
    """FlowNetCorr: three convolutions of each image alike, then the correlation of their maps at 441 displacements."""

    max_displacement: int = 20
    """Of the correlation, in places of 8 pixels."""
    step: int = 2
    """Places from one displacement to the next."""
    redirected: int = 32
    """Channels of the first image's maps that go past the correlation."""

    def contracted(self, first: Maps, second: Maps) -> dict[str, Maps]:
        """See `FlowNet`."""
        x, named = jnp.concatenate([first, second]).astype(self.dtype), {}
        for level, (features, side) in enumerate(zip(self.widths[:3], (7, 5, 5), strict=True), start=1):
            x = self.layer(f"conv{level}", features, side, 2)(x)
            named[f"conv{level}"], other = jnp.split(x, 2)
        matches = leaky_relu(correlation(named["conv3"], other, self.max_displacement, self.step))
        named["correlation"] = matches = matches.astype(self.dtype)
        redirected = self.layer("conv_redir", self.redirected, side=1)(named["conv3"])
        return {**named, **self.deeper(jnp.concatenate([redirected, matches], axis=-1))}
