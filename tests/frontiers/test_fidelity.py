"""Distances of made images to real ones, beside scipy's matrix root, scikit-learn's neighbours, and loops."""

import jax
import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.neighbors import NearestNeighbors

from zoo.frontiers import frechet_distance, nearest, precision_recall

random = np.random.default_rng(0)
REAL = (random.standard_normal((300, 5)) @ random.standard_normal((5, 5))).astype(np.float32)
MADE = (random.standard_normal((270, 5)) @ random.standard_normal((5, 5)) + 0.5).astype(np.float32)


def of_scipy(real, made):
    """Equation 6 of Heusel et al. with the root of the product, which is not symmetric."""
    a, b = np.cov(real.T, dtype=np.float64), np.cov(made.T, dtype=np.float64)
    means = real.mean(axis=0, dtype=np.float64) - made.mean(axis=0, dtype=np.float64)
    return means @ means + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))


def test_the_frechet_distance_is_that_of_the_root_of_the_product():
    found = jax.jit(frechet_distance)(REAL, MADE)
    assert found == pytest.approx(of_scipy(REAL, MADE), rel=1e-4)
    assert frechet_distance(MADE, REAL) == pytest.approx(float(found), rel=1e-4)


def test_of_the_same_images_it_is_zero_and_of_moved_ones_the_square_of_the_way():
    moved = REAL + np.array([3, 0, 0, 0, 4], np.float32)
    spread = np.trace(np.cov(REAL.T))
    assert frechet_distance(REAL, REAL) == pytest.approx(0, abs=1e-4 * spread)
    assert frechet_distance(REAL, moved) == pytest.approx(25, rel=1e-3)


def test_it_is_finite_where_all_that_was_made_is_alike():
    alike = np.repeat(REAL[:1], 40, axis=0)
    expected = np.sum((REAL.mean(axis=0) - REAL[0]) ** 2) + np.trace(np.cov(REAL.T))
    assert frechet_distance(REAL, alike) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_precision_and_recall_are_counted_as_by_loops(neighbours):
    def within(queries, centres):
        tree = NearestNeighbors(n_neighbors=neighbours + 1).fit(centres)
        radii = tree.kneighbors(centres)[0][:, -1]
        inside = 0
        for query in queries:
            inside += any(
                np.linalg.norm(centre - query) <= radius for centre, radius in zip(centres, radii, strict=True)
            )
        return inside / len(queries)

    found = jax.jit(precision_recall, static_argnums=2)(REAL, MADE, neighbours)
    assert (found.precision, found.recall) == pytest.approx((within(MADE, REAL), within(REAL, MADE)), abs=1e-6)
    assert 0.05 < found.precision < 0.95


def test_a_few_images_again_and_again_are_precise_and_recall_little():
    found = precision_recall(REAL, np.repeat(REAL[:4], 50, axis=0))
    assert found.precision == 1
    assert found.recall == pytest.approx(4 / len(REAL))


def test_the_nearest_are_scikit_learns():
    distance, place = NearestNeighbors(n_neighbors=1).fit(REAL).kneighbors(MADE)
    found = nearest(MADE, REAL)
    np.testing.assert_array_equal(found.place, place[:, 0])
    np.testing.assert_allclose(found.distance, distance[:, 0], rtol=1e-4)


def test_shapes_that_do_not_fit_and_too_few_images_are_refused():
    with pytest.raises(ValueError, match=r"got shapes \(300, 5\) and \(270, 4\)"):
        frechet_distance(REAL, MADE[:, :4])
    with pytest.raises(ValueError, match="at least 2 of each"):
        frechet_distance(REAL, MADE[:1])
    with pytest.raises(ValueError, match="at least 4 of each"):
        precision_recall(REAL, MADE[:3])
    with pytest.raises(ValueError, match="at least one neighbour, got 0"):
        precision_recall(REAL, MADE, 0)
    with pytest.raises(ValueError, match="at least 1 of each"):
        nearest(MADE, REAL[:0])
