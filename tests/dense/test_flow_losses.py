"""Losses of optical flow: closed forms, torch's area interpolation restated, unknown pixels, shifted images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import ndimage

from zoo.dense.flow_losses import (
    census,
    charbonnier,
    multi_scale_loss,
    photometric_loss,
    sequence_loss,
    smoothness_loss,
)
from zoo.dense.flow_metrics import end_point_error
from zoo.dense.warp import warp
from zoo.names import UnknownNameError

random = np.random.default_rng(0)
TARGET = random.normal(0, 3, (2, 12, 20, 2)).astype(np.float32)
KNOWN = random.random((2, 12, 20)) < 0.6
KNOWN[0, :4, :4] = False
SIZES = ((2, 2, 3, 2), (2, 3, 5, 2))
FLOWS = tuple(random.normal(0, 3, shape).astype(np.float32) for shape in SIZES)
OPTIONS = {"weights": (0.3, 0.1), "strides": (8, 4)}


def test_scales_are_compared_with_the_mean_of_the_pixels_that_are_known():
    total, places = 0.0, 0
    for flow, weight, stride in zip(FLOWS, *OPTIONS.values(), strict=True):
        places = 0
        for b, y, x in np.ndindex(flow.shape[:3]):
            cell = (b, slice(stride * y, stride * (y + 1)), slice(stride * x, stride * (x + 1)))
            if KNOWN[cell].any():
                places += 1
                total += weight * np.linalg.norm(flow[b, y, x] - TARGET[cell][KNOWN[cell]].mean(axis=0))
    found = multi_scale_loss(FLOWS, TARGET, KNOWN, **OPTIONS)
    assert float(found.total) == pytest.approx(total, rel=1e-5)
    assert int(found.weight) == places == 29


def test_what_is_nan_counts_as_unknown_and_changes_nothing():
    hidden = np.where(KNOWN[..., None], TARGET, np.nan)
    for loss in (
        lambda flows, *of: multi_scale_loss(flows, *of, **OPTIONS),
        lambda flows, *of: sequence_loss([jnp.repeat(jnp.repeat(f, 4, 1), 4, 2) for f in flows[1:]], *of),
    ):
        np.testing.assert_array_equal(loss(FLOWS, hidden), loss(FLOWS, TARGET, KNOWN))
        slopes = jax.grad(lambda flows, loss=loss: loss(flows, hidden).total)(FLOWS)
        assert all(np.isfinite(leaf).all() for leaf in slopes)
        nothing = loss(FLOWS, np.full_like(TARGET, np.nan))
        assert (float(nothing.total), float(nothing.weight)) == (0, 0)


def test_updates_count_gamma_of_the_next_and_fast_pixels_not():
    flows = [random.normal(0, 3, TARGET.shape).astype(np.float32) for _ in range(3)]
    target = TARGET.copy()
    target[1, 2, 3] = [300, 300]
    counts = KNOWN & (np.linalg.norm(target, axis=-1) < 400)
    assert counts.sum() == KNOWN.sum() - KNOWN[1, 2, 3]
    expected = sum(
        w * np.abs(flow - target)[counts].mean(-1).sum() for w, flow in zip((0.25, 0.5, 1), flows, strict=True)
    )
    found = sequence_loss(flows, target, KNOWN, gamma=0.5)
    assert float(found.total) == pytest.approx(float(expected), rel=1e-5)
    assert int(found.weight) == counts.sum()


def test_an_error_of_zero_has_a_gradient_of_zero():
    assert jax.grad(lambda x: end_point_error(x, jnp.ones(2)))(jnp.ones(2)).tolist() == [0, 0]
    check_grads(lambda x: end_point_error(x, jnp.ones(2)), (jnp.array([3.0, -2.0]),), order=1, eps=1e-2)


def texture(height=40, width=48):
    smooth = ndimage.gaussian_filter(np.random.default_rng(1).random((height, width + 8, 3)), (1.5, 1.5, 0))
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


@pytest.mark.parametrize("kind", ["census", "charbonnier"])
def test_images_look_most_alike_at_the_true_shift(kind):
    whole = texture()
    first, second = whole[None, :, 3:51], whole[None, :, :48]  # what is at x in the first is at x + 3 in the second

    @jax.jit
    def loss(shift):
        flow = jnp.broadcast_to(jnp.stack([shift, jnp.zeros(())]), (1, 40, 48, 2))
        sums = photometric_loss(first, *warp(second, flow), kind)
        return sums.total / sums.weight

    loss = jax.jit(jax.value_and_grad(loss))
    values = [loss(shift)[0] for shift in (0.0, 2.0, 3.0, 4.0)]
    assert np.argmin(values) == 2
    assert loss(2.5)[1] < 0 < loss(3.5)[1]


def test_the_census_does_not_see_another_brightness_and_colours_do():
    first = texture()[None]
    everywhere = np.ones(first.shape[:3], bool)
    for kind, sees in (("census", False), ("charbonnier", True)):
        loss = jax.jit(lambda other, kind=kind: photometric_loss(first, other, everywhere, kind).total)
        same, brighter = loss(first), loss(first + 0.2)
        assert bool(brighter > 1.1 * same) == sees


def test_a_census_is_the_signs_of_differences_made_smooth():
    grey = texture()[None, :9, :9, :1]
    found = np.asarray(census(grey, 1))[0, 4, 4]
    difference = 255 * (grey[0, 3:6, 3:6, 0].ravel() - grey[0, 4, 4, 0])
    np.testing.assert_allclose(found, difference / np.sqrt(0.81 + difference**2), atol=1e-4)


def test_pixels_that_are_hidden_outside_or_at_the_border_do_not_count():
    first = texture()[None]
    warped, counted = np.zeros_like(first), np.ones(first.shape[:3], bool)
    counted[:, :, :10] = False
    occluded = np.zeros_like(counted)
    occluded[:, :, 20:] = True
    assert float(photometric_loss(first, warped, counted, "charbonnier", occluded).weight) == 40 * 10
    assert float(photometric_loss(first, warped, counted, "census", occluded).weight) == (40 - 6) * 10
    with pytest.raises(UnknownNameError, match="no photometric loss 'ssim'; known: census, charbonnier"):
        photometric_loss(first, warped, counted, "ssim")


def test_a_flow_may_change_where_the_image_does():
    flow, image = np.zeros((1, 2, 4, 2), np.float32), np.zeros((1, 2, 4, 3), np.float32)
    flow[:, :, 2:, 0] = 3
    floor = 2 * 6 + 2 * 4  # pairs of neighbours, of which each has two components
    rough = smoothness_loss(flow, image)
    assert int(rough.weight) == 6 + 4
    assert float(rough.total) == pytest.approx(3.0 * 2 / 2 + 1e-3 * (floor - 2) / 2, rel=1e-4)
    image[:, :, 2:] = 0.1
    smooth = smoothness_loss(flow, image, edges=10)
    edge = 3.0 * np.exp(-1) * 2 / 2
    assert float(smooth.total) == pytest.approx(edge, abs=0.02)
    assert float(charbonnier(jnp.float32(0))) == pytest.approx(1e-3)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected a flow of \(2, 3, 5, 2\) at stride 4, got \(2, 2, 3, 2\)"):
        multi_scale_loss(FLOWS[:1], TARGET, weights=(1,), strides=(4,))
    with pytest.raises(ValueError, match="expected as many flows as weights and strides, got 2, 5 and 5"):
        multi_scale_loss(FLOWS, TARGET)
    with pytest.raises(ValueError, match="expected flows of shape"):
        sequence_loss(FLOWS, TARGET)
    with pytest.raises(ValueError, match="expected flow and images of one size"):
        smoothness_loss(TARGET, np.zeros((2, 12, 19, 3)))
    with pytest.raises(ValueError, match="expected images"):
        photometric_loss(TARGET, TARGET[:1], KNOWN)
