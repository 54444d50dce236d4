"""Prototypes: closed forms, the known angles of Tammes' problem, the same for the same key, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.hyperspheres import cross_polytope, largest_cosine, lower_bound, mean_of_largest_cosines, separate, simplex

KEY = jax.random.key(0)

TAMMES = {
    7: 77.8695,
    8: 74.8585,
    9: 70.5288,
    10: 66.1468,
    11: 63.4349,
    12: 63.4349,
    13: 57.1367,
    14: 55.6706,
    15: 53.6578,
    16: 52.2444,
    17: 51.0903,
    18: 49.5567,
    19: 47.6919,
    20: 47.4310,
    21: 45.6132,
    22: 44.7402,
    23: 43.7100,
    24: 43.6908,
}
"""The smallest angle in degrees of so many points on a sphere: proven up to 14 and at 24, else the best known."""


def angle(prototypes):
    """The smallest between two, in degrees, in double precision."""
    vectors = np.asarray(prototypes, np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    return np.degrees(np.arccos(cosines[~np.eye(len(vectors), dtype=bool)].max()))


@pytest.mark.parametrize(
    "classes", [n if n in (13, 19, 24) else pytest.param(n, marks=pytest.mark.slow) for n in TAMMES]
)
def test_points_on_a_sphere_are_as_far_apart_as_any_that_are_known(classes):
    found = angle(separate(KEY, classes, 3))
    assert TAMMES[classes] - 0.01 <= found <= TAMMES[classes] + 1e-3  # the table has four decimals


@pytest.mark.parametrize(("classes", "dims"), [(2, 2), (3, 2), (4, 3), (5, 16), (100, 99), (100, 128)])
def test_up_to_one_class_more_than_dimensions_all_angles_are_equal(classes, dims):
    prototypes = np.asarray(separate(KEY, classes, dims))
    products = prototypes @ prototypes.T
    assert prototypes.shape == (classes, dims)
    np.testing.assert_allclose(np.diag(products), 1, atol=1e-6)
    off = products[~np.eye(classes, dtype=bool)]
    np.testing.assert_allclose(off, -1 / (classes - 1), atol=1e-6)
    assert largest_cosine(prototypes) == pytest.approx(lower_bound(classes, dims), abs=1e-6)


@pytest.mark.parametrize(("classes", "dims"), [(4, 2), (5, 3), (6, 3), (100, 50)])
def test_up_to_twice_as_many_classes_no_angle_is_acute(classes, dims):
    prototypes = np.asarray(separate(KEY, classes, dims))
    np.testing.assert_array_equal(np.linalg.norm(prototypes, axis=1), 1)
    assert largest_cosine(prototypes) == lower_bound(classes, dims) == 0
    assert len(np.unique(prototypes, axis=0)) == classes


def test_on_a_circle_they_are_the_corners_of_a_regular_polygon():
    found = np.sort(np.degrees(np.arctan2(*np.asarray(separate(KEY, 7, 2)).T)))
    np.testing.assert_allclose(np.diff(found), 360 / 7, atol=0.01)


def test_the_same_key_gives_the_same_and_another_another_turn():
    one, again, other = (separate(jax.random.key(seed), 9, 3, steps=200) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1


def test_measures_are_those_of_the_slide_and_of_the_authors_code():
    prototypes = jnp.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert largest_cosine(prototypes) == pytest.approx(0.8)
    assert mean_of_largest_cosines(prototypes) == pytest.approx((0.6 + 0.8 + 0.8) / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: separate(KEY, 0, 3), "classes: expected at least 1, got 0"),
        (lambda: separate(KEY, 3, 1), "dims: expected at least 2, got 1"),
        (lambda: separate(KEY, 9, 3, steps=0), "steps: expected at least 1, got 0"),
        (lambda: simplex(5, 3), "a simplex in 3 dimensions has 1 to 4 vectors, got 5"),
        (lambda: cross_polytope(7, 3), "a cross-polytope in 3 dimensions has 1 to 6 vectors, got 7"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
