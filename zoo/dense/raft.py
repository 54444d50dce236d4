"""RAFT: optical flow by many small updates, each of which looks up how well features match where the flow leads.

Teed and Deng, 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow; numbers as in
torchvision/models/optical_flow/raft.py. Lecture row L62.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.dense.correlation_pyramid import Pyramid, correlation_pyramid, look_up
from zoo.dense.pairs import check_pair, cropped, margins, padded
from zoo.dense.raft_encoder import Encoder
from zoo.dense.raft_update import STRIDE, Sizes, Still, Update
from zoo.names import unknown
from zoo.nn.network import Network

Flow = Float[Array, "batch rows columns 2"]
State = tuple[Float[Array, "batch rows columns hidden"], Flow]
"""Hidden state, and flow in places of the maps."""


class RAFT(Network):
    """The large network as it stands; the fields make the small one.

    Images are in [-1, 1], of any size: their borders are repeated until both sides are multiples of 8 and leave the
    coarsest correlations a place, and the flow is cropped again.
    """

    widths: tuple[int, ...] = (64, 64, 96, 128, 256)
    """Channels of both encoders' first convolution and stages, and of the features."""
    context: int = 128
    """Channels of the context, beside those of the hidden state that its encoder gives too."""
    bottleneck: bool = False
    """Units of three convolutions in the encoders instead of two."""
    context_norm: str = "batch"
    """Normalisation of the context's encoder: "batch", "instance" or "none"."""
    frozen_norm: bool = False
    """Batch normalisation by running statistics in training too, as from the second data set on in the paper."""
    levels: int = 4
    """Resolutions of the correlations."""
    radius: int = 4
    """Places that are looked up to either side."""
    sizes: Sizes = Sizes()
    """Of the update's layers."""
    updates: int = 12
    unroll: bool | None = None
    """Whether the updates are written out; by default in training on a CPU, where gradients of convolutions in a loop
    take many times as long. A loop is compiled in less time."""

    def setup(self) -> None:
        """Encoders and update, by name."""
        types = {"remat": self.remat, "axis_name": self.axis_name, **self.types}
        self.feature_encoder = Encoder(self.widths, self.bottleneck, **types)
        together = self.sizes.hidden + self.context
        self.context_encoder = Encoder((*self.widths[:-1], together), self.bottleneck, self.context_norm, **types)
        self.update = Update(self.sizes, self.context, **self.types)

    def __call__(
        self,
        first: Float[Array, "batch height width channels"],
        second: Float[Array, "batch height width channels"],
        train: bool = False,
        features: bool = False,
        updates: int | None = None,
    ) -> (
        Float[Array, "batch height width 2"]
        | tuple[Float[Array, "batch height width 2"], ...]
        | Mapping[str, Float[Array, "batch ..."]]
    ):
        """Where each pixel of the first images is in the second ones: x and y in pixels, float32 at least.

        In training the flow after each update, from the first to the last. With `features` all named maps: features of
        both images, context, correlations where the flow is zero, hidden state, and flow.

        Args:
          first: images in [-1, 1].
          second: those that follow.
          train: with batch statistics, and all updates' flows.
          features: name the maps.
          updates: how many, by default as the field of this name says.

        Raises:
          ValueError: images of another rank or of different shapes, or no update.
          TypeError: images of integers.
        """
        check_pair(first, second, "RAFT")
        count = self.updates if updates is None else updates
        if count < 1:
            raise ValueError(f"updates: expected a positive integer, got {count}")
        around = margins(*first.shape[1:3], STRIDE, STRIDE * 2 ** (self.levels - 1))
        first, second = padded(first, around), padded(second, around)

        both = self.feature_encoder(jnp.concatenate([first, second]), train).astype(self.wide)
        maps = jnp.split(both, 2)
        pyramid = correlation_pyramid(*maps, self.levels)
        context = self.context_encoder(first, train and not self.frozen_norm)
        hidden, context = jnp.split(context, [self.sizes.hidden], axis=-1)
        hidden, context = nn.tanh(hidden), nn.relu(context)
        still = self.update.still(context)

        batch, rows, columns, _ = hidden.shape
        begin = (hidden, jnp.zeros((batch, rows, columns, 2), self.wide))
        (hidden, flow), flows = self._updated(begin, still, pyramid, count, train and not features)
        if train and not features:
            return tuple(cropped(each, around) for each in flows)
        fine = cropped(self.update.finer(flow, hidden), around)
        if not features:
            return fine
        named = {"first": maps[0], "second": maps[1], "context": context}
        named["correlation"] = look_up(pyramid, places_of(begin[1]), self.radius)
        return {**named, "hidden": hidden, "coarse_flow": flow, "flow": fine}

    def _updated(
        self, state: State, still: Still, pyramid: Pyramid, count: int, keep: bool
    ) -> tuple[State, list[Float[Array, "batch height width 2"]]]:
        """The state after so many updates, and the flow after each of them where they are to be kept."""

        def step(network: RAFT, state: State, _: None) -> tuple[State, Array | None]:
            hidden, flow = state
            flow = jax.lax.stop_gradient(flow)  # as in the paper: an update learns from its own step alone
            around = look_up(pyramid, places_of(flow) + flow, network.radius)
            hidden, change = network.update(hidden, still, around, flow)
            flow = flow + change
            return (hidden, flow), network.update.finer(flow, hidden) if keep else None

        body = nn.remat(step, prevent_cse=False) if self.remat else step
        unroll = keep and jax.default_backend() == "cpu" if self.unroll is None else self.unroll
        if self.is_initializing():
            state, flow = step(self, state, None)
            if not keep:
                self.update.finer(state[1], state[0])  # whose parameters are drawn too
            return state, [flow] * count
        if unroll:
            flows = []
            for _ in range(count):
                state, flow = body(self, state, None)
                flows.append(flow)
            return state, flows
        loop = nn.scan(body, variable_broadcast="params", split_rngs={"params": False}, length=count)
        state, stacked = loop(self, state, None)
        return state, [stacked[number] for number in range(count)] if keep else []


