"""The elements of p4 and p4m are 2 x 2 matrices that multiply, and move planes and maps as functions on them."""

import itertools

import numpy as np
import pytest

from zoo.geometric import P4, P4M, Z2, Element, group_named, move_maps, move_plane, product_table
from zoo.names import UnknownNameError

EVERY = P4M.elements


def matrix(element):
    """x to the right and y upwards, from the angle itself."""
    angle = np.pi / 2 * element.quarter_turns
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.rint(turn @ np.diag([-1.0 if element.mirrored else 1.0, 1.0])).astype(int)


def test_products_and_inverses_are_those_of_matrices():
    for g, h in itertools.product(EVERY, EVERY):
        np.testing.assert_array_equal(matrix(g.after(h)), matrix(g) @ matrix(h))
        np.testing.assert_array_equal(matrix(g.inverse) @ matrix(g), np.eye(2))
        np.testing.assert_array_equal(g.matrix, matrix(g))


@pytest.mark.parametrize("group", [Z2, P4, P4M], ids=lambda group: group.name)
def test_each_group_is_closed_and_each_element_comes_once_in_a_row(group):
    table = product_table(group)
    for lines in (table, table.T):
        assert all(sorted(line) == list(range(len(group))) for line in lines.tolist())
    assert group_named(group.name) is group


def test_p4m_is_not_commutative_and_p4_is():
    assert (product_table(P4) == product_table(P4).T).all()
    assert (product_table(P4M) != product_table(P4M).T).any()


@pytest.mark.parametrize("element", EVERY)
def test_a_pixel_goes_where_the_matrix_takes_it(element):
    side = 5
    image = np.arange(side * side).reshape(side, side)
    moved = np.asarray(move_plane(image, element, axes=(0, 1)))
    for row, column in itertools.product(range(side), range(side)):
        x, y = matrix(element) @ (column - 2, 2 - row)
        assert moved[2 - y, 2 + x] == image[row, column]


def test_moving_by_a_product_is_moving_twice():
    random = np.random.default_rng(0)
    maps = random.standard_normal((2, 4, 4, 8, 3)).astype(np.float32)
    for g, h in itertools.product(EVERY[::3], EVERY):
        np.testing.assert_array_equal(move_maps(maps, g.after(h), P4M), move_maps(move_maps(maps, h, P4M), g, P4M))


def test_maps_are_moved_as_functions_on_the_group():
    maps = np.random.default_rng(1).standard_normal((1, 3, 3, 8, 1)).astype(np.float32)
    for g in EVERY:
        moved = np.asarray(move_maps(maps, g, P4M))
        for place, h in enumerate(EVERY):
            was = EVERY.index(next(e for e in EVERY if (matrix(g) @ matrix(e) == matrix(h)).all()))
            np.testing.assert_array_equal(moved[0, :, :, place], move_plane(maps[0, :, :, was], g, (0, 1)))


def test_what_is_of_no_group_is_refused():
    with pytest.raises(UnknownNameError, match="p4m"):
        group_named("p5m")
    with pytest.raises(ValueError, match="expected an element of p4, got Element"):
        move_maps(np.zeros((1, 3, 3, 4, 1)), Element(1, True), P4)
    with pytest.raises(ValueError, match=r"maps on p4m .*got shape \(1, 3, 3, 4, 1\)"):
        move_maps(np.zeros((1, 3, 3, 4, 1)), Element(1), P4M)
