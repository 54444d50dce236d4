"""Reflectance and shading: errors after the best factor, as numpy's least squares finds it window by window."""

import jax
import numpy as np
import pytest

from zoo.dense.intrinsic import local_error, reconstruct, scale_invariant_error

random = np.random.default_rng(0)
TRUE, PREDICTED = random.random((2, 2, 11, 9, 3)).astype(np.float32)


def residual(x, y):
    """Of the best factor."""
    return float(np.linalg.lstsq(x.ravel()[:, None], y.ravel(), rcond=None)[1][0])


def test_an_image_is_reflectance_times_shading():
    shading = random.random((2, 11, 9, 1))
    np.testing.assert_allclose(reconstruct(TRUE, shading)[..., 1], TRUE[..., 1] * shading[..., 0], rtol=1e-6)


def test_error_is_that_of_the_best_factor_of_an_image():
    total, images = scale_invariant_error(PREDICTED, TRUE)
    expected = sum(residual(*pair) / pair[0].size for pair in zip(PREDICTED.astype(float), TRUE, strict=True))
    assert (float(total), float(images)) == (pytest.approx(expected, rel=1e-4), 2)
    assert scale_invariant_error(3 * TRUE, TRUE)[0] == pytest.approx(0, abs=1e-6)
    assert scale_invariant_error(0 * TRUE, TRUE)[0] == pytest.approx((TRUE**2).mean(axis=(1, 2, 3)).sum(), rel=1e-5)


@pytest.mark.parametrize(("window", "rows", "columns"), [(4, range(0, 8, 2), range(0, 6, 2)), (20, [0], [0])])
def test_local_error_is_grosses(window, rows, columns):
    expected = 0
    for x, y in zip(PREDICTED.astype(float), TRUE, strict=True):
        windows = [np.s_[row : row + window, column : column + window] for row in rows for column in columns]
        expected += sum(residual(x[w], y[w]) for w in windows) / sum(float((y[w] ** 2).sum()) for w in windows)
    total, images = local_error(PREDICTED, TRUE, window=window)
    assert (float(total), float(images)) == (pytest.approx(expected, rel=1e-4), 2)
    assert local_error(0 * TRUE, TRUE, window=window)[0] == pytest.approx(2)


def test_what_is_not_known_counts_nowhere():
    hole = TRUE.copy()
    hole[0, :5], hole[1] = np.nan, np.nan
    for error in (scale_invariant_error, local_error):
        (total, images), gradient = jax.value_and_grad(lambda x, error=error: error(x, hole), has_aux=True)(PREDICTED)
        assert images == 1
        assert np.isfinite(total)
        assert np.isfinite(gradient).all()
        assert not gradient[np.isnan(hole)].any()
        counted = ~np.isnan(hole).any(axis=-1)
        assert error(PREDICTED, TRUE, counted)[0] == pytest.approx(float(total))
    with pytest.raises(ValueError, match="expected a window of at least 2 pixels, got 1"):
        local_error(PREDICTED, TRUE, window=1)
