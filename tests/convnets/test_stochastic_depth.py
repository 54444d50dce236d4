"""Stochastic depth: whole branches, image by image, kept in expectation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.convnets.stochastic_depth import drop_path, linear_rates


class Branch(nn.Module):
    rate: float

    @nn.compact
    def __call__(self, x, train):
        return drop_path(x, self.rate, train)


def test_an_image_loses_all_of_the_branch_or_nothing_and_the_mean_stays():
    x = jnp.arange(1.0, 25).reshape(1, 2, 3, 4) * jnp.ones((4000, 1, 1, 1))
    kept = np.asarray(Branch(0.25).apply({}, x, True, rngs={"dropout": jax.random.key(0)})) / x
    assert (kept == kept[:, :1, :1, :1]).all()
    share = float((kept[:, 0, 0, 0] > 0).mean())
    assert share == pytest.approx(0.75, abs=5 * (0.75 * 0.25 / 4000) ** 0.5)
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.75], rtol=1e-6)


def test_nothing_is_dropped_at_evaluation_or_at_a_rate_of_zero():
    x = jnp.ones((5, 2))
    assert (Branch(0.9).apply({}, x, False) == x).all()
    assert (Branch(0.0).apply({}, x, True) == x).all()


def test_rates_are_torchvisions():
    # models/convnext.py: convnext_small, the first and the last block of the third stage, and the last of all
    rates = linear_rates(0.4, (3, 3, 27, 3))
    assert [len(stage) for stage in rates] == [3, 3, 27, 3]
    assert rates[2][0] == pytest.approx(0.4 * 6 / 35)
    assert rates[2][-1] == pytest.approx(0.4 * 32 / 35)
    assert rates[3][-1] == 0.4
    assert linear_rates(0.1, (1,)) == [(0.0,)]
