"""End-point error and outliers: sums over what is known, equal to the definitions in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.dense import end_point_error, flow_sums

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.normal(scale=40, size=(3, 6, 8, 2)).astype(np.float32)
GUESS = (TRUE + RANDOM.normal(scale=3, size=TRUE.shape)).astype(np.float32)
SUMS = jax.jit(flow_sums)
GRADIENT = jax.jit(jax.grad(lambda guess, true: jnp.sum(end_point_error(guess, true))))


def test_sums_are_those_of_the_definitions():
    true = TRUE.copy()
    true[1, :2, :, 0] = np.nan
    counted = RANDOM.random((3, 6, 8)) < 0.7
    sums = SUMS(GUESS, true, counted)
    kept = counted & ~np.isnan(true).any(axis=-1)
    error = np.hypot(*(GUESS - true)[kept].T)
    outliers = (error > 3) & (error > 0.05 * np.hypot(*true[kept].T))
    assert float(sums["pixels"]) == kept.sum() < counted.sum()
    assert float(sums["error"]) == pytest.approx(error.sum(), rel=1e-5)
    assert float(sums["outliers"]) == outliers.sum()
    assert 0 < outliers.sum() < np.sum(error > 3)  # long vectors may be more than 3 pixels off


@pytest.mark.parametrize(
    ("error", "length", "outlier"), [(2.9, 1.0, 0), (3.1, 1.0, 1), (3.1, 100.0, 0), (5.1, 100.0, 1)]
)
def test_outliers_are_beyond_three_pixels_and_five_percent(error, length, outlier):
    true = jnp.array([[[[length, 0.0]]]])
    sums = SUMS(true + jnp.array([0.0, error]), true, jnp.ones((1, 1, 1), bool))
    assert float(sums["outliers"]) == outlier


def test_sums_of_half_precision_do_not_overflow():
    true = jnp.zeros((1, 64, 64, 2), jnp.float16)
    sums = SUMS(true + jnp.float16(300), true, jnp.ones((1, 64, 64), bool))
    assert float(sums["error"]) == pytest.approx(64 * 64 * 300 * 2**0.5, rel=1e-5)


def test_nothing_known_is_zero_and_gradients_are_finite():
    true = np.full((1, 2, 2, 2), np.nan, np.float32)
    sums = SUMS(GUESS[:1, :2, :2], true, np.ones((1, 2, 2), bool))
    assert [float(value) for value in sums.values()] == [0, 0, 0]
    true[0, 0] = GUESS[0, 0, :2]  # no error at all, where a root has no slope
    gradient = GRADIENT(GUESS[:1, :2, :2], true)
    assert not np.any(gradient)
    difference = GUESS - TRUE
    expected = difference / np.linalg.norm(difference, axis=-1, keepdims=True)
    np.testing.assert_allclose(GRADIENT(GUESS, TRUE), expected, atol=1e-5)
