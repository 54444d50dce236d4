"""The largest value is numpy's, and its gradient is one, at the first place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.geometric import largest


@pytest.mark.parametrize("axes", [0, 1, (1, 2), (0, 1, 2)])
def test_values_are_numpys_and_gradients_are_at_the_first_maximum(axes):
    values = np.random.default_rng(0).integers(0, 3, (2, 3, 4)).astype(np.float32)  # with many that are equal
    found, slopes = jax.value_and_grad(lambda x: (largest(x, axes) ** 2).sum())(values)
    expected = values.max(axis=axes)
    assert found == (expected**2).sum()
    one = np.zeros_like(values)
    kept = tuple(i for i in range(3) if i not in np.atleast_1d(axes))
    order = np.transpose(values, (*kept, *np.atleast_1d(axes))).reshape(expected.size, -1)
    for row, place in enumerate(order.argmax(axis=1)):
        flat = np.zeros(order.shape[1])
        flat[place] = 2 * order[row, place]
        at = np.unravel_index(row, expected.shape) if expected.shape else ()
        view = np.transpose(one, (*kept, *np.atleast_1d(axes)))
        view[at] = flat.reshape(view[at].shape)
    np.testing.assert_array_equal(slopes, one)


def test_axes_that_are_no_neighbours_or_empty_are_refused():
    for axes, shape in (((0, 2), (2, 3, 4)), (1, (2, 0)), (-1, (2, 3))):
        with pytest.raises(ValueError, match="neighbouring axes with entries"):
            largest(jnp.zeros(shape), axes)
