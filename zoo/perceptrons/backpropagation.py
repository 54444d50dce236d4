"""Forward and backward propagation through a multi-layer perceptron by hand: the chain rule, no autodiff.

Rumelhart, Hinton and Williams, 1986, Learning Representations by Back-Propagating Errors. Lecture rows L6
(forward) and L14 (backward).
"""

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from zoo.perceptrons.activations import Activation, find_activation
from zoo.perceptrons.composition import Layer

Trace = list[tuple[Float[Array, "*batch inputs"], Float[Array, "*batch outputs"]]]
"""What backward needs of each layer: the input x that it saw, and its weighted sum z = x W + b."""


def init_layers(key: PRNGKeyArray, widths: Sequence[int]) -> list[Layer]:
    """Random layers from widths[0] inputs to widths[-1] outputs: weights N(0, 2 / inputs), biases 0.

    The variance is that of He et al., 2015, Delving Deep into Rectifiers, section 2.2, which keeps the scale of
    the signal through layers of rectifiers.

    Raises:
      ValueError: there are fewer than two widths.
    """
    if len(widths) < 2:
        raise ValueError(f"expected at least an input and an output width, got {tuple(widths)}")
    keys = jax.random.split(key, len(widths) - 1)
    return [
        (jnp.sqrt(2 / inputs) * jax.random.normal(layer_key, (inputs, outputs)), jnp.zeros(outputs))
        for layer_key, (inputs, outputs) in zip(keys, pairwise(widths), strict=True)
    ]


def forward(
    layers: Sequence[Layer],
    inputs: Float[Array, "*batch inputs"],
    activation: str | Activation = "relu",
) -> tuple[Float[Array, "*batch outputs"], Trace]:
    """The outputs of the network, and the trace that `backward` needs.

    Every layer is a weighted sum plus bias, followed by the activation except after the last layer, whose
    sums (a regression's values, a classifier's logits) are the outputs.

    Args:
      layers: the weights and bias (W, b) of each layer.
      inputs: one example, or a batch of any rank.
      activation: a name in `ACTIVATIONS`, or any function with its derivative.

    Raises:
      UnknownNameError: there is no such activation.
      ValueError: a layer expects another number of inputs.

    >>> layers = [(jnp.eye(2), jnp.array([0.0, -3.0])), (jnp.ones((2, 1)), jnp.zeros(1))]
    >>> outputs, trace = forward(layers, jnp.array([1.0, 2.0]))
    >>> outputs.tolist()  # relu(1) + relu(2 - 3)
    [1.0]
    >>> gradients, input_gradient = backward(layers, trace, jnp.ones(1))
    >>> input_gradient.tolist()
    [1.0, 0.0]
    """
    activation = _pair(activation)
    trace = []
    x = jnp.asarray(inputs)
    for number, (weights, bias) in enumerate(layers, start=1):
        if x.shape[-1:] != weights.shape[:1]:
            raise ValueError(f"layer {number} expects {weights.shape[0]} inputs, got shape {x.shape}")
        z = x @ weights + bias
        trace.append((x, z))
        x = z if number == len(layers) else activation(z)
    return x, trace


def backward(
    layers: Sequence[Layer],
    trace: Trace,
    output_gradient: Float[Array, "*batch outputs"],
    activation: str | Activation = "relu",
) -> tuple[list[Layer], Float[Array, "*batch inputs"]]:
    """The gradients of the loss for all weights and biases, summed over the batch, and for the inputs.

    The chain rule walks back from the outputs: with δ the derivative of the loss by a layer's sums
    z = x W + b, its derivative is xᵀδ by W, δ by b, and δWᵀ by x.

    Args:
      layers: as in `forward`.
      trace: what `forward` returned beside the outputs.
      output_gradient: the derivative of the loss by the outputs.
      activation: as in `forward`.
    """
    activation = _pair(activation)
    gradients = []
    delta = output_gradient
    for number in range(len(layers), 0, -1):
        weights, _ = layers[number - 1]
        x, z = trace[number - 1]
        if number < len(layers):
            delta = delta * activation.derivative(z)
        gradients.append((jnp.einsum("...i,...o->io", x, delta), jnp.einsum("...o->o", delta)))
        delta = delta @ weights.T
    return gradients[::-1], delta


def _pair(activation: str | Activation) -> Activation:
    return find_activation(activation) if isinstance(activation, str) else activation
