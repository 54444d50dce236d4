"""Checks of the exercises on perceptrons, losses and backpropagation. Lecture rows L4, L14, L15 and L17.

Each takes the reader's function, calls it on drawn numbers and compares with the library or with autodiff.
"""

from collections.abc import Callable

import jax
import numpy as np

from zoo.exercises.mistakes import compare, parts
from zoo.exercises.verdict import Verdict, Wrong, judged
from zoo.perceptrons import example, relu, rosenblatt, softmax, threshold_unit


def check_rosenblatt(step: Callable) -> Verdict:
    """Checks `step(weights, bias, x, label) -> (weights, bias)`: one visit of Rosenblatt's rule to one example.

    >>> check_rosenblatt(lambda weights, bias, x, label: (weights, bias))
    Not yet: weights at (0,): expected 1.3, got 0.8. The unit was wrong here: its weights have to change
    """
    return judged(lambda: _rosenblatt(step))


def _rosenblatt(step: Callable) -> str:
    weights, bias = np.float32([0.8, -0.5, 0.3]), np.float32(-0.4)
    x = np.float32([0.5, 2.0, 1.0])  # the sum is -0.7, so the unit does not fire; it fires for -x / 4
    for inputs, label in ((x, 1), (-x, 0), (-4 * x, 0), (x, 0), (-4 * x, 1)):
        fired = int(threshold_unit(inputs, weights, bias))
        right = rosenblatt(inputs[None], np.array([label]), weights, bias, max_epochs=1)
        got_weights, got_bias = parts("step", step(weights.copy(), bias, inputs.copy(), label), ("weights", "bias"))
        error = label - fired
        compare(
            "weights",
            got_weights,
            right.weights,
            ("The unit was wrong here: its weights have to change", weights),
            (
                "That is the other direction: increase where the label is 1 and the unit said 0",
                weights - error * inputs,
            ),
            ("The unit was right here: nothing changes", weights + (2 * label - 1) * inputs),
            ("A weight changes by its input, not by 1", weights + error),
        )
        compare(
            "bias",
            got_bias,
            right.bias,
            ("The bias learns too: it is the weight of an input that is always 1 (E10)", bias),
            ("The bias moves in the same direction as the weights", bias - error),
        )
    return "a mistake moves weights and bias towards the label, and nothing else does"


def check_chain_rule(gradients: Callable) -> Verdict:
    """Checks `gradients(weights, inputs, target) -> (g1, ..., g6)`, the slide's six derivatives of the error."""
    return judged(lambda: _chain_rule(gradients))


def _chain_rule(gradients: Callable) -> str:
    drawn = np.random.default_rng(0).normal(size=(3, 9)).round(2).tolist()
    cases = [
        (example.WEIGHTS, example.INPUTS, example.TARGET),
        *((example.Weights(*row[:6]), tuple(row[6:8]), row[8]) for row in drawn),
    ]
    names = example.Weights._fields
    for weights, inputs, target in cases:
        by_autodiff = jax.grad(lambda w, i=inputs, t=target: example.forward(w, i, t).error)(weights)
        given = parts("gradients", gradients(weights, inputs, target), names)
        passed = example.forward(weights, inputs, target)
        later = example.update(weights, by_autodiff)
        with_new = example.backward(weights._replace(w5=later.w5, w6=later.w6), passed, inputs)
        with_error = example.backward(weights, passed._replace(delta=passed.error), inputs)
        crossed = example.backward(weights._replace(w5=weights.w6, w6=weights.w5), passed, inputs)
        for name, got in zip(names, given, strict=True):
            mistakes = (
                ("The sign: Δ is prediction - target", -getattr(by_autodiff, name)),
                ("The first factor is the derivative of the error, Δ, not the error (E4)", getattr(with_error, name)),
                ("Use the old w5 and w6, not the updated ones (E6)", getattr(with_new, name)),
                ("w1 and w2 lead to h1 and so to w5; w3 and w4 lead to h2 and so to w6", getattr(crossed, name)),
            )
            compare(f"derivative by {name}", got, getattr(by_autodiff, name), *mistakes)
    return "all six derivatives are those of autodiff, on the slide's numbers and on three drawn networks"


def check_backprop(backprop: Callable) -> Verdict:
    """Checks `backprop(x, weights, bias, gradient) -> (by weights, by bias, by x)` for the layer relu(x W + b).

    `gradient` is the derivative of the loss by the layer's outputs, and `x` a batch. Compared with `jax.vjp`.
    """
    return judged(lambda: _backprop(backprop))


def _backprop(backprop: Callable) -> str:
    draw = np.random.default_rng(1)
    for batch, inputs, outputs in ((4, 3, 2), (1, 2, 2), (5, 2, 6)):
        shapes = (batch, inputs), (inputs, outputs), (outputs,), (batch, outputs)
        x, weights, bias, gradient = (draw.normal(size=shape).astype(np.float32) for shape in shapes)
        _, back = jax.vjp(lambda w, b, x: relu(x @ w + b), weights, bias, x)
        right = back(gradient)
        given = parts("backprop", backprop(x, weights, bias, gradient), ("by weights", "by bias", "by x"))

        def by_hand(delta, x=x, weights=weights):
            return x.T @ delta, delta.sum(0), delta @ weights.T

        forgotten = "Multiply with the derivative of relu first: nothing goes back where the sum was below 0"
        misplaced = "relu's derivative looks at the sum x W + b, not at the gradient"
        averaged = "Sum over the batch: the mean belongs to the loss, and is in its gradient"
        bare, wrong = by_hand(gradient), by_hand(gradient * (gradient > 0))
        means = (right[0] / batch, right[1] / batch, right[2])
        for i, name in enumerate(("gradient by weights", "gradient by bias", "gradient by x")):
            mistakes = (forgotten, bare[i]), (misplaced, wrong[i]), (averaged, means[i])
            compare(name, given[i], right[i], *mistakes)
    return "all three gradients are those of autodiff, for three layers"


def check_softmax(function: Callable) -> Verdict:
    """Checks `softmax(logits)` of a batch (examples, classes): each row a distribution, whatever the size of logits."""
    return judged(lambda: _softmax(function))


def _softmax(function: Callable) -> str:
    logits = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    exponentials = np.exp(logits)
    along = "Each example is a row: sum along the last axis, and keep it, keepdims=True (E5)"
    mistakes = (along, exponentials / exponentials.sum()), (along, exponentials / exponentials.sum(0))
    compare("softmax", function(logits.copy()), softmax(logits), *mistakes)

    large = np.float32([[1000, 999, 0], [-1000, -1001, -1000], [88, 89, 90]])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        got = np.asarray(function(large.copy()))
    if not np.isfinite(got).all():
        raise Wrong(
            f"softmax of the logits {large[0].tolist()}: expected {np.round(softmax(large)[0], 3).tolist()}, "
            f"got {got[0].tolist()}. exp overflows in float32 from 89 on: subtract each row's maximum, "
            "which changes no ratio (E5)"
        )
    compare("softmax of large logits", got, softmax(large))
    return "each row sums to 1, and logits of ±1000 do no harm"
