"""The lecture's filters do to an image what the slides say."""

import numpy as np
import pytest
import scipy.ndimage

from zoo.convolution import BOX_BLUR, IDENTITY, SHARPEN, SHIFT_LEFT, cross_correlate, impulse, moving_average

IMAGE = np.random.default_rng(0).uniform(size=(6, 7)).astype(np.float32)
BLURRED = scipy.ndimage.uniform_filter(IMAGE, 3, mode="reflect")


def test_practice_1_leaves_the_image_unchanged():
    np.testing.assert_array_equal(cross_correlate(IMAGE, IDENTITY), IMAGE)


def test_practice_2_moves_the_image_left_by_one_pixel():
    moved = cross_correlate(IMAGE, SHIFT_LEFT)
    np.testing.assert_array_equal(moved[:, :-1], IMAGE[:, 1:])
    assert not moved[:, -1].any()


def test_practice_3_blurs_with_a_box():
    np.testing.assert_allclose(cross_correlate(IMAGE, BOX_BLUR, "reflect"), BLURRED, rtol=1e-5)


def test_practice_4_adds_what_the_blur_took_away():
    np.testing.assert_allclose(SHARPEN, [[-1 / 9] * 3, [-1 / 9, 17 / 9, -1 / 9], [-1 / 9] * 3], rtol=1e-12)
    assert round(SHARPEN[1, 1], 4) == 1.8889
    assert SHARPEN.sum() == pytest.approx(1)
    sharpened = cross_correlate(IMAGE, SHARPEN, "reflect")
    np.testing.assert_allclose(sharpened, IMAGE + (IMAGE - BLURRED), rtol=1e-4, atol=1e-6)


def test_constants_cannot_be_changed_by_accident():
    for kernel in (IDENTITY, SHIFT_LEFT, BOX_BLUR, SHARPEN):
        with pytest.raises(ValueError, match="read-only"):
            kernel[0, 0] = 1


def test_moving_average_of_five_is_scipys_uniform_filter():
    signal = IMAGE.ravel()
    averaged = cross_correlate(signal, moving_average(5), "copy")
    np.testing.assert_allclose(averaged, scipy.ndimage.uniform_filter1d(signal, 5, mode="nearest"), rtol=1e-5)


def test_questions_of_the_moving_average_slide():
    line = np.arange(20.0)
    for size in (3, 5, 9):  # Q2: an odd filter leaves a straight line where it is, an even one moves it
        averaged = cross_correlate(line, moving_average(size), "valid")
        np.testing.assert_allclose(averaged, line[size // 2 : -(size // 2)], rtol=1e-5)
    moved = cross_correlate(line, moving_average(4))[2:-1]
    np.testing.assert_allclose(moved, line[2:-1] - 0.5, rtol=1e-5)

    noise = np.random.default_rng(0).normal(size=40_000)
    for size in (3, 9):  # Q1: a constant keeps its level; Q3: the larger, the smoother, by 1 / size
        assert moving_average(size).sum() == pytest.approx(1)
        averaged = np.asarray(cross_correlate(noise, moving_average(size), "wrap"))
        assert averaged.var() == pytest.approx(noise.var() / size, rel=0.05)


def test_impulse_is_one_at_the_centre_that_filters_have():
    assert np.argwhere(impulse(3, 4)).tolist() == [[1, 2]]
    assert impulse(3, 4).sum() == 1


def test_sizes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="expected positive sizes, got \\(3, 0\\)"):
        impulse(3, 0)
    with pytest.raises(ValueError, match="expected a positive number, got 0"):
        moving_average(0)
