"""The multi-layer perceptron as a Flax module.

Rumelhart, Hinton and Williams, 1986, Learning Representations by Back-Propagating Errors. Lecture rows L5, L6.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn.checks import check_classes
from zoo.nn.network import Network
from zoo.perceptrons.activations import find_activation
from zoo.perceptrons.composition import Layer


class MLP(Network):
    """Hidden layers of weighted sum, bias and activation, then a layer without activation that gives the logits.

    Images are flattened first, so their spatial structure is lost; vectors serve as well. Without hidden layers
    this is the linear classifier.
    """

    hidden: Sequence[int] = (512, 256)
    """The width of each hidden layer."""
    num_classes: int = 10
    """Outputs; 0 gives the last hidden layer instead of logits."""
    activation: str | Callable[[Array], Array] = "relu"
    """A name in `ACTIVATIONS`, or any elementwise function."""
    dropout: float = 0.0
    """The share of each hidden layer's values that training sets to zero."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch ..."], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: hidden1, hidden2, ..., pre_logits and logits.

        In training with dropout it needs the random key "dropout".

        Raises:
          UnknownNameError: there is no activation of that name.
          ValueError: the images have no batch axis, a width is not positive, dropout is not in [0, 1), or the number
            of classes is negative.
          TypeError: the values are integers, such as pixels that nobody has scaled.
        """
        check_classes(self.num_classes)
        if images.ndim < 2:
            raise ValueError(f"MLP expected images or vectors (batch, ...), got shape {images.shape}")
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise TypeError(f"MLP expected floating-point images, got {images.dtype}: scale and normalise pixels first")
        if not 0 <= self.dropout < 1 or min(self.hidden, default=1) < 1:
            raise ValueError(
                "MLP expected positive widths and 0 <= dropout < 1, "
                f"got hidden={tuple(self.hidden)} and dropout={self.dropout}"
            )
        activation = find_activation(self.activation) if isinstance(self.activation, str) else self.activation
        layer = self.rematerialised(HiddenLayer, ())
        named = {}
        x = images.reshape(images.shape[0], math.prod(images.shape[1:]))
        for number, width in enumerate(self.hidden, start=1):
            name = f"hidden{number}"
            named[name] = x = layer(width, activation, self.dtype, self.param_dtype, name=name)(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            head = nn.Dense(self.num_classes, dtype=self.wide, param_dtype=self.param_dtype, name="head")
            named["logits"] = x = head(x)
        return named if features else x


class HiddenLayer(nn.Module):
    """activation(x W + b), with W = `kernel` drawn as in He et al., 2015, Delving Deep into Rectifiers, and b zero."""

    width: int
    activation: Callable[[Array], Array]
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch width"]:
        weights = self.param("kernel", nn.initializers.he_normal(), (x.shape[-1], self.width), self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.width,), self.param_dtype)
        x, weights, bias = (array.astype(self.dtype) for array in (x, weights, bias))
        return self.activation(x @ weights + bias)


def layers_of(params: Mapping[str, Mapping[str, Array]]) -> list[Layer]:
    """The parameters of an `MLP` as the list of (W, b) that `forward`, `backward` and `collapse` take.

    W is (features, neurons) and b (neurons,).
    """
    names = [*(f"hidden{number}" for number in range(1, len(params))), "head"]
    return [(params[name]["kernel"], params[name]["bias"]) for name in names]
