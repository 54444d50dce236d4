"""A frame's answer depends on it and those before, and the clip's is the mean of them."""

import functools

import jax
import numpy as np
import scipy.special

import zoo
from tests.video.clips import drawn, noise
from zoo.sequences import LSTM

CLIP = noise(2, 4, 32, 32, 3)


@functools.cache
def model():
    found = zoo.create("lrcn_tiny")
    return found, drawn(found, CLIP)


@functools.cache
def program():
    network, variables = model()
    return jax.jit(lambda clip: network.apply(variables, clip, features=True))


def test_a_frame_is_not_known_before_it_comes():
    later = np.array(CLIP)
    later[:, 2] *= -1
    changed = np.abs(program()(later)["hidden"] - program()(CLIP)["hidden"]).max((0, 2)) > 1e-6
    np.testing.assert_array_equal(changed, [False, False, True, True])


def test_a_clip_is_answered_by_the_mean_of_its_frames_probabilities():
    network, variables = model()
    found, head = program()(CLIP), variables["params"]["head"]
    steps = np.asarray(found["hidden"]) @ head["kernel"] + head["bias"]
    expected = scipy.special.softmax(steps, -1).mean(1)
    np.testing.assert_allclose(scipy.special.softmax(found["logits"], -1), expected, rtol=1e-4)
    np.testing.assert_allclose(found["pre_logits"], np.mean(found["hidden"], 1), rtol=0, atol=1e-6)
    vectors = np.asarray(found["stage4"]).mean((2, 3))
    _, again = LSTM(network.hidden_size).apply({"params": variables["params"]["lstm"]}, vectors)
    np.testing.assert_allclose(again, found["hidden"], rtol=0, atol=1e-5)
