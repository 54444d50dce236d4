"""Zonal convolution is the integral that defines it, and changes places with every rotation; so does the network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.spatial.transform import Rotation

import zoo
from tests.geometric.test_spherical_harmonics import BANDWIDTH, band_limited
from tests.test_conformance import variables_of
from zoo.geometric import (
    SphericalCNN,
    invariants,
    low_degrees,
    power_spectrum,
    rotated,
    to_coefficients,
    to_samples,
    zonal_convolution,
)
from zoo.geometric import spherical_harmonics as harmonics

TURNS = Rotation.random(4, np.random.default_rng(5)).as_matrix()


def test_convolution_is_the_integral_over_the_sphere():
    """With psi(t) = t^2 + exp(t) of which the network's degrees are kept, summed over a grid sample by sample."""
    polynomial = np.polynomial.legendre.legfit(np.linspace(-1, 1, 200), np.exp(np.linspace(-1, 1, 200)), BANDWIDTH - 1)
    coefficients = band_limited(channels=1)
    fine = 2 * BANDWIDTH
    values, places = np.asarray(to_samples(coefficients, fine)), harmonics.directions(fine)
    weights = harmonics.weights(fine)[:, None]
    at = harmonics.directions(BANDWIDTH)[3, 5]
    psi = np.polynomial.legendre.legval(places @ at, polynomial)
    expected = (values[..., 0] * psi * weights).sum(axis=(1, 2))
    numbers = 4 * np.pi * polynomial / (2 * np.arange(BANDWIDTH) + 1)  # 2 pi times the integral of psi P_l
    found = to_samples(zonal_convolution(coefficients, numbers[:, None, None].astype(np.float32)))
    np.testing.assert_allclose(found[:, 3, 5, 0], expected, rtol=1e-4, atol=1e-4)


def test_convolution_and_rotation_change_places():
    coefficients = band_limited()
    filters = np.random.default_rng(1).standard_normal((4, 2, 3)).astype(np.float32)
    for turn in TURNS:
        found = zonal_convolution(rotated(coefficients, turn), filters)
        np.testing.assert_allclose(found, rotated(zonal_convolution(coefficients, filters), turn), atol=1e-5)


def test_the_power_of_each_degree_stays_and_is_that_of_the_function():
    coefficients = band_limited()
    power = power_spectrum(coefficients)
    for turn in TURNS:
        np.testing.assert_allclose(power_spectrum(rotated(coefficients, turn)), power, rtol=1e-4)
        np.testing.assert_allclose(
            invariants(rotated(coefficients, turn)), invariants(coefficients), rtol=1e-4, atol=1e-5
        )
    squares = np.square(to_samples(coefficients, 2 * BANDWIDTH)) * harmonics.weights(2 * BANDWIDTH)[:, None, None]
    np.testing.assert_allclose(power.sum(axis=1), squares.sum(axis=(1, 2)), rtol=1e-4)  # Parseval


def test_less_degrees_are_a_less_sharp_function():
    coefficients = band_limited()
    kept = low_degrees(coefficients, 3)
    np.testing.assert_allclose(to_coefficients(to_samples(coefficients), 3), kept, atol=1e-5)


@functools.cache
def program(oversampling):
    variables = variables_of("spherical_cnn_tiny")
    model = zoo.create("spherical_cnn_tiny", oversampling=oversampling)
    return jax.jit(lambda images: model.apply(variables, images, features=True))


def error(oversampling):
    """How much the logits of turned functions differ, beside how much they differ from one function to the next."""
    coefficients = band_limited(4, 1, seed=2)
    logits = np.asarray(program(oversampling)(to_samples(coefficients))["logits"])
    turned = [program(oversampling)(to_samples(rotated(coefficients, turn)))["logits"] for turn in TURNS]
    return np.abs(turned - logits).mean() / np.abs(logits - logits.mean(axis=0)).mean()


def test_logits_of_turned_functions_stay_the_better_the_finer_relu_is_taken():
    assert error(8) < 0.01
    assert error(8) < error(1) / 4


def test_half_a_turn_about_the_poles_which_is_one_of_every_grid_is_exact():
    images = np.asarray(to_samples(band_limited(4, 1)))
    named, found = program(1)(images), program(1)(np.roll(images, 4, axis=2))
    np.testing.assert_allclose(found["logits"], named["logits"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["stage1"], np.roll(named["stage1"], 4, axis=2), rtol=1e-3, atol=1e-4)


def test_gradients_are_those_of_differences():
    with jax.enable_x64(True):
        coefficients, filters = band_limited().astype(np.float64), np.random.default_rng(1).random((4, 2, 2))

        def value(coefficients, filters):
            values = jnp.tanh(to_samples(zonal_convolution(coefficients, filters), 6))
            return invariants(to_coefficients(values)).sum()

        check_grads(jax.jit(value), (coefficients, filters), order=1, modes=("fwd", "rev"), atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_refused():
    def refused(message, side=8, **options):
        model = SphericalCNN(**{"bandwidths": (4, 3), "widths": (2, 2), **options})
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 1)))

    refused("a width for each of falling bandwidths", widths=(2,))
    refused("a width for each of falling bandwidths", bandwidths=(3, 4))
    refused("images of at least 8 pixels a side, got 6", side=6)
    refused("oversampling by 1 or more, got 0", oversampling=0)
    with pytest.raises(ValueError, match=r"filters \(degrees, .* at most 6 degrees and 2 channels"):
        zonal_convolution(band_limited(), jnp.zeros((7, 2, 1)))
