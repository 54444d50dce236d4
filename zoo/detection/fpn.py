"""A pyramid of maps of one width, from the maps of a backbone: coarse ones say what, fine ones where.

Lin et al., 2017, Feature Pyramid Networks for Object Detection; as in torchvision/ops/feature_pyramid_network.py.
Lecture rows L59, L67.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn.network import Network

EXTRA = ("none", "pool")
"""Ways to add a coarser map."""

kaiming_uniform = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
"""torch's kaiming_uniform_ with a=1, which the pyramid is drawn from."""


class FeaturePyramid(Network):
    """1x1 convolutions to one width, each coarser map added to the next finer one, 3x3 convolutions over the sums."""

    width: int = 256
    """Channels of every map."""
    extra: str = "pool"
    """A coarser map beside those of the backbone: "pool" takes every second place of the coarsest (Faster R-CNN)."""
    batch_norm: bool = False
    """Whether a normalisation follows each convolution, as in torchvision's second versions."""

    @nn.compact
    def __call__(self, maps: Mapping[str, Float[Array, "batch _ _ _"]], train: bool = False) -> dict[str, Array]:
        """The maps of the pyramid, (batch, height, width, `width`) each, from fine to coarse, by the names of the
        backbone's; what is added is called p6.

        Args:
          maps: of the backbone, from fine to coarse.
          train: whether it trains; only a batch normalisation asks.

        Raises:
          ValueError: no map, or an unknown way to add coarser ones.
        """
        if not maps or self.extra not in EXTRA:
            raise ValueError(f"expected maps, and extra one of {', '.join(EXTRA)}, got {list(maps)} and {self.extra!r}")
        conv = self.conv_maker(use_bias=not self.batch_norm, kernel_init=kaiming_uniform)
        norm = self.norm_maker()

        def layer(x: Array, side: int, name: str) -> Array:
            x = conv(self.width, (side, side), padding=side // 2, name=name)(x)
            return norm(name=f"{name}_norm")(x, not train) if self.batch_norm else x

        above: Array | None = None
        pyramid: dict[str, Array] = {}
        for level, (name, x) in reversed(list(enumerate(maps.items(), start=1))):
            lateral = layer(x, 1, f"inner{level}")
            above = lateral if above is None else lateral + nearest(above, *lateral.shape[1:3])
            pyramid[name] = layer(above, 3, f"layer{level}")
        pyramid = dict(reversed(pyramid.items()))
        *_, coarsest = pyramid.values()
        if self.extra == "pool":
            pyramid["p6"] = coarsest[:, ::2, ::2]
        return pyramid


def nearest(
    x: Float[Array, "batch _ _ channels"], height: int, width: int
) -> Float[Array, "batch height width channels"]:
    """A map of another size, each place from the one of which it is a part; as torch's interpolate(mode="nearest").

    >>> nearest(jnp.arange(3.0)[None, :, None, None], 5, 1)[0, :, 0, 0].tolist()
    [0.0, 0.0, 1.0, 1.0, 2.0]
    """
    rows, columns = (jnp.arange(size) * x.shape[axis] // size for axis, size in ((1, height), (2, width)))
    if (height, width) == (2 * x.shape[1], 2 * x.shape[2]):
        return x.repeat(2, axis=1).repeat(2, axis=2)
    return x[:, rows][:, :, columns]
