"""Several answers made one, and windows over long clips, beside loops in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from tests.video.clips import noise
from zoo.video import mean_of_probabilities, over_windows, window_starts


@pytest.mark.parametrize("weights", [None, (1, 2, 0)])
def test_the_softmax_of_the_result_is_the_mean_of_the_softmaxes(weights):
    logits = 30 * noise(2, 4, 3, 6)  # some probabilities are below what float32 has
    found = scipy.special.softmax(np.asarray(mean_of_probabilities(jnp.asarray(logits), weights)), -1)
    expected = np.average(scipy.special.softmax(logits, -1), axis=-2, weights=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("weights", [(1, 2), (1, 1, -1), (0, 0, 0), (1, 1, np.nan), (1, 1, np.inf)])
def test_weights_that_are_no_shares_are_refused(weights):
    with pytest.raises(ValueError, match="expected a weight, not negative, for each of 3 answers"):
        mean_of_probabilities(jnp.zeros((3, 2)), weights)
    with pytest.raises(ValueError, match="for each of 0 answers"):
        mean_of_probabilities(jnp.zeros((0, 2)))


@pytest.mark.parametrize(("frames", "length", "stride"), [(16, 16, 4), (33, 8, 5), (9, 4, 9), (7, 1, 1), (20, 6, 7)])
def test_windows_see_the_clip_from_its_first_to_its_last_frame(frames, length, stride):
    starts = window_starts(frames, length, stride)
    assert (starts[0], starts[-1] + length) == (0, frames)
    assert set(np.diff(starts)[:-1]) <= {stride}
    assert all(0 < step <= stride for step in np.diff(starts))


@pytest.mark.parametrize(("frames", "length", "stride"), [(3, 4, 1), (4, 0, 1), (4, 2, 0)])
def test_clips_that_are_too_short_are_refused(frames, length, stride):
    with pytest.raises(ValueError, match=f"got {frames} frames, windows of {length}, {stride} apart"):
        window_starts(frames, length, stride)


def test_each_window_is_predicted_by_itself():
    clip, matrix = noise(2, 11, 3, 4), noise(5 * 3 * 4, 6, seed=1)

    def predict(windows):
        return jnp.tanh(windows.reshape(windows.shape[0], -1) @ matrix)

    found = jax.jit(lambda clip: over_windows(predict, clip, 5, 4))(clip)
    starts = (0, 4, 6)
    expected = np.stack([np.tanh(clip[:, start : start + 5].reshape(2, -1) @ matrix) for start in starts], axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    later = np.array(clip)
    later[:, 9:] += 1  # of which only the last window knows
    changed = np.abs(over_windows(predict, later, 5, 4) - found).max((0, 2))
    np.testing.assert_array_equal(changed > 1e-6, [False, False, True])
