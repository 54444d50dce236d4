"""The exercises on perceptrons: right answers pass, and usual mistakes are named."""

import numpy as np
import pytest

from zoo.exercises.perceptrons import check_backprop, check_chain_rule, check_rosenblatt, check_softmax
from zoo.perceptrons import example


def unsolved(*_):
    """What the notebook has before anybody wrote anything."""


def broken(*_):
    return undefined_name


@pytest.mark.parametrize("check", [check_backprop, check_chain_rule, check_rosenblatt, check_softmax])
def test_no_answer_and_one_that_fails_are_verdicts(check):
    assert not check(unsolved)
    assert "nothing came back yet" in check(unsolved).said
    assert not check(broken)
    assert "NameError" in check(broken).said


def rosenblatt(weights, bias, x, label, direction=1, learns_bias=True, always=False):
    fired = int(x @ weights + bias > 0)
    error = (2 * label - 1) if always else direction * (label - fired)
    return weights + error * x, bias + error * learns_bias


def test_rosenblatts_rule_passes():
    assert check_rosenblatt(rosenblatt)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [({"direction": -1}, "other direction"), ({"learns_bias": False}, "E10"), ({"always": True}, "nothing changes")],
)
def test_mistakes_of_rosenblatts_rule_are_named(mistake, hint):
    verdict = check_rosenblatt(lambda *arguments: rosenblatt(*arguments, **mistake))
    assert not verdict
    assert hint in verdict.said


def chain_rule(w, inputs, target, first=lambda delta: delta, learning_rate=0.0):
    i1, i2 = inputs
    h1, h2 = i1 * w.w1 + i2 * w.w2, i1 * w.w3 + i2 * w.w4
    delta = first(h1 * w.w5 + h2 * w.w6 - target)
    w5, w6 = w.w5 - learning_rate * delta * h1, w.w6 - learning_rate * delta * h2
    return delta * w5 * i1, delta * w5 * i2, delta * w6 * i1, delta * w6 * i2, delta * h1, delta * h2


def test_chain_rule_of_the_slide_passes():
    assert check_chain_rule(chain_rule)
    assert check_chain_rule(lambda *arguments: np.array(chain_rule(*arguments)))
    assert chain_rule(example.WEIGHTS, example.INPUTS, 1.0)[5] == pytest.approx(-0.38832)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"first": lambda delta: delta**2 / 2}, "E4"),
        ({"first": lambda delta: -delta}, "sign"),
        ({"learning_rate": example.LEARNING_RATE}, "E6"),
    ],
)
def test_mistakes_of_the_chain_rule_are_named(mistake, hint):
    verdict = check_chain_rule(lambda *arguments: chain_rule(*arguments, **mistake))
    assert not verdict
    assert hint in verdict.said


def test_chain_rule_of_five_is_told_that_there_are_six():
    assert "got 5 values" in check_chain_rule(lambda *arguments: chain_rule(*arguments)[:5]).said


def backprop(x, weights, bias, gradient, mask=None, divide=1):
    delta = gradient * (x @ weights + bias > 0 if mask is None else mask(gradient))
    return x.T @ delta / divide, delta.sum(0) / divide, delta @ weights.T


def test_backpropagation_through_a_layer_passes():
    assert check_backprop(backprop)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda *a: backprop(*a, mask=np.ones_like), "derivative of relu first"),
        (lambda *a: backprop(*a, mask=lambda gradient: gradient > 0), "not at the gradient"),
        (lambda *a: backprop(*a, divide=len(a[0])), "Sum over the batch"),
        (lambda *a: (backprop(*a)[0].T, *backprop(*a)[1:]), "expected shape (3, 2), got (2, 3)"),
        (lambda *a: backprop(*a)[:2], "got 2 values"),
    ],
)
def test_mistakes_of_backpropagation_are_named(wrong, hint):
    verdict = check_backprop(wrong)
    assert not verdict
    assert hint in verdict.said


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_stable_softmax_passes():
    assert check_softmax(softmax)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda logits: np.exp(logits) / np.sum(np.exp(logits)), "last axis"),  # the slide's
        (lambda logits: np.exp(logits) / np.exp(logits).sum(0), "last axis"),
        (lambda logits: np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), "overflows"),
        (lambda logits: softmax(logits[0]), "expected shape (3, 4), got (4,)"),
    ],
)
def test_mistakes_of_softmax_are_named(wrong, hint):
    verdict = check_softmax(wrong)
    assert not verdict
    assert hint in verdict.said
