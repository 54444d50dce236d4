"""Convolution, normalisation, activation: the three steps that most networks repeat."""

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.nn.network import ModuleMaker
from zoo.nn.window import Padding, per_axis

Activation = Callable[[Array], Array]


class ConvNormActivation(nn.Module):
    """A convolution, then a normalisation and an activation where there is one. Submodules `conv` and `norm`."""

    features: int
    window: int | tuple[int, ...]
    """For all axes of space or each; of a clip they are time, height and width."""
    conv: ModuleMaker
    """Makes a convolution: `zoo.nn.Conv` with types and initialiser set."""
    norm: ModuleMaker | None = None
    """Makes a normalisation that is called with (x, use_running_average); without one the convolution has a bias."""
    activation: Activation | None = nn.relu
    strides: int | tuple[int, ...] = 1
    padding: Padding | None = None
    """By default what keeps the size at a stride of 1; the same before and after, as in torch."""
    groups: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b *places c"], train: bool) -> Float[Array, "b *fewer features"]:
        window = per_axis(self.window, x.ndim - 2, "window")
        padding = tuple(self.dilation * (size - 1) // 2 for size in window) if self.padding is None else self.padding
        x = self.conv(
            self.features,
            window,
            strides=self.strides,
            padding=padding,
            use_bias=self.norm is None,
            feature_group_count=self.groups,
            kernel_dilation=self.dilation,
            name="conv",
        )(x)
        if self.norm is not None:
            x = self.norm(name="norm")(x, not train)
        return x if self.activation is None else self.activation(x)
