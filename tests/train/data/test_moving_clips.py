"""Moving digits as clips: what the class is, and what a single frame gives away."""

import functools
import sys

import numpy as np
import pytest

from train.config import Data, RecipeError
from train.data import load
from train.data.sources import moving_clips as function
from train.data.sources.digits import load_digits
from zoo.names import UnknownNameError

module = sys.modules[function.__module__]
WAYS = module.WAYS


@pytest.fixture
def few():
    """Sixty clips, the first of the source's 250."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COUNTS", {"train": 60, "test": 60})
        patch.setattr(module, "_composed", functools.cache(module._composed.__wrapped__))
        yield


@functools.cache
def pictures():
    """Those of each digit, and a texture of one grey."""
    grey, labels = load_digits()
    framed = np.pad(grey, ((0, 0), (1, 1), (1, 1)))
    return [framed[labels == digit] for digit in range(10)], np.full((200, 200, 3), 70, np.uint8)


def filmed(label, random, digit=0):
    """A clip of one's own, whose class is its motion."""
    return module.filmed("motion", label, module.Actor(digit, WAYS[label]), random, *pictures())


class Paced:
    """Random numbers of which the first in [0, 1), the pace, is given."""

    def __init__(self, pace):
        self._numbers, self._given = np.random.default_rng(3), [pace]

    def random(self):
        return self._given.pop() if self._given else self._numbers.random()

    def __getattr__(self, name):
        return getattr(self._numbers, name)


def test_the_first_frame_is_the_same_in_every_class_of_motion():
    for number in range(3):
        first = [filmed(label, np.random.default_rng(number))[0][0] for label in range(len(WAYS))]
        for other in first[1:]:
            np.testing.assert_array_equal(other, first[0])


def test_where_a_frame_shows_the_digit_is_uniform_at_any_time():
    random = np.random.default_rng(0)
    for way in WAYS:
        corners = random.uniform(0, module.SIDE, (4000, 2, 1))
        for time in (0, 5, 15):
            at = (corners + module._shifts(way, 0.5)[time]) % module.SIDE
            for axis in range(2):
                counts = np.histogram(at[:, axis, 0], bins=4, range=(0, module.SIDE))[0]
                assert np.abs(counts - 1000).max() < 150  # five deviations


@pytest.mark.parametrize("label", range(len(WAYS)))
def test_a_frame_is_the_first_one_moved_by_its_way(label):
    """By whole pixels, where the speed is such; beyond the border the digit comes back."""
    way = WAYS[label]
    low, high = module.FAST if way.fast else module.SLOW
    clip, speed = filmed(label, Paced(((2.0 if way.fast else 1.0) - low) / (high - low)), digit=3)
    assert speed == (2.0 if way.fast else 1.0)
    for time in range(module.FRAMES):
        steps = min(time, module.FRAMES - 1 - time) if way.back else time
        moved = np.roll(clip[0], (int(speed) * way.y * steps, int(speed) * way.x * steps), axis=(0, 1))
        np.testing.assert_allclose(clip[time].astype(int), moved, atol=1)


def test_classes_and_actors_are_what_the_source_says():
    random = np.random.default_rng(0)
    for label in range(12):
        actor = module.actor_of("both", label, random)
        assert module.CLASSES["both"][label] == f"{actor.digit} {actor.way.name}"
    for label in range(10):
        assert module.actor_of("motion", label, random).way == WAYS[label]
        assert module.actor_of("appearance", label, random).digit == label
        assert module.actor_of("context", label, random) == (label, WAYS[label])
        others = {module.actor_of("other_actor", label, random) for _ in range(200)}
        assert others == {(digit, WAYS[digit]) for digit in range(10) if digit != label}
    drawn = [module.actor_of("motion", 0, random).digit for _ in range(1000)]
    assert np.bincount(drawn, minlength=10).min() > 60


def test_the_settings_of_a_context_differ_in_what_they_say_alone(few):
    of = {
        what: load(Data(f"moving_clips:{what}"), "test").arrays() for what in ("context", "no_actor", "no_background")
    }
    clips = {what: arrays["clip"].astype(int) for what, arrays in of.items()}
    np.testing.assert_array_equal(of["context"]["label"], of["no_actor"]["label"])
    differs = np.any(clips["context"] != clips["no_actor"], axis=-1)
    assert 0.02 < differs.mean() < 0.35  # where the digit is
    assert np.all(clips["no_actor"] == clips["no_actor"][:, :1])  # nothing moves
    grey = np.all(clips["no_background"] == module.GREY, axis=-1)
    assert np.mean(grey | differs) > 0.999  # the digits are in the same places
    assert np.all(of["no_actor"]["target"] == 0)


def test_colours_of_the_ground_tell_classes_apart(few):
    arrays = load(Data("moving_clips:no_actor"), "test").arrays()
    colours, labels = arrays["clip"][:, 0].mean(axis=(1, 2)), arrays["label"]
    one, other = slice(None, 40), slice(40, None)
    means = np.stack([colours[one][labels[one] == label].mean(axis=0) for label in range(10)])
    nearest = np.linalg.norm(colours[other][:, None] - means, axis=-1).argmin(axis=1)
    assert 0.25 < np.mean(nearest == labels[other]) < 1  # more than a tenth, and not all


def test_splits_are_fixed_and_have_other_digits():
    test = load(Data("moving_clips:motion"), "test")
    assert (module.COUNTS, len(test), test.facts.unit) == ({"train": 1000, "test": 250}, 250, "pixels a frame")
    assert np.bincount(test.arrays()["label"]).tolist() == [25] * 10
    assert test.arrays()["clip"].mean() == pytest.approx(MEAN, abs=0.01)
    with pytest.raises(UnknownNameError, match=r"moving clips 'motoin'.*motion"):
        load(Data("moving_clips:motoin"), "test")


def test_of_more_clips_the_first_are_the_same_and_so_is_the_test(few):
    some, more = (load(Data(f"moving_clips:motion:{count}"), "train").arrays() for count in (12, 30))
    for name, array in some.items():
        np.testing.assert_array_equal(more[name][:12], array)
    assert len(more["clip"]) == 30
    assert len(load(Data("moving_clips:motion:30"), "test")) == 60
    with pytest.raises(RecipeError, match=r"expected how many training examples, .* got 'many'"):
        load(Data("moving_clips:motion:many"), "train")


MEAN = 84.93
"""Of all bytes of the test; the clips are the same everywhere."""
