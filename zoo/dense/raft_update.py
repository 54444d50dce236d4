"""RAFT's update: what it sees of correlations and flow, a convolutional GRU, a step of the flow, finer flow.

Teed and Deng, 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, section 3.3 and appendix A; numbers
as in torchvision/models/optical_flow/raft.py. Lecture row L62.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from zoo.dense.convex import convex
from zoo.nn import linear_uniform
from zoo.nn.conv import convolution
from zoo.nn.network import ModuleMaker, Network
from zoo.nn.resize import resize

Maps = Float[Array, "batch rows columns channels"]
STRIDE = 8
"""Pixels from one place of the maps to the next."""
Still = tuple[Maps, ...]
"""What each GRU's gates see of the context, which is the same in every update: z, r and q behind each other."""


class Sizes(NamedTuple):
    """Channels and windows of the update's layers; as they stand those of the large network."""

    hidden: int = 128
    correlation: tuple[int, ...] = (256, 192)
    """A 1x1 convolution of the correlations, and a 3x3 one if there are two."""
    flow: tuple[int, int] = (128, 64)
    """A 7x7 convolution of the flow and a 3x3 one."""
    motion: int = 128
    """Of both together, of which the last two are the flow itself."""
    windows: tuple[tuple[int, int], ...] = ((1, 5), (5, 1))
    """Of each GRU's convolutions."""
    head: int = 256
    mask: int = 256
    """Of the weights that make flow finer; 0 for none: then it is interpolated bilinearly."""


