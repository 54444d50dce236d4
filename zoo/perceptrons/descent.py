"""Gradient descent, its stochastic form, momentum and Adam, each as short as its formula.

Robbins and Monro, 1951, A Stochastic Approximation Method; Polyak, 1964, Some Methods of Speeding up the
Convergence of Iteration Methods; Kingma and Ba, 2015, Adam: A Method for Stochastic Optimization. Lecture rows
L11, L12, L13.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree


def gradient_descent(
    objective: Callable[[PyTree], Float[Array, ""]], weights: PyTree, learning_rate: float, num_steps: int
) -> tuple[PyTree, Float[Array, " num_steps"]]:
    """w ← w - γ f'(w), num_steps times: the final weights, and f before each step.

    >>> w, _ = gradient_descent(lambda w: (w - 3.0) ** 2, 0.0, learning_rate=0.5, num_steps=1)
    >>> float(w)
    3.0
    """

    def step(w, _):
        value, gradient = jax.value_and_grad(objective)(w)
        return jax.tree.map(lambda w, g: w - learning_rate * g, w, gradient), value

    return jax.lax.scan(step, weights, length=num_steps)


def stochastic_gradient_descent(
    objective: Callable[..., Float[Array, ""]],
    weights: PyTree,
    examples: tuple[Array, ...],
    key: PRNGKeyArray,
    learning_rate: float,
    batch_size: int,
    num_steps: int,
) -> tuple[PyTree, Float[Array, " num_steps"]]:
    """w ← w - γ ∂f(w, batch), num_steps times: the final weights, and f on each batch before its step.

    Args:
      objective: called as `objective(weights, *batch)`, for example the mean of a loss.
      weights: the start.
      examples: arrays whose first axis counts the examples, such as (inputs, targets).
      key: decides the batches; each draws its examples without replacement.
      learning_rate: γ; convergence depends on it (for a quadratic it must be below 2 / curvature).
      batch_size: the examples in a batch.
      num_steps: how many batches.

    Raises:
      ValueError: the batch size is not between 1 and the number of examples.
    """
    num_examples = len(examples[0])
    if not 1 <= batch_size <= num_examples:
        raise ValueError(f"batch_size must be between 1 and the {num_examples} examples, got {batch_size}")

    def step(w, step_key):
        rows = jax.random.choice(step_key, num_examples, (batch_size,), replace=False)
        value, gradient = jax.value_and_grad(objective)(w, *(jnp.asarray(array)[rows] for array in examples))
        return jax.tree.map(lambda w, g: w - learning_rate * g, w, gradient), value

    return jax.lax.scan(step, weights, jax.random.split(key, num_steps))


def momentum_step(
    weights: PyTree, gradient: PyTree, velocity: PyTree, learning_rate: float, decay: float = 0.9
) -> tuple[PyTree, PyTree]:
    """v ← μ v + g, w ← w - γ v: the new weights and velocity; the velocity starts at zeros."""
    velocity = jax.tree.map(lambda v, g: decay * v + g, velocity, gradient)
    return jax.tree.map(lambda w, v: w - learning_rate * v, weights, velocity), velocity


class AdamState(NamedTuple):
    """Steps taken, and the running means of the gradient and of its square."""

    step: Int[Array, ""]
    mean: PyTree
    square: PyTree


def adam_init(weights: PyTree) -> AdamState:
    """The state before the first step: zeros."""
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return AdamState(jnp.int32(0), zeros, zeros)


def adam_step(
    weights: PyTree,
    gradient: PyTree,
    state: AdamState,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[PyTree, AdamState]:
    """w ← w - γ m̂ / (√v̂ + ε), where m̂ and v̂ are divided by 1 - βᵗ for having started at zero."""
    step = state.step + 1
    mean = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, state.mean, gradient)
    square = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g**2, state.square, gradient)

    def move(w, m, v):
        return w - learning_rate * (m / (1 - beta1**step)) / (jnp.sqrt(v / (1 - beta2**step)) + epsilon)

    return jax.tree.map(move, weights, mean, square), AdamState(step, mean, square)
