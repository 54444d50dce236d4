"""Exercises on recurrent networks: right answers written here pass, and usual mistakes are told what they are."""

import math

import numpy as np
import pytest
from scipy.special import expit

from zoo.exercises.sequences import check_lstm_step, check_rnn_step, check_steps_until
from zoo.sequences import SlideLSTMCarry, SlideLSTMParams, SlideRNNParams, slide_lstm_step, slide_rnn_step


def rnn_step(U, W, V, b, c, x):
    return slide_rnn_step(SlideRNNParams(U, W, V, b), c, x)


def lstm_step(U, W, c, m, x):
    params = SlideLSTMParams(*(U[gate] for gate in "ifog"), *(W[gate] for gate in "ifog"))
    return slide_lstm_step(params, SlideLSTMCarry(c, m), x)[0]


def steps_until(radius, share):
    if radius >= 1:
        return np.inf
    steps, left = 0, 1.0
    while left > share * (1 + 1e-12):
        steps, left = steps + 1, left * radius
    return steps


def lstm(U, W, c, m, x, candidate=np.tanh, forget="f", write="i", shown=np.tanh, show=True):
    """The step, or one with a mistake."""
    sums = {gate: x @ U[gate] + m @ W[gate] for gate in "ifog"}
    cell = c * expit(sums[forget]) + candidate(sums["g"]) * expit(sums[write])
    return cell, shown(cell) * (expit(sums["o"]) if show else 1)


CHECKS = {check_rnn_step: rnn_step, check_lstm_step: lstm_step, check_steps_until: steps_until}


def test_right_answers_are_right():
    for check, answer in CHECKS.items():
        assert check(answer), check(answer)


@pytest.mark.parametrize(
    ("check", "wrong", "said"),
    [
        (check_rnn_step, lambda U, W, V, b, c, x: (W @ c + U @ x + b, 0), "W reads tanh of the last memory"),
        (check_rnn_step, lambda *given: (np.tanh(rnn_step(*given)[0]), 0), "before tanh is taken of it"),
        (check_rnn_step, lambda U, W, V, b, c, x: (np.tanh(W @ c + U @ x + b), 0), "Elman's form"),
        (check_rnn_step, lambda U, W, V, b, c, x: (np.tanh(c) @ W + U @ x + b, 0), "left of its column"),
        (check_rnn_step, lambda U, W, V, b, c, x: (W @ np.tanh(c) + U @ x, 0), "The bias is missing"),
        (check_rnn_step, lambda *given: (rnn_step(*given)[0], given[2] @ rnn_step(*given)[0]), "V reads tanh"),
        (check_rnn_step, lambda *given: (rnn_step(*given)[0], given[2] @ np.tanh(given[4])), "the new memory"),
        (check_rnn_step, lambda *given: rnn_step(*given)[0], "expected (memory, output), got 4 values"),
        (check_steps_until, lambda radius, share: math.log(share) / math.log(radius), "round up"),
        (check_steps_until, lambda radius, share: int(math.log(share) / math.log(radius)), "round up"),
        (check_lstm_step, lambda *given: lstm(*given, forget="i", write="f"), "The forget gate is of the old"),
        (check_lstm_step, lambda *given: lstm(*given, candidate=expit), "The candidate is tanh"),
        (check_lstm_step, lambda *given: lstm(*given, shown=lambda cell: cell), "tanh of the cell state"),
        (check_lstm_step, lambda *given: lstm(*given, show=False), "The output gate is missing"),
        (check_lstm_step, lambda U, W, c, m, x: lstm(U, W, c, c, x), "read the last output m"),
    ],
)
def test_a_usual_mistake_is_told_what_it_is(check, wrong, said):
    verdict = check(wrong)
    assert not verdict
    assert said in verdict.said


def test_radii_of_one_and_more_never_vanish():
    verdict = check_steps_until(lambda radius, share: steps_until(min(radius, 0.999), share))
    assert not verdict
    assert "steps_until(1, 0.1): expected inf" in verdict.said
    for rounded in (math.ceil, float):
        verdict = check_steps_until(
            lambda radius, share, rounded=rounded: (
                rounded(math.log(share) / math.log(radius)) if radius > 1 else steps_until(radius, share)
            )
        )
        assert "From a radius of 1 on it never vanishes" in verdict.said
