"""Exercises of the notebook on hyperspheres: placing prototypes, the loss and its gradient, and a value's direction.

Lecture rows L81, L82, L85 and L87; errata E14 and E15.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zoo.exercises.verdict import Verdict, Wrong, judged, numbers, same
from zoo.hyperspheres import (
    ValueSpace,
    classification_loss,
    from_cosine,
    largest_cosine,
    lower_bound,
    to_cosine,
)

Answer = Callable[..., Any]
"""What the reader wrote."""


def check_polygon(yours: Answer) -> Verdict:
    """`yours(classes)` places classes on the circle, (classes, 2), as far from each other as they can be (L85).

    Any turn of the corners, in any order, is right.
    """

    def check() -> str:
        for classes in (2, 3, 5, 10):
            got = numbers("prototypes", yours(classes))
            if got.shape != (classes, 2):
                raise Wrong(f"prototypes: expected shape {(classes, 2)}, got {got.shape}")
            lengths = np.linalg.norm(got, axis=1)
            if not np.allclose(lengths, 1, atol=1e-4):
                raise Wrong(f"{classes} classes: expected unit vectors, got lengths {_some(lengths)}")
            found, best = float(largest_cosine(jnp.asarray(got))), lower_bound(classes, 2)
            if not found <= best + 1e-4:
                least, most = np.degrees(np.arccos(np.clip([found, best], -1, 1)))
                raise Wrong(f"{classes} classes: expected {most:.1f} degrees between the nearest two, got {least:.1f}")
        return "2, 3, 5 and 10 classes are as far apart as the bound allows"

    return judged(check)


def check_hyperspherical_loss(yours: Answer) -> Verdict:
    """`yours(outputs, prototypes, labels)` is the loss of each example, (batch,): (1 - cos)^2, without `|.|` (E14)."""

    def check() -> str:
        outputs, prototypes, labels = _drawn(7)
        expected = np.asarray(classification_loss(outputs, prototypes, labels))
        got = numbers("loss", yours(outputs, prototypes, labels))
        if got.shape == () and np.isclose(got, expected.sum(), rtol=1e-4):
            raise Wrong(f"expected a loss for each of {len(labels)} examples, got their sum")
        if got.shape == expected.shape:
            _name_the_mistake(got, *map(np.asarray, (outputs, prototypes, labels)))
        same("loss", got, expected)
        return f"the losses of {len(labels)} outputs of any length; an output opposite to its prototype has a loss of 4"

    return judged(check)


def check_hyperspherical_gradient(yours: Answer) -> Verdict:
    """`yours(outputs, prototypes, labels)` is the gradient of each example's loss, (batch, dims) (L82, E15)."""

    def check() -> str:
        outputs, prototypes, labels = _drawn(11)
        slope = jax.grad(lambda z: classification_loss(z, prototypes, labels).sum())
        got, expected = numbers("gradient", yours(outputs, prototypes, labels)), np.asarray(slope(outputs))
        if got.shape == expected.shape:
            lengths = np.linalg.norm(outputs, axis=1, keepdims=True)
            if np.allclose(got, -expected, rtol=1e-4, atol=1e-5):
                raise Wrong("the sign: this is minus the gradient, along which the loss falls")
            along = np.abs((got * np.asarray(outputs)).sum(1))
            if (along > 1e-4 * (1 + np.linalg.norm(got, axis=1) * lengths[:, 0])).any():
                raise Wrong(
                    "expected a gradient at right angles to the output, whose length does not count, "
                    f"got |z . dL/dz| = {_some(along)}"
                )
            if np.allclose(got * lengths, expected, rtol=1e-4, atol=1e-5):
                raise Wrong("divided by |z| once too often")
            if np.allclose(got, expected * lengths, rtol=1e-4, atol=1e-5):
                raise Wrong("1 / |z| is missing: the same step turns a long output less")
        same("gradient", got, expected)
        return f"{expected.shape[0]} gradients, as autodiff finds them, and each at right angles to its output"

    return judged(check)


def check_value(yours: Answer) -> Verdict:
    """`yours(outputs, lower, upper)` are the outputs' values, (batch,); the first axis points to the upper (L87)."""

    def check() -> str:
        outputs = _drawn(9)[0]
        for lower, upper in ((-90.0, 90.0), (1000.0, 1932.0)):
            space = ValueSpace(outputs.shape[1], lower, upper)
            got, expected = numbers("values", yours(outputs, lower, upper)), np.asarray(space.value(outputs))
            if got.shape == expected.shape:
                angles = np.arccos(np.clip(to_cosine(expected, lower, upper), -1, 1))
                long = np.asarray(from_cosine(outputs[:, 0], lower, upper))
                for mistaken, what in (
                    (
                        lower + upper - expected,
                        "the poles are the wrong way round: the first axis is the upper bound's",
                    ),
                    (upper - angles / np.pi * (upper - lower), "a value is linear in the cosine, not in the angle"),
                    (long, "the length of an output does not count: divide by it"),
                ):
                    if np.allclose(got, mistaken, rtol=1e-4, atol=1e-2):
                        raise Wrong(what)
            same(f"value between {lower:g} and {upper:g}", got, expected)
        return "degrees between -90 and 90, and years between 1000 and 1932"

    return judged(check)


def _drawn(seed: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Outputs of any length, prototypes and labels; the first two outputs are with and opposite to their prototypes."""
    keys = jax.random.split(jax.random.key(seed), 3)
    prototypes = jax.random.normal(keys[0], (5, 4))
    prototypes = prototypes / jnp.linalg.norm(prototypes, axis=1, keepdims=True)
    labels = jax.random.randint(keys[1], (12,), 0, 5)
    outputs = 3 * jax.random.normal(keys[2], (12, 4))
    poles = jnp.stack([2.0 * prototypes[labels[0]], -3.0 * prototypes[labels[1]]])
    return outputs.at[:2].set(poles), prototypes, labels


def _name_the_mistake(got: np.ndarray, outputs: np.ndarray, prototypes: np.ndarray, labels: np.ndarray) -> None:
    """Says which usual mistake gives these losses, if one does."""
    products = (outputs * prototypes[labels]).sum(1)
    cosines = products / np.linalg.norm(outputs, axis=1)
    for losses, what in (
        ((1 - np.abs(cosines)) ** 2, "an output opposite to its prototype has no loss here: leave out |.| (E14)"),
        ((1 - products) ** 2, "the length of an output does not count: divide by it"),
        (1 - cosines, "expected the square of 1 - cos, got 1 - cos"),
        (1 - cosines**2, "expected (1 - cos)^2, got 1 - cos^2"),
    ):
        if np.allclose(got, losses, rtol=1e-4, atol=1e-5):
            raise Wrong(what)


def _some(numbers: np.ndarray) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers[:3]) + (", ..." if len(numbers) > 3 else "")
