"""Depth: numbers that numpy gives by the papers' formulas, and nothing from pixels whose depth nobody knows."""

import jax
import numpy as np
import pytest
from sklearn import metrics

from zoo.dense.depth import depth_scores, depth_sums, scale_invariant_loss

random = np.random.default_rng(0)
TRUE = np.exp(random.normal(size=(3, 4, 5))).astype(np.float32)
PREDICTED = (TRUE * np.exp(random.normal(scale=0.4, size=TRUE.shape))).astype(np.float32)
for place, strange in zip(np.ndindex(2, 3), (np.nan, 0, -1, np.inf, np.nan, 0), strict=True):
    TRUE[0][place] = strange
TRUE[2] = np.nan
KNOWN = np.isfinite(TRUE) & (TRUE > 0)


@pytest.mark.parametrize("invariance", [0.0, 0.5, 1.0])
def test_loss_is_equation_4_of_the_paper(invariance):
    expected = []
    for predicted, true, known in zip(PREDICTED[:2], TRUE[:2], KNOWN[:2], strict=True):
        d = np.log(predicted[known].astype(np.float64)) - np.log(true[known])
        pairs = d[:, None] - d  # equation 3: all pairs of pixels, of which the loss with 1 is half the mean square
        expected.append((1 - invariance) * (d**2).mean() + invariance * (pairs**2).mean() / 2)
    total, images = scale_invariant_loss(PREDICTED, TRUE, invariance=invariance)
    assert images == 2  # of the third nothing is known
    assert total == pytest.approx(sum(expected), rel=1e-4)


def test_what_is_not_known_gives_no_nan_and_no_gradient():
    total, gradient = jax.value_and_grad(lambda x: scale_invariant_loss(x, TRUE)[0])(PREDICTED)
    assert np.isfinite(total)
    assert np.isfinite(gradient).all()
    assert not gradient[~KNOWN].any()
    assert gradient[KNOWN].all()
    assert np.isfinite(jax.grad(lambda x: scale_invariant_loss(x, TRUE)[0])(np.zeros_like(PREDICTED))).all()
    nothing = scale_invariant_loss(PREDICTED, TRUE, np.zeros_like(KNOWN))
    assert [float(each) for each in nothing] == [0, 0]
    assert np.isnan(list(depth_scores(jax.device_get(depth_sums(PREDICTED[2:], TRUE[2:]))).values())).all()


def test_errors_are_scikit_learns_and_add_up_over_batches():
    parts = [jax.device_get(depth_sums(PREDICTED[rows], TRUE[rows])) for rows in (slice(1), slice(1, 3))]
    scores = depth_scores({name: parts[0][name] + parts[1][name] for name in parts[0]})
    x, y = PREDICTED[KNOWN].astype(np.float64), TRUE[KNOWN].astype(np.float64)
    assert scores["abs_rel"] == pytest.approx(metrics.mean_absolute_percentage_error(y, x), rel=1e-5)
    assert scores["sq_rel"] == pytest.approx(((x - y) ** 2 / y).mean(), rel=1e-5)
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, x), rel=1e-5)
    assert scores["rmse_log"] == pytest.approx(metrics.root_mean_squared_error(np.log(y), np.log(x)), rel=1e-5)
    for power in (1, 2, 3):
        assert scores[f"delta{power}"] == pytest.approx((np.maximum(x / y, y / x) < 1.25**power).mean())
