"""Checks of the exercises on recurrent networks: a step of an RNN, how gradients vanish, a step of an LSTM. L71-L76."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from zoo.exercises.mistakes import compare, parts
from zoo.exercises.verdict import Verdict, judged

_Vector = Float[np.ndarray, " hidden"]
_Matrices = dict[str, Float[np.ndarray, "rows hidden"]]
_GATES = "ifog"


def check_rnn_step(function: Callable) -> Verdict:
    """Checks `rnn_step(U, W, V, b, c, x)`: the slide's memory c_t = W tanh(c_{t-1}) + U x_t + b, and V tanh(c_t).

    >>> check_rnn_step(lambda U, W, V, b, c, x: (W @ c + U @ x + b, 0))
    Not yet: the memory at (0,): expected 0.57291, got 0.7052. W reads tanh of the last memory
    """
    return judged(lambda: _rnn_step(function))


def _rnn_step(function: Callable) -> str:
    draw = np.random.default_rng(0)
    cases = 3
    for _ in range(cases):
        U, W, V, b = (draw.normal(size=shape).round(2) for shape in ((4, 3), (4, 4), (2, 4), (4,)))
        c, x = draw.normal(size=4).round(2), draw.normal(size=3).round(2)
        memory, output = parts("rnn_step(U, W, V, b, c, x)", function(U, W, V, b, c, x), ("memory", "output"))
        right = W @ np.tanh(c) + U @ x + b
        compare(
            "the memory",
            memory,
            right,
            ("W reads tanh of the last memory", W @ c + U @ x + b),
            ("The slide keeps the memory before tanh is taken of it", np.tanh(right)),
            ("That is Elman's form: the slide takes tanh of the last memory alone", np.tanh(W @ c + U @ x + b)),
            ("W stands left of its column: W @ ..., not ... @ W", np.tanh(c) @ W + U @ x + b),
            ("The bias is missing", right - b),
        )
        compare(
            "the output",
            output,
            V @ np.tanh(right),
            ("V reads tanh of the memory", V @ right),
            ("V reads the new memory, not the last one", V @ np.tanh(c)),
        )
    return f"{cases} steps"


def check_steps_until(function: Callable) -> Verdict:
    """Checks `steps_until(radius, share)`: after how many steps back no more than a share of a gradient is left.

    >>> check_steps_until(lambda radius, share: 0)
    Not yet: steps_until(0.5, 0.01): expected 7, got 0
    """
    return judged(lambda: _steps_until(function))


def _steps_until(function: Callable) -> str:
    cases = [(0.5, 0.01), (0.9, 0.01), (0.99, 0.5), (0.5, 0.5), (1.0, 0.1), (1.2, 0.1)]
    for radius, share in cases:
        exact = math.log(share) / math.log(radius) if radius != 1 else -math.inf
        if radius < 1:
            right = math.ceil(exact - 1e-9)
            mistakes = [("A part of a step is a whole one: round up", math.floor(exact))]
            mistakes += [("Steps are whole: round up", exact)]
        else:
            right, never = math.inf, "From a radius of 1 on it never vanishes: np.inf"
            mistakes = [(never, exact), (never, np.ceil(exact))]
        compare(f"steps_until({radius:g}, {share:g})", function(radius, share), right, *mistakes)
    return f"{len(cases)} radii, of 1 and more too"


def check_lstm_step(function: Callable) -> Verdict:
    """Checks `lstm_step(U, W, c, m, x)`: the slide's c_t and m_t, U and W by gate: "i", "f", "o", "g".

    >>> check_lstm_step(lambda U, W, c, m, x: (c, m))
    Not yet: the cell state at (0,): expected 0.0633929, got 0.1
    """
    return judged(lambda: _lstm_step(function))


def _lstm_step(function: Callable) -> str:
    draw = np.random.default_rng(1)
    cases = 3
    for _ in range(cases):
        U: _Matrices = {gate: draw.normal(size=(2, 3)).round(2) for gate in _GATES}
        W: _Matrices = {gate: draw.normal(size=(3, 3)).round(2) for gate in _GATES}
        c, m, x = draw.normal(size=3).round(1), draw.uniform(-1, 1, 3).round(2), draw.normal(size=2).round(2)
        cell, output = parts("lstm_step(U, W, c, m, x)", function(U, W, c, m, x), ("cell state", "output"))
        sums = {gate: x @ U[gate] + m @ W[gate] for gate in _GATES}
        i, f, o = (_sigmoid(sums[gate]) for gate in "ifo")
        candidate = np.tanh(sums["g"])
        right = c * f + candidate * i
        compare(
            "the cell state",
            cell,
            right,
            ("The forget gate is of the old cell state, the input gate of the candidate", c * i + candidate * f),
            ("The candidate is tanh, not σ", c * f + _sigmoid(sums["g"]) * i),
            ("The old cell state is multiplied with the forget gate", c + candidate * i),
            ("The candidate is multiplied with the input gate", c * f + candidate),
            ("Gates read the last output m, not the cell state", _with_peepholes(U, W, c, x)),
        )
        compare(
            "the output",
            output,
            np.tanh(right) * o,
            ("tanh of the cell state", right * o),
            ("The output gate is missing", np.tanh(right)),
            ("The output is of the new cell state, not of the old one", np.tanh(c) * o),
        )
    return f"{cases} steps"


def _with_peepholes(U: _Matrices, W: _Matrices, c: _Vector, x: Float[np.ndarray, " inputs"]) -> _Vector:
    """The cell state by a usual mistake."""
    sums = {gate: x @ U[gate] + c @ W[gate] for gate in _GATES}
    return c * _sigmoid(sums["f"]) + np.tanh(sums["g"]) * _sigmoid(sums["i"])


def _sigmoid(z: _Vector) -> _Vector:
    return 1 / (1 + np.exp(-z))