class MotionEncoder(nn.Module):
    """What correlations and flow say of the motion."""

    sizes: Sizes
    conv: ModuleMaker

    @nn.compact
    def __call__(
        self, flow: Float[Array, "batch rows columns 2"], correlation: Maps
    ) -> Float[Array, "batch rows columns motion"]:
        """Its last two channels are the flow."""
        for number, features in enumerate(self.sizes.correlation, start=1):
            side = 1 if number == 1 else 3
            conv = self.conv(features, (side, side), padding=side // 2, name=f"correlation{number}")
            correlation = nn.relu(conv(correlation))
        x = flow
        for number, (features, side) in enumerate(zip(self.sizes.flow, (7, 3), strict=True), start=1):
            x = nn.relu(self.conv(features, (side, side), padding=side // 2, name=f"flow{number}")(x))
        x = jnp.concatenate([correlation, x], axis=-1)
        x = nn.relu(self.conv(self.sizes.motion - 2, (3, 3), padding=1, name="out")(x))
        return jnp.concatenate([x, flow.astype(x.dtype)], axis=-1)


class Gates(nn.Module):
    """The three convolutions of a GRU, z, r and q, over hidden state, context and motion.

    They are sums over the channels, so the context's part is computed once for all updates (`still`), and what
    z and r have in common in one convolution.
    """

    sizes: Sizes
    window: tuple[int, int]
    context: int
    """Channels of the context."""
    network: Network
    """Whose types these are."""

    def setup(self) -> None:
        """Kernels over all channels, so that names and shapes are those of plain convolutions."""
        hidden = self.sizes.hidden
        shape = (*self.window, hidden + self.context + self.sizes.motion, hidden)
        kinds = [(gate, "kernel", linear_uniform, shape) for gate in "zrq"]
        kinds += [(gate, "bias", nn.initializers.zeros, (hidden,)) for gate in "zrq"]
        self.parameters = {
            (gate, kind): self.param(f"{gate}_{kind}", init, of, self.network.param_dtype)
            for gate, kind, init, of in kinds
        }

    def __call__(self, gates: str, hidden: Maps, motion: Maps) -> Maps:
        """What some gates see of hidden state and motion, behind each other."""
        first, last = self.sizes.hidden, self.sizes.hidden + self.context
        kernels = [self.parameters[gate, "kernel"] for gate in gates]
        kernels = [jnp.concatenate([each[:, :, :first], each[:, :, last:]], axis=2) for each in kernels]
        return self._convolved(jnp.concatenate([hidden, motion], axis=-1), jnp.concatenate(kernels, axis=-1))

    def still(self, context: Maps) -> Maps:
        """What the three gates see of the context, with their biases."""
        first, last = self.sizes.hidden, self.sizes.hidden + self.context
        kernel = jnp.concatenate([self.parameters[gate, "kernel"][:, :, first:last] for gate in "zrq"], axis=-1)
        bias = jnp.concatenate([self.parameters[gate, "bias"] for gate in "zrq"])
        x = self._convolved(context, kernel)
        return x + bias.astype(x.dtype)

    def _convolved(self, x: Maps, kernel: Array) -> Maps:
        x, kernel = promote_dtype(x, kernel, dtype=self.network.dtype)
        return convolution(x, kernel, padding=tuple(side // 2 for side in self.window))


class Update(Network):
    """One step: a new hidden state, and what to add to the flow."""

    sizes: Sizes = Sizes()
    context: int = 128
    """Channels of the context."""

    def setup(self) -> None:
        """The layers by name; a GRU for each window."""
        conv = self.conv_maker(kernel_init=linear_uniform)
        self.motion = MotionEncoder(self.sizes, conv)
        types = Network(dtype=self.dtype, param_dtype=self.param_dtype, parent=None)
        for number, window in enumerate(self.sizes.windows, start=1):
            setattr(self, f"gru{number}", Gates(self.sizes, window, self.context, types))
        self.head1 = conv(self.sizes.head, (3, 3), padding=1)
        self.head2 = conv(2, (3, 3), padding=1, dtype=self.wide)
        if self.sizes.mask:
            self.mask1 = conv(self.sizes.mask, (3, 3), padding=1)
            self.mask2 = conv(9 * STRIDE**2, (1, 1), padding=0, dtype=self.wide)

    def __call__(
        self,
        hidden: Float[Array, "batch rows columns hidden"],
        still: Still,
        correlation: Float[Array, "batch rows columns correlations"],
        flow: Float[Array, "batch rows columns 2"],
    ) -> tuple[Float[Array, "batch rows columns hidden"], Float[Array, "batch rows columns 2"]]:
        """The next hidden state, and the step of the flow in places of these maps.

        Args:
          hidden: state of the GRUs.
          still: what `still` gives.
          correlation: around where the flow leads.
          flow: so far, in places of these maps.
        """
        motion = self.motion(flow, correlation)
        for seen, gates in zip(still, self._grus(), strict=True):
            width = hidden.shape[-1]
            z, r = jnp.split(nn.sigmoid(seen[..., : 2 * width] + gates("zr", hidden, motion)), 2, axis=-1)
            q = nn.tanh(seen[..., 2 * width :] + gates("q", r * hidden, motion))
            hidden = (1 - z) * hidden + z * q
        return hidden, self.head2(nn.relu(self.head1(hidden)))

    def still(self, context: Float[Array, "batch rows columns context"]) -> Still:
        """What each GRU sees of the context in every update."""
        return tuple(gates.still(context) for gates in self._grus())

    def finer(
        self, flow: Float[Array, "batch rows columns 2"], hidden: Float[Array, "batch rows columns hidden"]
    ) -> Float[Array, "batch height width 2"]:
        """The flow in pixels, and of each pixel."""
        if not self.sizes.mask:
            return STRIDE * resize(flow, [STRIDE * side for side in flow.shape[1:3]], align_corners=True)
        # A quarter, as the paper's code has it, holds the weights' gradients back.
        weights = 0.25 * self.mask2(nn.relu(self.mask1(hidden)))
        return STRIDE * convex(flow, weights.astype(flow.dtype), STRIDE)

    def _grus(self) -> list[Gates]:
        return [getattr(self, f"gru{number + 1}") for number in range(len(self.sizes.windows))]