def places_of(maps: Float[Array, "batch rows columns channels"]) -> Float[Array, "batch rows columns 2"]:
    """x and y of each place; the first place is 0.

    >>> places_of(jnp.zeros((1, 1, 3, 2)))[0, 0].tolist()
    [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]
    """
    batch, rows, columns, _ = maps.shape
    x, y = jnp.meshgrid(jnp.arange(columns, dtype=maps.dtype), jnp.arange(rows, dtype=maps.dtype))
    return jnp.broadcast_to(jnp.stack([x, y], axis=-1), (batch, rows, columns, 2))


SIZES: Mapping[str, Mapping[str, Any]] = {
    "large": {},
    "small": {
        "widths": (32, 32, 64, 96, 128),
        "context": 64,
        "bottleneck": True,
        "context_norm": "none",
        "radius": 3,
        "sizes": Sizes(96, (96,), (64, 32), 82, ((3, 3),), 128, 0),
    },
    "tiny": {
        "widths": (8, 8, 12, 16, 24),
        "context": 12,
        "levels": 2,
        "radius": 2,
        "sizes": Sizes(16, (16, 12), (8, 6), 14, ((1, 5), (5, 1)), 10, 10),
    },
}
"""Fields of the networks by size; "tiny" is the large one with few channels, for tests."""


def raft(
    size: str = "large", updates: int = 12, frozen_norm: bool = False, unroll: bool | None = None, **shared: Any
) -> RAFT:
    """A RAFT of one of the `SIZES`.

    Args:
      size: "large" and "small" are the paper's.
      updates: how many at evaluation and in training.
      frozen_norm: see `RAFT`.
      unroll: see `RAFT`.
      **shared: fields that every network has.

    Raises:
      UnknownNameError: there is no such size.

    >>> raft("small").radius
    3
    """
    if size not in SIZES:
        raise unknown("size", size, SIZES)
    return RAFT(**SIZES[size], updates=updates, frozen_norm=frozen_norm, unroll=unroll, **shared)
