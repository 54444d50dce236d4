"""Flow as bytes: what is lost, and that stacks of it move as single flows do."""

import functools

import jax
import numpy as np
import pytest

from tests.train.data.every_kind import FACTS
from train.config import Augment
from train.data import Field, Kind, augment, preprocess
from train.data.augment import geometry
from train.data.augment.geometry import Mirror, Shift, Turn
from train.data.augment.moves import At
from train.data.flow_bytes import LONGEST, STILL_BYTE, of_bytes, to_bytes, to_motion
from train.data.frame_rules import FRAME, Crop, Move, Resize

BATCH, TIME, HEIGHT, WIDTH = 6, 3, 14, 18
SPEC = {
    "flows": Field(Kind.FLOWS, (TIME, HEIGHT, WIDTH, 2), "uint8"),
    "clip": Field(Kind.CLIP, (4, HEIGHT, WIDTH, 3), "uint8"),
}


def flows(seed=0):
    """Smooth fields, of up to 12 pixels."""
    random = np.random.default_rng(seed)
    waves = random.uniform(0.1, 0.4, (BATCH, TIME, 1, 1, 2, 2))
    rows, columns = np.indices((HEIGHT, WIDTH))
    phase = waves[..., 0] * rows[..., None] + waves[..., 1] * columns[..., None]
    return (12 * np.sin(phase)).astype(np.float32)


def test_vectors_are_kept_to_a_twelfth_of_a_pixel_and_cut_off_at_twenty():
    true = np.random.default_rng(0).uniform(-40, 40, (1000, 2)).astype(np.float32)
    found = of_bytes(to_bytes(true))
    inside = np.abs(true) <= LONGEST
    assert np.abs(found - true)[inside].max() <= LONGEST / 127 / 2 + 1e-6 < 0.08
    np.testing.assert_allclose(found[~inside], LONGEST * np.sign(true[~inside]), rtol=1e-6)
    assert to_bytes(np.zeros(2)).tolist() == [STILL_BYTE] * 2


def test_a_network_sees_the_flow_over_twenty_pixels():
    stored = to_bytes(flows())
    np.testing.assert_allclose(to_motion(stored), of_bytes(stored) / LONGEST, rtol=1e-6)
    with pytest.raises(ValueError, match="expected uint8 flow"):
        to_motion(of_bytes(stored))


@functools.cache
def single(move):
    """What is done to one flow field."""
    spec, at = {"flow": Field(Kind.FLOW, (HEIGHT, WIDTH, 2), "float32")}, At(HEIGHT, WIDTH, FACTS)
    return jax.jit(lambda flow, drawn: geometry.move(move, {"flow": flow}, drawn, spec, at)["flow"])


DRAWN = {
    "pad_crop": Shift(np.arange(BATCH, dtype=np.int32), np.arange(BATCH, dtype=np.int32)[::-1].copy(), 3),
    "flip": Mirror(np.arange(BATCH) % 2 == 0),
    "rotate": Turn(np.linspace(-30, 30, BATCH).astype(np.float32)),
}


@pytest.mark.parametrize(
    ("move", "are_bytes"), [("pad_crop", True), ("flip", True), ("flip", False), ("rotate", False)]
)
def test_every_field_of_a_stack_moves_as_a_flow_does_and_nothing_comes_in(move, are_bytes):
    stored = to_bytes(flows())
    given = stored if are_bytes else np.asarray(to_motion(stored))
    found = np.asarray(geometry.APPLY[move, Kind.FLOWS](given, DRAWN[move], At(HEIGHT, WIDTH, FACTS), Kind.FLOWS))
    assert (found.dtype, found.shape) == (given.dtype, stored.shape)
    pixels = of_bytes(found) if are_bytes else LONGEST * found
    for time in range(TIME):
        drawn = DRAWN[move]
        if isinstance(drawn, Shift):  # the pad is no array
            at = At(HEIGHT, WIDTH, FACTS)
            expected = geometry.APPLY[move, Kind.FLOW](of_bytes(stored)[:, time], drawn, at, Kind.FLOW)
        else:
            expected = single(move)(of_bytes(stored)[:, time], drawn)
        expected = np.asarray(expected)
        known = np.isfinite(expected)
        np.testing.assert_allclose(pixels[:, time][known], expected[known], atol=1e-3)
        if move == "pad_crop":
            assert not known.all()
            np.testing.assert_array_equal(pixels[:, time][~known], 0)


def test_framing_scales_vectors_with_the_image():
    stored = to_bytes(np.full((TIME, 20, 30, 2), (2.0, -3.0), np.float32))
    move = Move((Crop(5, 2, 25, 18), Resize(10, 16)), 30, 20, FACTS)
    found = of_bytes(FRAME[Kind.FLOWS](stored, move))
    assert found.shape == (TIME, 16, 10, 2)
    np.testing.assert_allclose(found, np.broadcast_to(np.float32([1.0, -3.0]), found.shape), atol=0.16)
    beyond = Move((Resize(10, 10), Crop(0, 0, 14, 14)), 30, 20, FACTS)
    assert np.all(FRAME[Kind.FLOWS](stored, beyond)[:, 10:] == STILL_BYTE)


def test_all_frames_of_a_clip_are_varied_alike():
    """A clip of one picture stays one of one picture, and so does what moves."""
    random = np.random.default_rng(0)
    still = np.repeat(random.integers(0, 256, (BATCH, 1, HEIGHT, WIDTH, 3), np.uint8), 4, axis=1)
    motion = np.repeat(to_bytes(flows())[:, :1], TIME, axis=1)
    config = Augment(pad_crop=2, flip=True, rotate=20.0, cutout=4, mean=(0.5,), std=(0.25,))
    found = jax.jit(augment(config, SPEC))(jax.random.key(0), {"clip": still, "flows": motion})
    seen = jax.jit(preprocess(config, SPEC))({"clip": still, "flows": motion})
    for name, value in found.items():
        value = np.asarray(value)
        np.testing.assert_array_equal(value, np.broadcast_to(value[:, :1], value.shape))
        assert not np.allclose(value, seen[name], atol=0.1)
    np.testing.assert_allclose(seen["flows"], to_motion(motion), rtol=1e-6)
    trivial = jax.jit(augment(Augment(trivial=True), {"clip": SPEC["clip"]}))(jax.random.key(1), {"clip": still})
    value = np.asarray(trivial["clip"])
    np.testing.assert_array_equal(value, np.broadcast_to(value[:, :1], value.shape))
    assert np.any(value != still / np.float32(255), axis=(1, 2, 3, 4)).sum() > BATCH // 2
