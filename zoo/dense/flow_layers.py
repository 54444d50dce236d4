"""What networks that predict flow on several scales are made of. Lecture row L62.

Dosovitskiy et al., 2015, FlowNet; Sun, Yang, Liu and Kautz, 2018, PWC-Net.
"""

from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.nn.network import ModuleMaker
from zoo.nn.resize import resize

LEAK = 0.1
"""What a negative number keeps of itself."""

Maps = Float[Array, "batch rows columns channels"]
Flow = Float[Array, "batch rows columns 2"]


def leaky_relu(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """A ReLU that leaks a tenth.

    >>> import jax.numpy as jnp
    >>> leaky_relu(jnp.array([-10.0, 3.0])).tolist()
    [-1.0, 3.0]
    """
    return nn.leaky_relu(x, LEAK)


class Layer(nn.Module):
    """A convolution, padded so that a stride of 1 keeps the size, and a ReLU that leaks a tenth."""

    features: int
    conv: ModuleMaker
    side: int = 3
    strides: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Maps) -> Float[Array, "batch _ _ features"]:
        """The layer's maps."""
        init = nn.initializers.variance_scaling(2 / (1 + LEAK**2), "fan_in", "normal")
        padding = self.dilation * (self.side // 2)
        options = {"padding": padding, "kernel_dilation": self.dilation, "kernel_init": init, "name": "conv"}
        return leaky_relu(self.conv(self.features, (self.side, self.side), self.strides, **options)(x))


def begun(flows: Sequence[Flow], strides: Sequence[int], size: tuple[int, int]) -> tuple[Flow, ...]:
    """Flows of padded images, without the places that begin beyond an image of this size.

    >>> import jax.numpy as jnp
    >>> [flow.shape for flow in begun((jnp.ones((1, 2, 2, 2)), jnp.ones((1, 4, 4, 2))), (64, 32), (70, 60))]
    [(1, 2, 1, 2), (1, 3, 2, 2)]
    """
    return tuple(
        flow[:, : -(-size[0] // stride), : -(-size[1] // stride)] for flow, stride in zip(flows, strides, strict=True)
    )


def whole(flow: Flow, stride: int, size: tuple[int, int]) -> Float[Array, "batch height width 2"]:
    """A flow whose places are `stride` pixels apart, at every pixel of an image of this size.

    >>> import jax.numpy as jnp
    >>> whole(jnp.ones((1, 2, 3, 2)), 4, (7, 9)).shape
    (1, 7, 9, 2)
    """
    rows, columns = flow.shape[1:3]
    return resize(flow, (stride * rows, stride * columns))[:, : size[0], : size[1]]
