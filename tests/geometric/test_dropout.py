"""Dropout of half as many bits: how many numbers are kept, that each is by itself, and the mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.geometric.dropout import Dropout, kept


@pytest.mark.parametrize("share", [0.0, 0.4, 0.5, 0.999, 1.0])
def test_the_share_that_is_kept_is_what_was_asked_for(share):
    mask = np.asarray(kept(jax.random.key(1), (301, 333), share))
    deviation = (share * (1 - share) / mask.size) ** 0.5
    assert abs(mask.mean() - share) <= 4 * deviation + 2**-17
    for shift in ((0, 1), (1, 0), (mask.size // 2 // 333, 0)):  # neighbours, and the two halves of a word
        together = (mask & np.roll(mask, shift, (0, 1))).mean()
        assert abs(together - share**2) <= 8 * deviation + 2**-16


def test_values_keep_their_mean_and_evaluation_drops_nothing():
    values = jnp.asarray(np.random.default_rng(0).uniform(1, 2, (200, 301)).astype(np.float32))
    dropped = Dropout(0.6).apply({}, values, False, rngs={"dropout": jax.random.key(0)})
    zero = np.asarray(dropped) == 0
    assert zero.mean() == pytest.approx(0.6, abs=0.01)
    np.testing.assert_allclose(dropped[~zero], values[~zero] / 0.4, rtol=1e-6)
    np.testing.assert_array_equal(Dropout(0.6).apply({}, values, True), values)
    np.testing.assert_array_equal(Dropout(0.0).apply({}, values, False), values)
