"""Activation functions with their derivatives, written out for backpropagation by hand.

Rumelhart, Hinton and Williams, 1986, Learning Representations by Back-Propagating Errors (sigmoid); Nair and
Hinton, 2010, Rectified Linear Units Improve Restricted Boltzmann Machines. Lecture rows L8, L9, erratum E7.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.names import unknown


@dataclass(frozen=True)
class Activation:
    """An elementwise function and its derivative, both of the weighted sum z; a call applies the function."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]

    def __call__(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """The function of each weighted sum."""
        return self.function(z)


def sigmoid(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """The logistic function 1 / (1 + exp(-z)), with range (0, 1)."""
    return jax.nn.sigmoid(z)


def sigmoid_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """sigma(z) (1 - sigma(z)), with range (0, 1/4].

    >>> float(sigmoid_derivative(0.0))
    0.25
    """
    return sigmoid(z) * sigmoid(-z)  # 1 - sigma(z) is sigma(-z), which stays exact where sigma(z) rounds to 1


def relu(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """The rectifier max(z, 0), with range [0, inf)."""
    return jax.nn.relu(z)


def relu_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 where z > 0 and 0 elsewhere, the kink at z = 0 included.

    >>> relu_derivative(jnp.array([-1.0, 0.0, 1.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    # E7: there is no derivative at 0, and every value in [0, 1] is a subgradient. The slide takes 1;
    # jax.nn.relu and torch take 0, and so do we, so that backward() equals jax.grad.
    return jnp.heaviside(z, 0.0)


def tanh_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 - tanh(z)^2, with range (0, 1]."""
    return 1 - jnp.tanh(z) ** 2


ACTIVATIONS: Mapping[str, Activation] = {
    "identity": Activation(lambda z: z, jnp.ones_like),
    "relu": Activation(relu, relu_derivative),
    "sigmoid": Activation(sigmoid, sigmoid_derivative),
    "tanh": Activation(jnp.tanh, tanh_derivative),
}
"""By name: identity, relu, sigmoid, tanh."""


def find_activation(name: str) -> Activation:
    """The activation of this name in `ACTIVATIONS`.

    Raises:
      UnknownNameError: there is no such activation; the message names the nearest.
    """
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
