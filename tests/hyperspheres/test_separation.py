"""Prototypes: closed forms, the known angles of Tammes' problem, both objectives beside the authors' procedure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.benchmarks.prototypes import official
from zoo.hyperspheres.bounds import lower_bound
from zoo.hyperspheres.separation import (
    cross_polytope,
    largest_cosine,
    leaning_cross_polytope,
    max_separation,
    mean_of_largest_cosines,
    separate,
    simplex,
    slope,
)

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


@pytest.mark.parametrize("classes", [n if n == 24 else pytest.param(n, marks=pytest.mark.slow) for n in TAMMES])
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


def recursion(k):
    """P_k as the paper defines it, in double precision."""
    if k == 1:
        return np.array([[1.0, -1.0]])
    below = np.sqrt(1 - 1 / k**2) * recursion(k - 1)
    return np.block([[np.ones((1, 1)), np.full((1, k), -1 / k)], [np.zeros((k - 1, 1)), below]])


@pytest.mark.parametrize("classes", [2, 3, 4, 10, 57, 100])
def test_maximum_separation_is_the_matrix_of_the_recursion_and_the_simplex(classes):
    prototypes = np.asarray(max_separation(classes))
    assert prototypes.shape == (classes, classes - 1)
    np.testing.assert_allclose(prototypes, recursion(classes - 1).T, atol=1e-6)
    in_simplex = np.asarray(simplex(classes, classes + 3))
    np.testing.assert_allclose(in_simplex @ in_simplex.T, prototypes @ prototypes.T, atol=1e-6)


def test_all_angles_of_maximum_separation_are_equal_for_2_to_100_classes():
    for classes in range(2, 101):
        vectors = np.asarray(max_separation(classes), np.float64)
        expected = np.full((classes, classes), -1 / (classes - 1))
        np.fill_diagonal(expected, 1)
        np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-6)


@pytest.mark.parametrize(("classes", "dims"), [(5, 3), (6, 4), (7, 5), (100, 75), (99, 50)])
def test_short_of_twice_as_many_classes_the_mean_is_least_where_the_cross_polytope_leans(classes, dims):
    prototypes = np.asarray(separate(KEY, classes, dims, objective="mean"), np.float64)
    alone = 2 * dims - classes
    products = prototypes @ prototypes.T
    np.testing.assert_allclose(np.diag(products), 1, atol=1e-6)
    off = np.where(np.eye(classes, dtype=bool), -np.inf, products)
    a = -off[0, 1]
    assert a > 0
    np.testing.assert_allclose(off[:alone].max(1), -a, atol=1e-6)  # they are at -a with every other vector
    np.testing.assert_allclose(off[:alone].min(1, where=np.isfinite(off[:alone]), initial=1), -a, atol=1e-6)
    np.testing.assert_allclose(off[alone:].max(1), alone * a**2 / (1 - (alone - 1) * a), atol=1e-6)
    angles = a * np.linspace(0.5, 1.5, 1001)  # the mean of all such placings is least at a
    angles = angles[(alone - 1) * angles < 1]
    means = (-alone * angles + (classes - alone) * alone * angles**2 / (1 - (alone - 1) * angles)) / classes
    assert mean_of_largest_cosines(prototypes) == pytest.approx(means.min(), abs=1e-6)
    assert -1 / (classes - 1) < means.min() < 0 == mean_of_largest_cosines(cross_polytope(classes, dims))


@pytest.mark.parametrize(
    ("classes", "dims"), [(5, 3), *(pytest.param(*size, marks=pytest.mark.slow) for size in [(7, 4), (8, 5), (14, 10)])]
)
def test_no_descent_finds_a_smaller_mean_than_that_of_the_leaning_cross_polytope(classes, dims):
    known = mean_of_largest_cosines(leaning_cross_polytope(classes, dims))
    found = min(mean_of_largest_cosines(official(jax.random.key(seed), classes, dims, 3000)) for seed in range(5))
    assert known - 1e-6 <= found


def test_twice_as_many_classes_as_dimensions_do_not_lean():
    np.testing.assert_array_equal(separate(KEY, 8, 4, objective="mean"), cross_polytope(8, 4))


@pytest.mark.parametrize(("objective", "axis"), [("max", None), ("mean", 1)])
def test_the_slope_by_hand_is_the_gradient_that_autodiff_takes(objective, axis):
    vectors = jax.random.normal(KEY, (7, 3))
    vectors = vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)

    def smooth(vectors):
        vectors = vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)
        products = jnp.where(jnp.eye(7, dtype=bool), -jnp.inf, vectors @ vectors.T)
        return (jax.nn.logsumexp(20 * products, axis=axis) / 20).sum()

    by_hand = jax.jit(slope, static_argnums=2)(vectors[None], jnp.array([20.0]), objective)[0]
    np.testing.assert_allclose(by_hand, jax.jit(jax.grad(smooth))(vectors), rtol=1e-4, atol=1e-6)


MEASURES = {"max": largest_cosine, "mean": mean_of_largest_cosines}


@pytest.mark.slow
@pytest.mark.parametrize("dims", [3, 5])
def test_twenty_classes_are_no_less_far_apart_than_by_the_authors_procedure(dims):
    theirs = official(KEY, 20, dims, 1000)
    for objective, measure in MEASURES.items():
        ours = separate(KEY, 20, dims, steps=500, restarts=4, objective=objective)
        assert lower_bound(20, dims) <= largest_cosine(ours)
        assert measure(ours) <= measure(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("dims", [3, 5, 10, 25])
def test_a_hundred_classes_are_no_less_far_apart_than_by_the_authors_procedure(dims):
    theirs = official(KEY, 100, dims, 10_000)
    for objective, measure in MEASURES.items():
        ours = separate(KEY, 100, dims, objective=objective)
        assert lower_bound(100, dims) <= largest_cosine(ours)
        assert measure(ours) <= measure(theirs)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "dims"), [(13, 3), (20, 5), (100, 3)])
def test_each_objective_finds_what_is_best_by_its_own_measure(classes, dims):
    by_max, by_mean = (separate(KEY, classes, dims, objective=objective) for objective in ("max", "mean"))
    assert largest_cosine(by_max) < largest_cosine(by_mean)
    assert mean_of_largest_cosines(by_mean) < mean_of_largest_cosines(by_max)


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
        (lambda: max_separation(1), "classes: expected at least 2, got 1"),
        (lambda: leaning_cross_polytope(7, 3), "a leaning cross-polytope in 3 dimensions has 5 to 6 vectors, got 7"),
        (lambda: simplex(5, 3), "a simplex in 3 dimensions has 1 to 4 vectors, got 5"),
        (lambda: cross_polytope(7, 3), "a cross-polytope in 3 dimensions has 1 to 6 vectors, got 7"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_objective_that_does_not_exist_is_refused():
    with pytest.raises(zoo.UnknownNameError, match="no objective 'maximum'; nearest: max"):
        separate(KEY, 9, 3, objective="maximum")
