"""The threshold perceptron and the rule that trains it.

Rosenblatt, 1958, The Perceptron: A Probabilistic Model for Information Storage and Organization in the Brain;
Novikoff, 1962, On Convergence Proofs on Perceptrons. Lecture rows L3, L4, L5, erratum E10.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

XOR_INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
"""The four pairs of bits, (4, 2): slide L5."""
XOR_LABELS = np.array([0, 1, 1, 0], np.int32)
"""Whether exactly one bit of each is set, (4,): no line separates the two classes."""


class NotSeparableError(ValueError):
    """Rosenblatt's rule ran out of epochs while it was still making mistakes."""


class PerceptronFit(NamedTuple):
    """What Rosenblatt's rule found; `converged` says that the last of its epochs was free of mistakes."""

    weights: Float[Array, " inputs"]
    bias: Float[Array, ""]
    mistakes: Int[Array, ""]
    epochs: Int[Array, ""]
    converged: Bool[Array, ""]


def threshold_unit(
    inputs: Float[Array, "*batch inputs"],
    weights: Float[Array, " inputs"],
    bias: Float[Array, ""] | float = 0.0,
    threshold: float = 0.0,
) -> Int[Array, "*batch"]:
    """1 where the weighted sum of the inputs plus the bias is larger than the threshold, else 0.

    >>> threshold_unit(XOR_INPUTS, np.array([1.0, 1.0]), bias=-1.5).tolist()  # the AND of two bits
    [0, 0, 0, 1]
    """
    # E10: the slide's "multiple each input with its weight" is "multiply".
    return jnp.asarray(jnp.matmul(inputs, weights) + bias > threshold, jnp.int32)


def rosenblatt(
    inputs: Float[Array, "examples inputs"],
    labels: Int[Array, " examples"],
    weights: Float[Array, " inputs"] | None = None,
    bias: Float[Array, ""] | float = 0.0,
    learning_rate: float = 1.0,
    max_epochs: int = 100,
) -> PerceptronFit:
    """Train a perceptron on labels 0 and 1, one example at a time, until an epoch passes without a mistake.

    On separable data it ends, and from a start at zero its mistakes are within `mistake_bound` whatever the
    order of the examples. Where no plane separates the classes it never settles, and says `converged=False`.

    Args:
      inputs: the examples, in the order in which they are visited in every epoch.
      labels: 0 or 1 for each.
      weights: the start, zero by default (the slide starts at random).
      bias: the same.
      learning_rate: how much a mistake changes the weights; from a start at zero it only scales them.
      max_epochs: when to give up.

    Raises:
      ValueError: the inputs are not a matrix, its rows are not as many as the labels or its columns as the
        weights, or a label is neither 0 nor 1 (under `jit` their values are not checked).

    >>> fit = rosenblatt(XOR_INPUTS, np.array([0, 1, 1, 1]))  # OR is separable
    >>> bool(fit.converged), threshold_unit(XOR_INPUTS, fit.weights, fit.bias).tolist()
    (True, [0, 1, 1, 1])
    >>> bool(rosenblatt(XOR_INPUTS, XOR_LABELS).converged)
    False
    """
    weights = np.zeros(np.shape(inputs)[-1:]) if weights is None else weights
    inputs, labels = _checked(inputs, labels, weights)
    return _train(inputs, labels, weights, bias, learning_rate, max_epochs)


@jax.jit
def _train(inputs, labels, weights, bias, learning_rate, max_epochs) -> PerceptronFit:
    """The rule itself, compiled once for each shape."""

    def visit(state, example):
        weights, bias = state
        x, label = example
        error = label - threshold_unit(x, weights, bias)  # +1: should have fired, -1: should not have
        # E10: the slide names no bias update; the bias is the weight of an input that is always 1.
        state = weights + learning_rate * error * x, bias + learning_rate * error
        return state, error != 0

    def epoch(fit):
        (weights, bias), wrong = jax.lax.scan(visit, (fit.weights, fit.bias), (inputs, labels))
        return PerceptronFit(weights, bias, fit.mistakes + wrong.sum(dtype=jnp.int32), fit.epochs + 1, ~wrong.any())

    weights, bias, learning_rate = (jnp.asarray(value, inputs.dtype) for value in (weights, bias, learning_rate))
    start = PerceptronFit(weights, bias, jnp.int32(0), jnp.int32(0), jnp.bool_(False))
    return jax.lax.while_loop(lambda fit: ~fit.converged & (fit.epochs < max_epochs), epoch, start)


def require_converged(fit: PerceptronFit) -> PerceptronFit:
    """The fit, if it converged. It reads the values, so it cannot be used under `jit`.

    Raises:
      NotSeparableError: it did not; the message says after how many epochs and mistakes.
    """
    if not fit.converged:
        raise NotSeparableError(
            f"the perceptron still errs after {fit.epochs} epochs and {fit.mistakes} mistakes: "
            "either no hyperplane separates the classes (as for XOR, which needs a hidden layer: see MLP) "
            "or the margin is so small that it takes more epochs (raise max_epochs)"
        )
    return fit


def mistake_bound(
    inputs: Float[Array, "examples inputs"],
    labels: Int[Array, " examples"],
    weights: Float[Array, " inputs"],
    bias: Float[Array, ""] | float = 0.0,
) -> Float[Array, ""]:
    """Novikoff's bound (R / margin)² on the mistakes of Rosenblatt's rule from a start at zero.

    R is the length of the longest input. All are augmented with a constant 1, since the rule trains the bias as
    one more weight. The bound is infinite for a plane that does not separate the classes.

    Args:
      inputs: as in `rosenblatt`.
      labels: the same.
      weights: any plane that separates the classes; the wider its margin, the lower the bound.
      bias: the same.

    Raises:
      ValueError: as in `rosenblatt`.
    """
    inputs, labels = _checked(inputs, labels, weights)
    augmented = jnp.concatenate([inputs, jnp.ones_like(inputs[:, :1])], axis=1)
    separator = jnp.append(jnp.asarray(weights, inputs.dtype), bias)
    radius = jnp.linalg.norm(augmented, axis=1).max()
    margin = ((2 * labels - 1) * (augmented @ separator)).min() / jnp.linalg.norm(separator)
    return jnp.where(margin > 0, (radius / margin) ** 2, jnp.inf)


def _checked(inputs: Array, labels: Array, weights: Array) -> tuple[Array, Array]:
    """Floating inputs and their labels, or a ValueError."""
    shapes = np.shape(inputs), np.shape(labels), np.shape(weights)
    if len(shapes[0]) != 2 or shapes[0] != shapes[1] + shapes[2]:
        raise ValueError(
            "expected inputs (examples, features), one label for each example and one weight for each feature, "
            "got shapes {}, {} and {}".format(*shapes)
        )
    if not isinstance(labels, jax.core.Tracer) and not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, got {np.unique(labels).tolist()}")
    inputs = jnp.asarray(inputs)
    return inputs.astype(jnp.promote_types(inputs.dtype, jnp.float32)), jnp.asarray(labels, jnp.int32)
