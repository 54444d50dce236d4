"""Moving digits: the second frame looked up by the flow is the first, but where it is occluded."""

import functools
import importlib

import numpy as np
import pytest
from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter

from train.data.sources.digits import load_digits
from train.data.sources.scenes import textured

moving = importlib.import_module("train.data.sources.moving")  # beside a function of that name
PLACES = np.mgrid[: moving.SIDE, : moving.SIDE].astype(float)


@pytest.fixture(scope="module")
def pairs():
    """Few pairs, as the source has them."""
    grey, _ = load_digits()
    digits = np.pad(grey[:300], ((0, 0), (1, 1), (1, 1)))
    texture = moving.enlarged(textured(np.random.default_rng(0)))
    return [moving.pair(np.random.default_rng((1, number)), digits, texture) for number in range(12)]


def looked_up(image, flow):
    """By scipy, with cubic splines."""
    places = PLACES + flow[..., ::-1].transpose(2, 0, 1)
    planes = np.moveaxis(image.astype(float), -1, 0)
    return np.stack([map_coordinates(plane, places, order=3, mode="nearest") for plane in planes], axis=-1)


def inner(pair):
    """Pixels that are not occluded, and around which one layer moves alone: there no border of two is mixed."""
    flow = pair["flow"]
    spread = maximum_filter(flow, (5, 5, 1)) - minimum_filter(flow, (5, 5, 1))
    return (maximum_filter(pair["occluded"], 5) == 0) & (spread.max(axis=-1) < 1)


def test_second_frame_looked_up_by_the_flow_is_the_first(pairs):
    errors, still = [], []
    for pair in pairs:
        where = inner(pair)
        errors.append(np.abs(looked_up(pair["second"], pair["flow"]) - pair["image"])[where])
        still.append(np.abs(pair["second"].astype(float) - pair["image"])[where])
    errors, still = np.concatenate(errors), np.concatenate(still)
    assert len(errors) > 0.5 * len(pairs) * moving.SIDE**2
    assert errors.mean() < 3 < 15 < still.mean()  # of 255
    assert np.percentile(errors, 99) < 15


def test_flow_that_is_off_by_half_a_pixel_fits_worse(pairs):
    for pair in pairs:
        where = inner(pair)
        exact, off = (
            np.abs(looked_up(pair["second"], pair["flow"] + np.float32(step)) - pair["image"])[where].mean()
            for step in (0, 0.5)
        )
        assert exact < 0.6 * off


def test_occluded_pixels_are_elsewhere_in_the_second_frame(pairs):
    for pair in pairs:
        goes = PLACES[::-1].transpose(1, 2, 0) + pair["flow"]
        outside = ((goes < 0) | (goes > moving.SIDE - 1)).any(axis=-1)
        assert np.all(pair["occluded"][outside] == 1)
    share = np.mean([pair["occluded"] for pair in pairs])
    assert 0.05 < share < 0.3
    error = [np.abs(looked_up(pair["second"], pair["flow"]) - pair["image"]).mean(axis=-1) for pair in pairs]
    behind = [(pair["occluded"] == 1) & inside(pair) for pair in pairs]
    hidden = np.concatenate([each[where] for each, where in zip(error, behind, strict=True)])
    assert np.median(hidden) > 25  # something else is there


def inside(pair):
    goes = PLACES[::-1].transpose(1, 2, 0) + pair["flow"]
    return ((goes >= 0) & (goes <= moving.SIDE - 1)).all(axis=-1)


def test_motions_reach_eight_pixels_and_no_more(pairs):
    lengths = np.stack([np.linalg.norm(pair["flow"], axis=-1) for pair in pairs])
    assert 6 < lengths.max() <= moving.LONGEST
    assert 2 < lengths.mean() < 5
    fractions = np.modf(np.stack([pair["flow"] for pair in pairs]))[0]
    assert np.mean(np.abs(fractions) > 0.1) > 0.7  # whole pixels are rare


def test_source_is_the_same_everywhere_and_its_splits_have_other_digits():
    composed = functools.partial(moving._composed.__wrapped__, count=2)
    train, test = composed("train"), composed("test")
    for name, field in moving.SPEC.items():
        assert train[name].shape == (2, *field.shape)
        assert train[name].dtype == field.dtype
        np.testing.assert_array_equal(train[name], composed("train")[name])
        assert np.any(train[name] != test[name])
    assert train["image"].sum() == 2334266  # of numpy and Pillow, wherever they run
