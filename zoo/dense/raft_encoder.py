"""RAFT's encoders: residual networks to an eighth of the resolution, with an instance or a batch normalisation or none.

Teed and Deng, 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, section 3.1 and Figure 5; numbers as
in torchvision/models/optical_flow/raft.py. Lecture row L62.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.names import unknown
from zoo.nn.network import ModuleMaker, Network

NORMS = ("instance", "batch", "none")


class InstanceNorm(nn.Module):
    """Normalises each channel of each image over space; has no parameters.

    Ulyanov, Vedaldi and Lempitsky, 2016, Instance Normalization; as torch's InstanceNorm2d.
    """

    epsilon: float = 1e-5
    dtype: Any = None
    """Type of the result; None takes the input's. Statistics are of float32 at least."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch rows columns channels"], use_running_average: bool = True
    ) -> Float[Array, "batch rows columns channels"]:
        """The same at evaluation as in training: `use_running_average`, which all normalisations take, says nothing."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        centred = wide - wide.mean((1, 2), keepdims=True)
        variance = jnp.square(centred).mean((1, 2), keepdims=True)
        return (centred / jnp.sqrt(variance + self.epsilon)).astype(self.dtype or x.dtype)


class NoNorm(nn.Module):
    """Nothing, where others normalise."""

    @nn.compact
    def __call__(self, x: Float[Array, "*any"], use_running_average: bool = True) -> Float[Array, "*any"]:
        """The input."""
        return x


class Unit(nn.Module):
    """A residual unit of two 3x3 convolutions, or of 1x1, 3x3 and 1x1, each with normalisation and ReLU.

    The last has its ReLU before the addition too, and all have biases, unlike a ResNet's.
    """

    features: int
    strides: int
    bottleneck: bool
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch rows columns channels"], train: bool
    ) -> Float[Array, "batch _ _ features"]:
        """The unit's maps, at the resolution divided by the strides."""
        width, step = self.features // 4, self.strides
        layers = [(self.features, 3, step), (self.features, 3, 1)]
        if self.bottleneck:
            layers = [(width, 1, 1), (width, 3, step), (self.features, 1, 1)]
        branch = x
        for number, (features, side, strides) in enumerate(layers, start=1):
            conv = self.conv(features, (side, side), strides, padding=side // 2, name=f"conv{number}")
            branch = nn.relu(self.norm(name=f"norm{number}")(conv(branch), not train))
        if step > 1:
            x = self.conv(self.features, (1, 1), step, padding=0, name="shortcut_conv")(x)
            x = self.norm(name="shortcut_norm")(x, not train)
        return nn.relu(x + branch)


class Encoder(Network):
    """A 7x7 convolution, three stages of two units each, and a 1x1 convolution: maps of stride 8."""

    widths: tuple[int, ...] = (64, 64, 96, 128, 256)
    """Channels of the first convolution, of the stages and of the result."""
    bottleneck: bool = False
    """Units of three convolutions instead of two."""
    norm: str = "instance"
    """"instance", "batch" or "none"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False
    ) -> Float[Array, "batch _ _ features"]:
        """Maps of both sides divided by 8, which has to divide them.

        Raises:
          UnknownNameError: there is no such normalisation.
        """
        if self.norm not in NORMS:
            raise unknown("normalisation", self.norm, NORMS)
        maker = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        conv = self.conv_maker(kernel_init=maker)
        norm: ModuleMaker = {"batch": self.norm_maker(), "none": NoNorm}.get(self.norm, InstanceNorm)
        first, *stages, last = self.widths
        x = conv(first, (7, 7), 2, padding=3, name="stem_conv")(images.astype(self.dtype))
        x = nn.relu(norm(name="stem_norm")(x, not train))
        unit = self.rematerialised(Unit)
        for stage, features in enumerate(stages, start=1):
            for number in (1, 2):
                strides = 2 if number == 1 and stage > 1 else 1
                name = f"stage{stage}_unit{number}"
                x = unit(features, strides, self.bottleneck, conv, norm, name=name)(x, train)
        return conv(last, (1, 1), padding=0, name="out")(x)
