"""Axes enlarged by an integer: numpy's interpolation, its adjoint, and JAX's transformations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.nn import resize as module
from zoo.nn.resize import resize

CASES = [(1, 2), (2, 3), (3, 2), (7, 5)]
"""Places, and by how much they become more."""


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def enlarged(method, factor, x):
    return resize(x, (x.shape[1] * factor, x.shape[2]), method)


@pytest.mark.parametrize(("places", "factor"), CASES)
def test_bilinear_is_numpys_interpolation_whose_last_places_go_on(places, factor):
    x = normal(1, places, 1, 1)
    at = (np.arange(places * factor) + 0.5) / factor - 0.5
    expected = np.interp(at, np.arange(places), x.ravel())
    np.testing.assert_allclose(enlarged("bilinear", factor, x).ravel(), expected, atol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("places", "factor"), CASES)
def test_phases_are_the_matrix_of_all_places_and_their_gradient_its_adjoint(places, factor, method, monkeypatch):
    x, slopes = normal(2, places, 3, 2), normal(2, places * factor, 3, 2)

    def found():
        value, pullback = jax.vjp(functools.partial(enlarged, method, factor), x)
        along = jax.jvp(functools.partial(enlarged, method, factor), (x,), (x,))[1]
        return value, along, pullback(slopes)[0]

    by_phases = found()
    monkeypatch.setattr(module, "MOST_PHASES", 1)
    by_matrix = found()
    for ours, theirs in zip(by_phases, by_matrix, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_vmap_second_derivatives_and_a_narrow_type():
    x = normal(3, 1, 4, 5, 2)
    energy = lambda x: jnp.sin(resize(x, (8, 15), "bicubic")).sum()  # noqa: E731
    one_by_one = [jax.grad(energy)(each) for each in x]
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(energy)))(x), one_by_one, atol=1e-5)
    twice = jax.jvp(jax.grad(energy), (x[0],), (x[1],))[1]
    step = 1e-2
    slope = (jax.grad(energy)(x[0] + step * x[1]) - jax.grad(energy)(x[0] - step * x[1])) / (2 * step)
    np.testing.assert_allclose(twice, slope, atol=2e-2)
    narrow = resize(x[0].astype(jnp.bfloat16), (8, 15))
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(narrow.astype(np.float32), resize(x[0], (8, 15)), atol=2e-2)


def test_on_cpu_the_gradient_reads_slices_and_reduces_nothing():
    x = jnp.zeros((1, 6, 6, 2))
    gradient = jax.jit(jax.grad(lambda x: jnp.sin(resize(x, (12, 12))).sum()))
    text = gradient.trace(x).lower(lowering_platforms=("cpu",)).as_text()
    assert "dot_general" not in text
    assert "stablehlo.reduce" not in text
