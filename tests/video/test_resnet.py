"""Residual networks for clips: stages, kinds of convolutions, what sees time, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets.families import parameters
from tests.video.clips import drawn, noise
from zoo.video.resnet import VideoResNet, middle_width


def test_stages_halve_time_where_their_convolutions_see_it():
    strides = {name: feature.stride for name, feature in zoo.feature_info("r3d_18", (16, 64, 64, 3)).items()}
    assert strides == {
        "stem": (1, 2, 2),
        "stage1": (1, 2, 2),
        "stage2": (2, 4, 4),
        "stage3": (4, 8, 8),
        "stage4": (8, 16, 16),
    }


def test_a_factorised_convolution_has_as_many_parameters_as_the_one_it_replaces():
    for inputs, outputs in ((64, 64), (64, 128), (256, 512)):
        middle = middle_width(inputs, outputs)
        whole = 27 * inputs * outputs
        assert 0 <= whole - (9 * inputs * middle + 3 * middle * outputs) < 9 * inputs + 3 * outputs


@pytest.mark.slow  # four networks to trace
def test_parameters_are_torchvisions_and_mixed_convolutions_leave_time_as_it_is():
    assert zoo.feature_info("mc3_18", (16, 64, 64, 3))["stage4"] == (512, (1, 16, 16))
    assert [parameters(name) for name in ("r3d_18", "mc3_18", "r2plus1d_18")] == [33_371_472, 11_695_440, 31_505_325]


def shifted_apart(kind):
    """How far the first stage of a shifted clip is from the shifted stage, where borders are out of sight."""
    model = VideoResNet(3, (1,), (kind,), width=4)
    clip = noise(1, 12, 8, 8, 3)
    variables = drawn(model, clip)
    maps = jax.jit(lambda clip: model.apply(variables, clip, features=True)["stage1"])
    still, moved = maps(clip), maps(np.roll(clip, 1, axis=1))
    return np.abs(moved[:, 5:-4] - still[:, 4:-5]).max(), np.abs(moved - still).max()


def test_a_clip_that_comes_a_frame_later_has_its_maps_a_frame_later():
    apart, from_unshifted = shifted_apart("3d")
    assert apart < 1e-5 < 0.1 < from_unshifted


@pytest.mark.parametrize(("kind", "reach"), [("2d", 1), ("3d", 3)])
def test_how_many_frames_away_a_frame_is_seen(kind, reach):
    """The stem sees one frame on each side, and each of two convolutions another, if it sees time."""
    model = VideoResNet(3, (1,), (kind,), width=4)
    clip = noise(1, 11, 6, 6, 3)
    variables = drawn(model, clip)
    maps = jax.jit(lambda clip: model.apply(variables, clip, features=True)["stage1"])
    changed = np.abs(maps(clip) - maps(jnp.asarray(clip).at[0, 5].multiply(-1))).max((0, 2, 3, 4)) > 1e-6
    np.testing.assert_array_equal(np.flatnonzero(changed), np.arange(5 - reach, 6 + reach))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convolutions": ("3d", "2d")}, r"a kind of convolution for each of 4 stages, got \('3d', '2d'\)"),
        ({"convolutions": ("3d", "2d", "1d", "2d")}, "no convolution of clips '1d'; "),
    ],
)
def test_wrong_options_say_what_was_expected(options, message):
    with pytest.raises((ValueError, zoo.UnknownNameError), match=message):
        jax.eval_shape(VideoResNet(**options).init, jax.random.key(0), jnp.zeros((1, 4, 8, 8, 3)))
