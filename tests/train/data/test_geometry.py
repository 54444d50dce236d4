"""Moved images against numpy, scipy or a closed form; the other kinds are in `test_kinds.py`."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage, stats

from tests.train.data.examples import IMAGES, KEY, compiled
from train.data.augment import geometry


def test_pad_crop_cuts_a_window_of_the_padded_image_and_every_offset_occurs():
    cropped = np.asarray(compiled("pad_crop", 2)(KEY, IMAGES))
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    windows = {(y, x): padded[:, y : y + 12, x : x + 10] for y in range(5) for x in range(5)}
    found = [[at for at, w in windows.items() if np.array_equal(cropped[i], w[i])] for i in range(64)]
    assert all(len(at) == 1 for at in found)
    assert len({at[0][0] for at in found}) == len({at[0][1] for at in found}) == 5


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_others():
    flipped = np.asarray(compiled("flip")(KEY, IMAGES))
    mirrored = [np.array_equal(flipped[i], IMAGES[i, :, ::-1]) for i in range(64)]
    kept = [np.array_equal(flipped[i], IMAGES[i]) for i in range(64)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 20 <= sum(mirrored) <= 44


def test_rotation_by_quarter_turns_is_rot90_exactly():
    square = IMAGES[:7, :10]
    turned = np.asarray(jax.jit(geometry.rotate)(square, jnp.arange(-270.0, 361.0, 90.0)[:7]))
    for i, quarter in enumerate(range(-3, 4)):
        assert np.array_equal(turned[i], np.rot90(square[i], quarter))


def test_rotation_agrees_with_scipys_bilinear_one_and_angle_zero_changes_nothing():
    degrees = np.array([0, 1, 17, -33, 45, 100, -160, 359], np.float32)
    turned = np.asarray(jax.jit(geometry.rotate)(IMAGES[:8], degrees))
    assert np.array_equal(turned[0], IMAGES[0])
    for image, result, angle in zip(IMAGES, turned, degrees, strict=False):
        options = {"reshape": False, "order": 1, "mode": "grid-constant"}
        assert np.abs(result - ndimage.rotate(image, float(angle), **options)).max() < 2e-5


def test_random_rotation_draws_angles_of_both_signs_up_to_its_limit():
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32)[:, None, None], (64, 12, 10, 3))
    turned = np.asarray(compiled("rotate", 30.0)(KEY, ramp))[..., 0]
    down, right = turned[:, 6, 4] - turned[:, 5, 4], turned[:, 5, 5] - turned[:, 5, 4]
    angles = np.rad2deg(np.arctan2(right, down))
    assert stats.kstest(angles, stats.uniform(-30, 60).cdf).pvalue > 0.01
