"""Bounds on the largest cosine: equal to the codes that attain them, and above no placing that is known or found."""

import math

import jax
import numpy as np
import pytest
from scipy.special import eval_gegenbauer, roots_jacobi

from tests.hyperspheres.test_separation import TAMMES
from zoo.hyperspheres import bounds
from zoo.hyperspheres.bounds import levenshtein_bound, lower_bound, rankin_bound, welch_bound
from zoo.hyperspheres.separation import largest_cosine, separate

SHARP = [
    (12, 3, 1 / math.sqrt(5)),  # icosahedron
    (240, 8, 1 / 2),  # E8
    (56, 7, 1 / 3),
    (27, 6, 1 / 4),
    (16, 5, 1 / 5),
    (196560, 24, 1 / 2),  # the Leech lattice
    (4600, 23, 1 / 3),
    (891, 22, 1 / 4),
    (552, 23, 1 / 5),
    (275, 22, 1 / 6),
    (162, 21, 1 / 7),
    (100, 22, 1 / 11),
    (112, 21, 1 / 9),
]
"""Vectors, dimensions and largest cosine of the codes that Levenshtein, 1992, names as attaining his bound."""


@pytest.mark.parametrize(("classes", "dims", "cosine"), SHARP)
def test_levenshteins_bound_is_the_cosine_of_the_codes_that_attain_it(classes, dims, cosine):
    assert levenshtein_bound(classes, dims) == pytest.approx(cosine, abs=1e-12)


def test_polygons_simplices_and_cross_polytopes_attain_it():
    for classes in (3, 4, 5, 9, 100):
        assert levenshtein_bound(classes, 2) == pytest.approx(math.cos(2 * math.pi / classes), abs=1e-12)
    for dims in (3, 4, 10, 512):
        assert levenshtein_bound(dims + 1, dims) == pytest.approx(-1 / dims, abs=1e-12)
        assert levenshtein_bound(2 * dims, dims) == pytest.approx(0, abs=1e-12)
        assert lower_bound(2 * dims, dims) == 0


def test_the_600_cell_is_best_and_yet_above_the_bound():
    cosine = math.cos(math.radians(36))  # of the 120 vectors; no other 120 have a smaller, by another proof
    assert cosine - 0.002 < levenshtein_bound(120, 4) < cosine


def test_more_vectors_are_nearer_and_pieces_meet():
    for dims in (3, 5, 24):
        found = [levenshtein_bound(classes, dims) for classes in range(1, 300)]
        assert all(np.diff(found[1:]) > 0)
    for dims in (2, 3, 8):
        for piece in range(1, 9):
            k = (piece + 1) // 2
            ends = (bounds._end(k - 1, dims), bounds._middle(k, dims), bounds._end(k, dims))
            low, high = ends[:2] if piece % 2 else ends[1:]
            for end, strength in ((low, piece), (high, piece + 1)):
                assert bounds._most(piece, dims, end) == pytest.approx(bounds._design(strength, dims), rel=1e-9)


@pytest.mark.parametrize("dims", [3, 4, 8, 24])
def test_polynomials_and_their_zeros_are_scipys(dims):
    order = dims / 2 - 1
    for k in range(1, 8):
        t = 0.37
        expected = eval_gegenbauer(k, order, t) / eval_gegenbauer(k, order, 1)
        assert bounds._gegenbauer(k, dims, t) == pytest.approx(expected, rel=1e-9)
        half = (dims - 3) / 2
        assert bounds._end(k, dims) == pytest.approx(roots_jacobi(k, 1 + half, 1 + half)[0][-1], abs=1e-12)
        assert bounds._middle(k, dims) == pytest.approx(roots_jacobi(k, 1 + half, half)[0][-1], abs=1e-12)


def test_no_bound_is_above_the_best_known_points_on_a_sphere():
    for classes, angle in {4: 109.4712, 5: 90, 6: 90, **TAMMES}.items():
        bound, best = lower_bound(classes, 3), math.cos(math.radians(angle))
        assert max(rankin_bound(classes, 3), levenshtein_bound(classes, 3)) == pytest.approx(bound, abs=1e-12)
        assert best - 0.12 < bound <= best + 1e-6  # the angles have four decimals


@pytest.mark.parametrize(("classes", "dims"), [(7, 2), (12, 10), (6, 5), pytest.param(30, 5, marks=pytest.mark.slow)])
def test_no_bound_is_above_what_is_found(classes, dims):
    found = float(largest_cosine(separate(jax.random.key(0), classes, dims, steps=300, restarts=4)))
    assert rankin_bound(classes, dims) <= lower_bound(classes, dims) <= found + 1e-6


def test_welchs_bound_is_of_absolute_cosines():
    assert welch_bound(6, 3) == pytest.approx(1 / math.sqrt(5))  # the six diagonals of an icosahedron attain it
    assert welch_bound(3, 2) == pytest.approx(1 / 2)
    assert welch_bound(3, 3) == welch_bound(1, 8) == 0
    assert welch_bound(6, 3) > float(largest_cosine(separate(jax.random.key(0), 6, 3)))


def test_one_class_is_alone_and_two_are_opposite():
    assert lower_bound(1, 3) == lower_bound(2, 3) == levenshtein_bound(1, 3) == levenshtein_bound(2, 2) == -1


@pytest.mark.parametrize("bound", [lower_bound, rankin_bound, welch_bound, levenshtein_bound])
def test_what_cannot_be_is_refused(bound):
    with pytest.raises(ValueError, match="classes: expected at least 1, got 0"):
        bound(0, 3)
    with pytest.raises(ValueError, match="dims: expected at least 2, got 1"):
        bound(3, 1)
