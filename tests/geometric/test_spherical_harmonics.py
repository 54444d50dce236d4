"""Harmonics are scipy's, transforms are exact below the bandwidth, and functions are turned with the sphere."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from zoo.geometric import rotated, to_coefficients, to_samples
from zoo.geometric import spherical_harmonics as harmonics

BANDWIDTH = 6
RANDOM = np.random.default_rng(0)


def band_limited(bandwidth=BANDWIDTH, channels=2, seed=0):
    """Coefficients with zeros where there is no harmonic."""
    found = np.random.default_rng(seed).standard_normal((3, bandwidth, 2 * bandwidth - 1, channels))
    degrees, orders = np.arange(bandwidth)[:, None], np.abs(np.arange(1 - bandwidth, bandwidth))
    return (found * (orders <= degrees)[..., None]).astype(np.float32)


def scipys(degree, order, polar, longitude):
    """The real harmonic of scipy's complex one, whose sign alternates with the order."""
    value = sph_harm_y(degree, abs(order), polar, longitude)
    if order == 0:
        return value.real
    return (-1) ** order * np.sqrt(2) * (value.real if order > 0 else value.imag)


def test_harmonics_are_scipys():
    polar, longitude = np.pi * RANDOM.random(20), 2 * np.pi * RANDOM.random(20)
    found = harmonics.legendre(polar, BANDWIDTH) * harmonics.waves(longitude, BANDWIDTH)[:, None]
    for degree in range(BANDWIDTH):
        for order in range(1 - BANDWIDTH, BANDWIDTH):
            expected = scipys(degree, order, polar, longitude) if abs(order) <= degree else 0
            np.testing.assert_allclose(found[:, degree, BANDWIDTH - 1 + order], expected, atol=1e-12)


def test_samples_are_the_sum_of_harmonics():
    coefficients = band_limited()
    found, (polar, longitude) = to_samples(coefficients), harmonics.grid(BANDWIDTH)
    assert found.shape == (3, 12, 12, 2)
    for row, column in ((0, 0), (4, 7), (11, 3)):
        total = sum(
            coefficients[:, degree, BANDWIDTH - 1 + order] * scipys(degree, order, polar[row], longitude[column])
            for degree in range(BANDWIDTH)
            for order in range(-degree, degree + 1)
        )
        np.testing.assert_allclose(found[:, row, column], total, atol=1e-5)


@pytest.mark.parametrize("samples", [BANDWIDTH, BANDWIDTH + 3])
def test_there_and_back_is_exact(samples):
    coefficients = band_limited()
    values = to_samples(coefficients, samples)
    np.testing.assert_allclose(to_coefficients(values, BANDWIDTH), coefficients, atol=1e-5)
    np.testing.assert_allclose(to_samples(to_coefficients(values)), values, atol=1e-5)


@pytest.mark.parametrize("bandwidth", [1, 2, 7, 32])
def test_weights_integrate_all_products_of_two_harmonics(bandwidth):
    polar, _ = harmonics.grid(bandwidth)
    weights = harmonics.weights(bandwidth) * 2 * bandwidth  # with all columns
    assert weights.sum() == pytest.approx(4 * np.pi)
    for degree in range(2 * bandwidth):
        legendre = np.polynomial.legendre.Legendre.basis(degree)(np.cos(polar))
        assert weights @ legendre == pytest.approx(4 * np.pi * (degree == 0), abs=1e-10)
    zonal = harmonics.legendre(polar, bandwidth)[:, :, bandwidth - 1]
    np.testing.assert_allclose((zonal * weights[:, None]).T @ zonal, np.eye(bandwidth), atol=1e-10)


def test_a_function_is_turned_with_the_sphere():
    """A bump around a direction becomes the bump around the turned direction; any turn, and mirrorings."""
    towards = np.array([0.6, 0.0, 0.8])
    places = harmonics.directions(BANDWIDTH)

    def bump(direction):
        return ((places @ direction) ** 3 + places @ direction)[None, :, :, None].astype(np.float32)

    turns = Rotation.random(5, np.random.default_rng(1)).as_matrix()
    for turn in (*turns, -turns[0]):
        found = to_samples(rotated(to_coefficients(bump(towards)), turn))
        np.testing.assert_allclose(found, bump(turn @ towards), atol=1e-5)


def test_two_turns_are_their_product():
    coefficients = band_limited()
    one, other = Rotation.random(2, np.random.default_rng(2)).as_matrix()
    np.testing.assert_allclose(
        rotated(rotated(coefficients, one), other), rotated(coefficients, other @ one), atol=1e-5
    )


def test_a_turn_about_the_poles_by_a_column_moves_the_columns():
    coefficients = band_limited()
    turn = Rotation.from_euler("z", np.pi / BANDWIDTH).as_matrix()
    expected = np.roll(to_samples(coefficients), 1, axis=2)
    np.testing.assert_allclose(to_samples(rotated(coefficients, turn)), expected, atol=1e-5)


def test_what_does_not_fit_is_refused():
    def refused(message, function, *arguments):
        with pytest.raises(ValueError, match=message):
            function(*arguments)

    refused(r"samples on the sphere .*got shape \(1, 7, 7, 1\)", to_coefficients, jnp.zeros((1, 7, 7, 1)))
    refused(r"samples on the sphere .*got shape \(1, 8, 6, 1\)", to_coefficients, jnp.zeros((1, 8, 6, 1)))
    refused("1 to 4 degrees of 8 x 8 samples, got 5", to_coefficients, jnp.zeros((1, 8, 8, 1)), 5)
    refused(r"coefficients \(batch, b degrees, 2b - 1 orders", to_samples, jnp.zeros((1, 4, 8, 1)))
    refused("a grid of bandwidth 4 or more, got 3", to_samples, jnp.zeros((1, 4, 7, 1)), 3)
    refused("an orthogonal matrix", rotated, jnp.zeros((1, 4, 7, 1)), np.ones((3, 3)))
    refused("a bandwidth of 1 to 64, got 65", to_coefficients, jnp.zeros((1, 130, 130, 1)))
