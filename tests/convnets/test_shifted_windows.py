"""Maps cut in windows and put together again, and the seams of a shifted map."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from zoo.convnets.shifted_windows import MASKED, from_windows, padded, seams, windows_of


def test_windows_are_the_maps_squares_and_make_it_again():
    x = np.arange(2 * 6 * 9 * 2).reshape(2, 6, 9, 2)
    windows = windows_of(x, 3)
    assert windows.shape == (2, 6, 9, 2)
    np.testing.assert_array_equal(windows[1, 4], x[1, 3:6, 3:6].reshape(9, 2))  # row 1 and column 1 of 2 x 3
    np.testing.assert_array_equal(from_windows(windows, (6, 9), 3), x)


def test_padding_stands_below_and_to_the_right():
    x = jnp.ones((1, 5, 6, 1))
    np.testing.assert_array_equal(padded(x, 3)[0, :, :, 0], np.pad(np.ones((5, 6)), ((0, 1), (0, 0))))
    assert padded(x, 7).shape == (1, 7, 7, 1)


@pytest.mark.parametrize("shifts", [(2, 2), (0, 1), (3, 0)])
def test_places_see_each_other_if_they_were_as_near_before_the_shift(shifts):
    size, window = (8, 12), 4
    bias = seams(size, window, shifts)
    assert bias.shape == (6, 1, 16, 16)
    before = np.roll(np.stack(np.indices(size), axis=-1), (-shifts[0], -shifts[1]), (0, 1))
    places = windows_of(before[None], window)[0]
    inside = np.stack(np.indices((window, window)), axis=-1).reshape(-1, 2)
    for i, (query, key) in itertools.product(range(6), itertools.product(range(16), repeat=2)):
        near = (places[i, query] - places[i, key] == inside[query] - inside[key]).all()
        assert bias[i, 0, query, key] == (0 if near else MASKED)
