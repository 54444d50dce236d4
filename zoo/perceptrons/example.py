"""Forward-backward by example: the lecture's network of two inputs, two hidden units and one output.

    h1 = i1 w1 + i2 w2,   h2 = i1 w3 + i2 w4,   prediction = h1 w5 + h2 w6

Plain arithmetic, so Python floats go through it in double precision and jax arrays under jit, grad and vmap.
Lecture row L15, errata E4, E6, E8, E23.
"""

from typing import NamedTuple

import jax.numpy as jnp

from zoo.perceptrons.composition import Layer
from zoo.perceptrons.losses import squared_error

INPUTS = (2.0, 3.0)
"""i1 and i2 of the slides."""
TARGET = 1.0
"""What the network is to predict."""
LEARNING_RATE = 0.05
"""The step along the negative gradient."""


class Weights(NamedTuple):
    """The six weights, or the six derivatives of the error by them."""

    w1: float
    w2: float
    w3: float
    w4: float
    w5: float
    w6: float


WEIGHTS = Weights(w1=0.11, w2=0.21, w3=0.12, w4=0.08, w5=0.14, w6=0.15)
"""Step 1: the slide's "random" values."""


class Pass(NamedTuple):
    """All that a forward pass computes, steps 2 and 3."""

    h1: float
    h2: float
    prediction: float
    delta: float
    error: float


def forward(weights: Weights = WEIGHTS, inputs: tuple[float, float] = INPUTS, target: float = TARGET) -> Pass:
    """Steps 2 and 3: hidden units, prediction, Δ = prediction - target, and error ½ Δ².

    >>> Pass(*(round(value, 7) for value in forward()))
    Pass(h1=0.85, h2=0.48, prediction=0.191, delta=-0.809, error=0.3272405)
    """
    # E8: no activation function, although the slides have just shown why one is needed: this network is
    # linear in its inputs, and collapse(as_layers(weights)) is the single layer that equals it.
    (i1, i2), w = inputs, weights
    h1 = i1 * w.w1 + i2 * w.w2
    h2 = i1 * w.w3 + i2 * w.w4
    prediction = h1 * w.w5 + h2 * w.w6
    return Pass(h1, h2, prediction, prediction - target, squared_error(prediction, target))


def backward(weights: Weights, result: Pass, inputs: tuple[float, float] = INPUTS) -> Weights:
    """Step 4: the derivative of the error by each weight, e.g. Δ h2 for w6 and Δ w5 i1 for w1."""
    # E4: the first factor of the chain rule is ∂[½ (prediction - target)²] / ∂prediction = Δ;
    # the slide's third line for w6 prints the error itself there, without the ∂ / ∂prediction.
    (i1, i2), w = inputs, weights
    delta_h1, delta_h2 = result.delta * w.w5, result.delta * w.w6
    return Weights(
        w1=delta_h1 * i1,
        w2=delta_h1 * i2,
        w3=delta_h2 * i1,
        w4=delta_h2 * i2,
        w5=result.delta * result.h1,
        w6=result.delta * result.h2,
    )


def update(weights: Weights, gradients: Weights, learning_rate: float = LEARNING_RATE) -> Weights:
    """Step 5: new weight = old weight - learning rate * gradient, for all six at once."""
    # E6: the gradients of w1..w4 hold the OLD w5 and w6; updating w5 and w6 first would spoil them.
    return Weights(*(w - learning_rate * g for w, g in zip(weights, gradients, strict=True)))


def train(weights: Weights = WEIGHTS, num_steps: int = 1) -> tuple[Weights, list[Pass]]:
    """Step 6, repeat: the weights after num_steps updates, and the num_steps + 1 forward passes around them.

    >>> weights, passes = train(num_steps=20)
    >>> passes[1].prediction, abs(passes[19].delta) < 1e-3, abs(passes[20].delta) < 1e-3
    (0.2557457808075, False, True)
    """
    passes = [forward(weights)]
    for _ in range(num_steps):
        weights = update(weights, backward(weights, passes[-1]))
        passes.append(forward(weights))
    return weights, passes


def rounded(weights: Weights, decimals: int = 2) -> Weights:
    """The weights as the slide prints them."""
    # E6: the slide goes on with two decimals, and so predicts .2533 in the next pass instead of .2557.
    return Weights(*(round(float(w), decimals) for w in weights))


def as_layers(weights: Weights) -> list[Layer]:
    """The example as layers (W, b) with biases of zero, to run the general `forward` and `backward` on it."""
    # E6: one column for each hidden unit, hence the slide's matrix, which runs w1, w3, w2, w4.
    w = weights
    hidden = jnp.array([[w.w1, w.w3], [w.w2, w.w4]])
    output = jnp.array([[w.w5], [w.w6]])
    return [(hidden, jnp.zeros_like(hidden[0])), (output, jnp.zeros_like(output[0]))]
