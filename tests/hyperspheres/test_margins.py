"""Angular margins: the papers' formulas in angles, never rising with the angle, and no gradient that is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from zoo.hyperspheres.margins import arcface, cosface, sphereface

ANGLES = np.linspace(0, np.pi, 1001)
COSINES = np.random.default_rng(0).uniform(-0.95, 0.95, (6, 4))
LABELS = np.array([0, 1, 2, 3, 0, 2])
OWN = np.eye(4, dtype=bool)[LABELS]


def of_own_class(function, angles=ANGLES, **options):
    """The logit of an example's own class at each angle."""
    return np.asarray(function(jnp.cos(angles)[:, None], jnp.zeros(len(angles), int), **options))[:, 0]


def psi(angles, margin):
    k = np.minimum(np.floor(angles * margin / np.pi), margin - 1)
    return (-1) ** k * np.cos(margin * angles) - 2 * k


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (cosface, lambda angles: 64 * (np.cos(angles) - 0.35)),
        (arcface, lambda angles: 64 * np.cos(angles + 0.5)),
        (sphereface, lambda angles: psi(angles, 4)),
        (lambda c, y: arcface(c, y, 30.0, 0.2), lambda angles: 30 * np.cos(angles + 0.2)),
        (lambda c, y: sphereface(c, y, 3), lambda angles: psi(angles, 3)),
    ],
)
def test_logits_are_the_papers_formulas_in_angles(function, formula):
    with jax.enable_x64(True):
        found = np.asarray(function(jnp.asarray(COSINES), LABELS))
    within = OWN & (np.arccos(COSINES) < np.pi - 0.5)  # above, arcface is another
    np.testing.assert_allclose(found[within], formula(np.arccos(COSINES))[within], rtol=1e-9)
    scale = found[~OWN] / COSINES[~OWN]
    np.testing.assert_allclose(scale, scale[0], rtol=1e-9)  # the other classes have their plain cosine


@pytest.mark.parametrize("margin", [1, 2, 3, 4, 5])
def test_psi_is_that_of_the_paper_at_all_angles(margin):
    with jax.enable_x64(True):
        found = of_own_class(sphereface, margin=margin)
    np.testing.assert_allclose(found, psi(ANGLES, margin), atol=1e-9)


@pytest.mark.parametrize(
    ("function", "options"),
    [(cosface, {}), (arcface, {}), (arcface, {"margin": 1.5}), (sphereface, {}), (sphereface, {"margin": 3})],
)
def test_the_own_logit_never_rises_with_the_angle_and_is_never_above_the_plain_one(function, options):
    with jax.enable_x64(True):
        found = of_own_class(function, **options)
    assert (np.diff(found) < 1e-12).all()
    scale = 1 if function is sphereface else 64
    assert (found <= scale * np.cos(ANGLES) + 1e-9).all()
    assert found[500] < -1e-3  # at a right angle


def test_without_a_margin_they_are_plain_scaled_cosines():
    cosines = np.float32(COSINES)
    np.testing.assert_allclose(cosface(cosines, LABELS, 30.0, 0.0), 30 * cosines, rtol=1e-6)
    np.testing.assert_allclose(arcface(cosines, LABELS, 30.0, 0.0), 30 * cosines, rtol=1e-6)
    np.testing.assert_array_equal(sphereface(cosines, LABELS, 1), cosines)


def test_lengths_multiply_the_logits_of_sphereface():
    lengths = np.arange(1.0, 7.0, dtype=np.float32)
    expected = lengths[:, None] * sphereface(COSINES, LABELS)
    np.testing.assert_allclose(sphereface(COSINES, LABELS, lengths=lengths), expected, rtol=1e-6)


@pytest.mark.parametrize("function", [cosface, arcface, sphereface])
def test_gradients_are_those_of_finite_differences(function):
    with jax.enable_x64(True):
        check_grads(jax.jit(lambda c: function(c, LABELS).sum()), (jnp.asarray(COSINES),), order=1, modes=["rev"])


@pytest.mark.parametrize("function", [cosface, arcface, sphereface])
def test_gradients_are_finite_at_both_ends_and_beyond(function):
    cosines = jnp.array([[1.0, -1.0], [-1.0, 1.0], [1.000001, -1.000001], [-1.000001, 0.0]])
    logits, slope = jax.jit(jax.value_and_grad(lambda c: function(c, jnp.zeros(4, int)).sum()))(cosines)
    assert np.isfinite(logits)
    assert np.isfinite(slope).all()
    assert (np.asarray(slope) > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arcface(COSINES, LABELS, margin=-0.1), "margin: expected 0 to pi / 2 radians, got -0.1"),
        (lambda: arcface(COSINES, LABELS, margin=28.6), "margin: expected 0 to pi / 2 radians, got 28.6"),
        (lambda: sphereface(COSINES, LABELS, 0), "margin: expected a whole number of at least 1, got 0"),
        (lambda: sphereface(COSINES, LABELS, 1.35), "margin: expected a whole number of at least 1, got 1.35"),
    ],
)
def test_a_margin_that_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
