"""The multi-layer perceptron as a Flax module.

Rumelhart, Hinton and Williams, 1986, Learning Representations by Back-Propagating Errors. Lecture rows L5, L6.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.perceptrons.activations import find_activation
from zoo.perceptrons.composition import Layer


class MLP(nn.Module):
    """Weighted sum, bias and activation in each hidden layer; weighted sums alone (the logits) at the output.

    An image is flattened first, so its spatial structure is lost. Without hidden layers it is the linear
    classifier; with `num_classes=0` there is no output layer and the last hidden activations are returned.
    `activation` is a name in `ACTIVATIONS` or any elementwise function. Dropout follows every hidden layer.
    """

    hidden: Sequence[int] = (512, 256)
    num_classes: int = 10
    activation: str | Callable[[Array], Array] = "relu"
    dropout: float = 0.0
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch ..."], train: bool = False, features: bool = False
    ) -> Float[Array, "batch classes"] | dict[str, Float[Array, "batch _"]]:
        """The logits; with `features=True` a dict of "hidden1", "hidden2", ..., "pre_logits", "logits".

        In training with dropout > 0 it needs the random key "dropout".

        Raises:
          UnknownNameError: there is no activation of that name.
          ValueError: the images have no batch axis.
        """
        if images.ndim < 2:
            raise ValueError(f"expected images (batch, height, width, channels), got shape {images.shape}")
        activation = find_activation(self.activation) if isinstance(self.activation, str) else self.activation
        named = {}
        x = images.reshape(images.shape[0], math.prod(images.shape[1:]))
        for number, width in enumerate(self.hidden, start=1):
            x = self._dense(width, f"hidden{number}", nn.initializers.he_normal())(x)
            x = named[f"hidden{number}"] = activation(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        named["pre_logits"] = x
        if self.num_classes:
            x = named["logits"] = self._dense(self.num_classes, "output", nn.initializers.lecun_normal())(x)
        return named if features else x

    def _dense(self, width: int, name: str, kernel_init: Callable) -> nn.Dense:
        return nn.Dense(width, dtype=self.dtype, param_dtype=self.param_dtype, kernel_init=kernel_init, name=name)


def layers_of(params: Mapping[str, Mapping[str, Array]]) -> list[Layer]:
    """The parameters of an `MLP` as the list of (W, b) that `forward`, `backward` and `collapse` take."""
    names = [f"hidden{number}" for number in range(1, len(params))] + ["output"]
    return [(params[name]["kernel"], params[name]["bias"]) for name in names]
