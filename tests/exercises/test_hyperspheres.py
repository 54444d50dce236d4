"""Exercises on hyperspheres: right answers written here pass, and usual mistakes are told what they are."""

import numpy as np
import pytest

from zoo.exercises import hyperspheres as exercises


def cosines(outputs, prototypes, labels):
    outputs, prototypes = np.asarray(outputs, float), np.asarray(prototypes, float)
    return (outputs * prototypes[np.asarray(labels)]).sum(1) / np.linalg.norm(outputs, axis=1)


def corners(classes, turn=0.3):
    angles = turn + 2 * np.pi * np.arange(classes) / classes
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def loss(outputs, prototypes, labels):
    return (1 - cosines(outputs, prototypes, labels)) ** 2


def gradient(outputs, prototypes, labels):
    cos = cosines(outputs, prototypes, labels)[:, None]
    z, p = np.asarray(outputs, float), np.asarray(prototypes, float)[np.asarray(labels)]
    long = np.linalg.norm(z, axis=1, keepdims=True)
    return 2 * (1 - cos) * (cos * z / long**2 - p / long)


def value(outputs, lower, upper):
    z = np.asarray(outputs, float)
    return lower + (z[:, 0] / np.linalg.norm(z, axis=1) + 1) / 2 * (upper - lower)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (exercises.check_polygon, corners),
        (exercises.check_polygon, lambda classes: corners(classes, turn=2.0)[::-1].tolist()),
        (exercises.check_hyperspherical_loss, loss),
        (exercises.check_hyperspherical_gradient, gradient),
        (exercises.check_value, value),
    ],
)
def test_a_right_answer_passes(check, answer):
    assert check(answer), check(answer)


@pytest.mark.parametrize(
    "check",
    [
        exercises.check_polygon,
        exercises.check_hyperspherical_loss,
        exercises.check_hyperspherical_gradient,
        exercises.check_value,
    ],
)
def test_a_skeleton_is_told_that_nothing_came_back(check):
    assert check(lambda *given: ...).said.endswith("nothing came back yet")
    assert check(lambda *given: None).said.endswith("nothing came back yet")
    assert check(lambda *given: 1 / 0).said.startswith("ZeroDivisionError")
    assert not check(lambda *given: "a")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda classes: corners(classes)[:, :1], "prototypes: expected shape (2, 2), got (2, 1)"),
        (lambda classes: 2 * corners(classes), "2 classes: expected unit vectors, got lengths 2, 2"),
        # the two ends of linspace are one corner
        (
            lambda classes: np.stack([f(np.linspace(0, 2 * np.pi, classes)) for f in (np.cos, np.sin)], 1),
            "2 classes: expected 180.0 degrees between the nearest two, got 0.0",
        ),
        # half the circle alone
        (
            lambda classes: np.stack([f(np.linspace(0, np.pi, classes)) for f in (np.cos, np.sin)], 1),
            "3 classes: expected 120.0 degrees between the nearest two, got 90.0",
        ),
        (lambda classes: np.full((classes, 2), np.nan), "2 classes: expected unit vectors, got lengths nan, nan"),
    ],
)
def test_wrong_placings_are_told_how_far_apart_they_are(answer, said):
    assert exercises.check_polygon(answer).said == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda z, p, y: (1 - np.abs(cosines(z, p, y))) ** 2, "leave out |.| (E14)"),
        (lambda z, p, y: (1 - (np.asarray(z) * np.asarray(p)[np.asarray(y)]).sum(1)) ** 2, "divide by it"),
        (lambda z, p, y: 1 - cosines(z, p, y), "expected the square of 1 - cos, got 1 - cos"),
        (lambda z, p, y: 1 - cosines(z, p, y) ** 2, "expected (1 - cos)^2, got 1 - cos^2"),
        (lambda z, p, y: loss(z, p, y).sum(), "expected a loss for each of 12 examples, got their sum"),
        (lambda z, p, y: loss(z, p, y)[:, None], "loss: expected shape (12,), got (12, 1)"),
        (lambda z, p, y: loss(z, p, y) / 2, "loss at (1,): expected 4, got 2"),
    ],
)
def test_wrong_losses_are_told_what_they_are(answer, said):
    verdict = exercises.check_hyperspherical_loss(answer)
    assert not verdict
    assert verdict.said.endswith(said)


def length(z):
    return np.linalg.norm(np.asarray(z), axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda z, p, y: -gradient(z, p, y), "the sign"),
        # the loss's derivative without that of the length
        (
            lambda z, p, y: -2 * (1 - cosines(z, p, y))[:, None] * np.asarray(p)[np.asarray(y)] / length(z),
            "expected a gradient at right angles to the output",
        ),
        (lambda z, p, y: gradient(z, p, y) / length(z), "divided by |z| once too often"),
        (lambda z, p, y: gradient(z, p, y) * length(z), "1 / |z| is missing"),
        (lambda z, p, y: gradient(z, p, y) / 2, "gradient at (2, 0): expected"),
        (lambda z, p, y: gradient(z, p, y).sum(0), "gradient: expected shape (12, 4), got (4,)"),
    ],
)
def test_wrong_gradients_are_told_what_they_are(answer, said):
    verdict = exercises.check_hyperspherical_gradient(answer)
    assert not verdict
    assert said in verdict.said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda z, low, high: value(-np.asarray(z), low, high), "the poles are the wrong way round"),
        (lambda z, low, high: value(z, high, low), "the poles are the wrong way round"),
        (
            lambda z, low, high: high - np.arccos((np.asarray(z) / length(z))[:, 0]) / np.pi * (high - low),
            "a value is linear in the cosine, not in the angle",
        ),
        (lambda z, low, high: low + (np.asarray(z)[:, 0] + 1) / 2 * (high - low), "divide by it"),
        (lambda z, low, high: value(z, -90.0, 90.0), "value between 1000 and 1932 at (0,)"),
        (lambda z, low, high: value(z, low, high)[:5], "value between -90 and 90: expected shape (12,), got (5,)"),
    ],
)
def test_wrong_values_are_told_what_they_are(answer, said):
    verdict = exercises.check_value(answer)
    assert not verdict
    assert said in verdict.said
