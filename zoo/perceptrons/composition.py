"""A deep network as a composition of functions, its training goal, and why it needs non-linear ones.

Lecture rows L2 (composition and goal) and L7 (linear functions of linear functions), erratum E9.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
from jaxtyping import Array, Float

Layer = tuple[Float[Array, "inputs outputs"], Float[Array, " outputs"]]
"""The weights W and bias b of one layer, which maps a row vector x to x W + b."""


def compose(*functions: Callable[[Array, Any], Array]) -> Callable[[Array, Sequence[Any]], Array]:
    """The network a_L(x; θ) = h_L(... h_2(h_1(x, θ_1), θ_2) ..., θ_L), pure in x and (θ_1, ..., θ_L).

    x is an array of any shape.

    Raises (when the network is called):
      ValueError: there are not as many parameters as functions.

    >>> network = compose(lambda x, scale: scale * x, lambda x, shift: x + shift)
    >>> network(3.0, (2.0, 1.0))
    7.0
    """

    def network(x: Array, parameters: Sequence[Any]) -> Array:
        if len(parameters) != len(functions):
            raise ValueError(f"expected parameters for {len(functions)} functions, got {len(parameters)}")
        for function, theta in zip(functions, parameters, strict=True):
            x = function(x, theta)
        return x

    return network


def empirical_risk(
    network: Callable[[Array, Any], Array],
    loss: Callable[[Array, Array], Array],
    parameters: Any,
    inputs: Float[Array, "examples ..."],
    targets: Array,
) -> Float[Array, ""]:
    """The training goal: the sum of loss(network(x, θ), y) over the pairs (x, y) of the training set.

    Args:
      network: the output for one input and the parameters.
      loss: of one output and its target.
      parameters: θ.
      inputs: (examples, ...).
      targets: (examples, ...), one for each input.
    """
    # E9: the slide sums over (x, y) ⊆ (X, Y); a pair is a member of the training set, ∈, not a subset.
    return jax.vmap(lambda x, y: loss(network(x, parameters), y))(inputs, targets).sum()


def collapse(layers: Sequence[Layer]) -> Layer:
    """The one layer that computes what a stack of layers without activations computes.

    For two layers v(x) = x A + b and w(z) = z C + d it is w(v(x)) = x (A C) + (b C + d).

    Raises:
      ValueError: there are no layers.
    """
    if not layers:
        raise ValueError("expected at least one layer (W, b), got none")
    return reduce(lambda first, second: (first[0] @ second[0], first[1] @ second[0] + second[1]), layers)
