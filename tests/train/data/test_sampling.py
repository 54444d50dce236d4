"""Frames of clips: in a row, evenly, of segments; by number and by time."""

import numpy as np
import pytest

from train.config import Data, RecipeError
from train.data import DataError
from train.data.sampling import Sampling, TooShortError, sampling_of


def times(count, rate=25.0):
    return np.arange(count) / rate


def test_dense_clips_are_in_a_row_and_spread_from_beginning_to_end():
    found = Sampling(3, stride=2, clips=3).still(times(21)).reshape(3, 3)
    np.testing.assert_array_equal(found, [[0, 2, 4], [8, 10, 12], [16, 18, 20]])
    np.testing.assert_array_equal(Sampling(3, stride=2).still(times(21)), [8, 10, 12])  # one is in the middle


def test_a_dense_clip_of_training_begins_anywhere_it_fits_equally_often():
    sampling, random = Sampling(3, stride=2), np.random.default_rng(0)
    found = np.stack([sampling.drawn(times(9), random) for _ in range(1000)])
    np.testing.assert_array_equal(np.diff(found, axis=1), 2)
    counts = np.bincount(found[:, 0], minlength=5)
    assert len(counts) == 5
    assert counts.min() > 150


@pytest.mark.parametrize("count", [8, 9, 17, 100])
def test_segments_give_one_frame_of_each_part(count):
    sampling, random = Sampling(8, "segments"), np.random.default_rng(0)
    borders = np.arange(9) * count / 8
    for _ in range(50):
        found = sampling.drawn(times(count), random)
        assert np.all((np.floor(borders[:-1]) <= found) & (found < np.ceil(borders[1:])))
    middle = sampling.still(times(count))
    np.testing.assert_array_equal(middle, np.floor((borders[:-1] + borders[1:]) / 2))
    np.testing.assert_array_equal(Sampling(8, "uniform").drawn(times(count), random), middle)


def test_several_clips_of_segments_take_other_frames_of_each_part():
    found = Sampling(4, "segments", clips=3).still(times(24)).reshape(3, 4)
    np.testing.assert_array_equal(found, [[1, 7, 13, 19], [3, 9, 15, 21], [5, 11, 17, 23]])


def test_a_rate_takes_the_frame_that_is_seen_at_each_moment():
    at = np.array([5.0, 5.1, 5.15, 5.5, 5.9])  # seconds, of a film whose frames stay for longer and longer
    last = np.median(np.diff(at))
    moments = [k / 10 for k in range(100) if k / 10 <= at[-1] + last - at[0] - 1 / 10 + 1e-9]
    seen = [max(number for number, time in enumerate(at) if time - at[0] <= moment + 1e-9) for moment in moments]
    sampling = Sampling(len(seen), rate=10.0)
    np.testing.assert_array_equal(sampling.still(at), seen)
    assert seen[:6] == [0, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("rate", [25.0, 30000 / 1001, 12.5])
def test_a_video_of_this_rate_is_taken_frame_by_frame(rate):
    np.testing.assert_array_equal(Sampling(50, rate=rate).still(times(50, rate)), np.arange(50))


def test_a_clip_lasts_as_long_at_one_rate_whatever_the_film_has():
    slow, fast = times(60, 24.0), times(150, 60.0)
    clips = [at[Sampling(10, stride=2, rate=12.0).still(at)] for at in (slow, fast)]
    assert [clip[-1] - clip[0] for clip in clips] == pytest.approx([1.5, 1.5], abs=1 / 24)


@pytest.mark.parametrize(
    ("sampling", "count", "least"),
    [(Sampling(4, stride=3), 9, 10), (Sampling(4, "segments"), 3, 4), (Sampling(4, rate=12.5), 6, 4)],
)
def test_a_film_that_is_too_short_is_named(sampling, count, least):
    found = count // 2 if sampling.rate else count
    with pytest.raises(TooShortError, match=f"expected at least {least} frames.* for a clip of 4.*, found {found}$"):
        sampling.still(times(count))
    sampling.still(times(2 * least if sampling.rate else least))
    assert issubclass(TooShortError, DataError)


def test_a_recipe_says_how_and_the_test_alone_has_several():
    config = Data(frames=8, sampling="segments", clips=5)
    assert sampling_of(config, "train") == Sampling(8, "segments")
    assert sampling_of(config, "test") == Sampling(8, "segments", clips=5)
    assert [sampling_of(Data(), "test", has).frames for has in (None, 12)] == [16, 12]
    with pytest.raises(RecipeError, match=r"out of range: data\.stride"):
        Data(sampling="segments", stride=2)
