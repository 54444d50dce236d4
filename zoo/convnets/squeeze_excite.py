"""Squeeze-and-excitation: gates on channels; and widths that hardware likes.

Hu et al., 2018, Squeeze-and-Excitation Networks. Lecture row L48.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from zoo.convnets.conv_norm import Activation
from zoo.nn.network import ModuleMaker


def divisible(width: float, divisor: int = 8) -> int:
    """The multiple of `divisor` next to a width, but at least `divisor` and never below nine tenths of the width.

    >>> divisible(24 * 0.5), divisible(16 * 0.35), divisible(20)
    (16, 8, 24)
    """
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * width else rounded + divisor


class SqueezeExcite(nn.Module):
    """Multiplies each channel by a gate computed from the means of all channels.

    Hu et al., 2018, section 3. Submodules `reduce` and `expand`, 1x1 convolutions with bias.
    """

    hidden: int
    conv: ModuleMaker
    activation: Activation = nn.relu
    gate: Activation = nn.sigmoid

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], mask: Bool[Array, "b h w"] | None = None) -> Float[Array, "b h w c"]:
        """The gated map; the means are of the places in `mask`, by default of all."""
        mean = jnp.mean(x, axis=(1, 2), keepdims=True, where=None if mask is None else mask[..., None])
        hidden = self.activation(self.conv(self.hidden, (1, 1), use_bias=True, name="reduce")(mean))
        return x * self.gate(self.conv(x.shape[-1], (1, 1), use_bias=True, name="expand")(hidden))
