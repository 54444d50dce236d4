"""Mixup and cutmix against numpy and scipy."""

import jax
import numpy as np
import pytest
from scipy import stats

from tests.train.data.examples import IMAGES, KEY, compiled
from train.data.augment import mixing

symmetric_beta = jax.jit(mixing.symmetric_beta, static_argnums=1)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_symmetric_beta_has_scipys_distribution(alpha):
    draws = np.asarray(symmetric_beta(KEY, 4000, alpha), float)
    assert np.all((draws >= 0) & (draws <= 1))
    assert stats.kstest(draws, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_symmetric_beta_of_a_tiny_alpha_is_a_fair_coin():
    draws = np.asarray(symmetric_beta(KEY, 4000, 1e-3))
    assert np.mean((draws < 1e-3) | (draws > 1 - 1e-3)) > 0.98
    assert abs(draws.mean() - 0.5) < 0.03


def test_mixup_blends_each_image_with_its_mirror_in_the_batch():
    mixed, weight = compiled("mixup", 1.0)(KEY, IMAGES)
    share = np.asarray(weight)[:, None, None, None]
    assert np.allclose(mixed, share * IMAGES + (1 - share) * IMAGES[::-1], atol=1e-6)
    assert len(np.unique(weight)) == 64


def test_cutmix_pastes_one_box_and_its_weight_is_the_area_that_stays():
    images = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None, None, None], IMAGES.shape)
    mixed, weight = (np.asarray(x) for x in compiled("cutmix", 1.0)(KEY, images))
    side = np.sqrt(1 - np.asarray(symmetric_beta(jax.random.split(KEY)[0], 64, 1.0)))
    whole = 0
    for i in range(64):
        stays, pasted = mixed[i, ..., 0] == i, mixed[i, ..., 0] == 63 - i
        assert np.all(stays ^ pasted)
        assert weight[i] == pytest.approx(stays.mean(), abs=1e-6)
        rows, columns = pasted.any(1).sum(), pasted.any(0).sum()
        assert pasted.sum() == rows * columns
        assert rows <= np.floor(12 * side[i] + 1e-4)
        assert columns <= np.floor(10 * side[i] + 1e-4)
        whole += pasted.sum() == np.floor(12 * side[i]) * np.floor(10 * side[i])
    assert whole > 10  # boxes that no border cuts
