"""PWC-Net: optical flow from coarse to fine, on a pyramid of features, by warping and a cost volume on each level.

Sun, Yang, Liu and Kautz, 2018, PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume, section 3; the
smaller one of its section 4.2, whose estimators have no dense connections; other layers as in NVlabs' PyTorch file.
Lecture row L62.
"""

import functools
from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from zoo.dense.convex import convex
from zoo.dense.correlation import correlation
from zoo.dense.flow_layers import Flow, Layer, Maps, begun, leaky_relu, whole
from zoo.dense.pairs import check_pair, margins, padded
from zoo.dense.warp import warp
from zoo.nn.network import Network
from zoo.nn.transposed import ConvTranspose

EPSILON = 1e-6
"""Of the variance by which features are divided."""


class PWCNet(Network):
    """Each level sees how alike features are to those around, once these are warped by the coarser level's flow.

    Warped features are zero where the flow leads out of the image. Layers that predict begin with zeros, so that there
    is no motion before training, where random vectors would have every level look in a place of its own. Images are of
    any size: their borders are repeated at the bottom and on the right until the pyramid divides both sides.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 128, 196)
    """Channels of the pyramid's levels, of which each has half the resolution of the one before."""
    first_stride: int = 2
    """Of the finest level of the pyramid, in pixels."""
    finest: int = 2
    """The level, counted from 1, whose flow is the last: 2 is a quarter of the resolution."""
    radius: int = 4
    """Places that are compared to either side."""
    estimator: tuple[int, ...] = (128, 128, 96, 64, 32)
    """Channels of a level's convolutions on its cost volume."""
    context: tuple[int, ...] = (128, 128, 128, 96, 64, 32)
    """Channels of the convolutions that look at the surroundings of the last flow."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1)
    """Of these."""
    unit: float = 20.0
    """Pixels that a prediction of 1 stands for."""
    residual: bool = False
    """Whether a level predicts how its flow differs from the coarser one's, as in Table 5f, rather than the flow."""
    standardised: bool = False
    """Whether a level's features have mean 0 and deviation 1 before they are compared, as in UFlow."""
    convex: int = 0
    """Channels of the layer that says how the last flow is enlarged to all pixels, by RAFT's weights for the places
    around each; 0: it is interpolated."""

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels from one place to the next of the flows that levels predict, from coarse to fine."""
        return tuple(self.first_stride * 2**level for level in range(len(self.widths) - 1, self.finest - 2, -1))

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

        In training the flows of all levels, from coarse to fine, a place for every stride pixels begun, in pixels; with
        `convex` then the one of all pixels. With `features` all by name: level1, ... of the first images' pyramid, the
        flows of levels, as flow6, and flow.

        Raises:
          ValueError: images of another rank or of different shapes, or a finest level that there is not.
          TypeError: images of integers.
        """
        check_pair(first, second, type(self).__name__)
        if not 1 <= self.finest <= len(self.widths) or len(self.context) != len(self.dilations):
            raise ValueError(
                f"expected a finest level of 1 to {len(self.widths)} and a dilation for each of {self.context}, "
                f"got {self.finest} and {self.dilations}"
            )
        height, width = first.shape[1:3]
        around = margins(height, width, self.strides[0], centred=False)
        both = jnp.concatenate([padded(first, around), padded(second, around)])
        pyramid = self._pyramid(both.astype(self.dtype))
        flow, x, flows = None, None, []
        for stride, level in zip(self.strides, range(len(self.widths), 0, -1), strict=False):
            ours, theirs = jnp.split(pyramid[level - 1], 2)
            seen = []
            if flow is not None:
                flow = self._upsampled(2, f"upsample_flow{level}")(flow)
                theirs, inside = warp(theirs, flow * (self.unit / stride))
                theirs = jnp.where(inside[..., None], theirs, 0)
                seen = [ours, flow.astype(self.dtype), self._upsampled(2, f"upsample_features{level}")(x)]
            compared = ours, theirs.astype(ours.dtype)
            compared = standardised(*compared) if self.standardised else compared
            cost = leaky_relu(correlation(*compared, self.radius, 1))
            x = jnp.concatenate([cost.astype(self.dtype), *seen], axis=-1)
            for number, channels in enumerate(self.estimator, start=1):
                x = self._layer(channels, name=f"estimator{level}_{number}")(x)
            predicted = self._flow(f"predict_flow{level}", x)
            flow = flow + predicted if self.residual and flow is not None else predicted
            if level == self.finest:
                for number, (channels, dilation) in enumerate(zip(self.context, self.dilations, strict=True), start=1):
                    x = self._layer(channels, dilation=dilation, name=f"context{number}")(x)
                flow = flow + self._flow("refine_flow", x)
            flows.append(flow)
        flows, size = [self.unit * flow for flow in flows], (height, width)
        if self.convex:
            fine = self._enlarged(flows[-1], x)[:, :height, :width]
        else:
            fine = whole(flows[-1], self.strides[-1], size)
        if train and not features:
            return begun(flows, self.strides, size) + ((fine,) if self.convex else ())
        if not features:
            return fine
        of_first = {f"level{level}": jnp.split(maps, 2)[0] for level, maps in enumerate(pyramid, start=1)}
        levels = range(len(self.widths), self.finest - 1, -1)
        of_levels = {f"flow{level}": each for level, each in zip(levels, flows, strict=True)}
        return {**of_first, **of_levels, "flow": fine}

    def _pyramid(self, x: Maps) -> list[Maps]:
        """Maps of each level, from fine to coarse, of both images."""
        levels = []
        for level, features in enumerate(self.widths, start=1):
            stride = self.first_stride if level == 1 else 2
            for number in (1, 2):
                x = self._layer(features, stride if number == 1 else 1, name=f"pyramid{level}_{number}")(x)
            levels.append(x)
        return levels

    def _layer(self, features: int, strides: int = 1, dilation: int = 1, *, name: str) -> Layer:
        kind = self.rematerialised(Layer, static_argnums=())
        return kind(features, self.conv_maker(), strides=strides, dilation=dilation, name=name)

    def _upsampled(self, features: int, name: str) -> ConvTranspose:
        kind = functools.partial(ConvTranspose, window=4, stride=2, padding=1, param_dtype=self.param_dtype)
        return kind(features, dtype=self.wide if "flow" in name else self.dtype, name=name)

    def _enlarged(self, flow: Flow, x: Maps) -> Flow:
        """The last flow at all pixels, by weights that the maps it was refined from give."""
        factor = self.strides[-1]
        x = self._layer(self.convex, name="enlarge1")(x).astype(self.wide)
        weights = self.conv_maker(dtype=self.wide)(9 * factor**2, (1, 1), name="enlarge2")(x)
        return convex(flow, weights, factor)

    def _flow(self, name: str, x: Maps) -> Float[Array, "batch rows columns 2"]:
        conv = self.conv_maker(dtype=self.wide)
        return conv(2, (3, 3), padding=1, kernel_init=nn.initializers.zeros, name=name)(x.astype(self.wide))


def standardised(ours: Maps, theirs: Maps) -> tuple[Maps, Maps]:
    """Features of both images of each pair less their mean, over their deviation: of all places and channels of both.

    Jonschkowski et al., 2020, What Matters in Unsupervised Optical Flow: cost volume normalization.
    """
    both = jnp.stack([ours, theirs]).astype(jnp.promote_types(ours.dtype, jnp.float32))
    axes = (0, 2, 3, 4)
    both = both - both.mean(axis=axes, keepdims=True)
    both = both * lax.rsqrt(jnp.square(both).mean(axis=axes, keepdims=True) + EPSILON)
    return both[0].astype(ours.dtype), both[1].astype(ours.dtype)
