"""Each augmentation against numpy, scipy or a closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from train.data import transforms

KEY = jax.random.key(0)
# One shape for all tests, so that each transform is compiled once. No pixel is black.
IMAGES = np.random.default_rng(0).uniform(0.1, 1, (64, 12, 10, 3)).astype(np.float32)


@functools.cache
def compiled(name, *options):
    """A transform with its options fixed, compiled once for all tests."""
    return jax.jit(lambda key, images: getattr(transforms, name)(key, images, *options))


def test_draws_depend_on_the_position_alone_not_on_the_batch():
    long, short = (jax.jit(lambda key, n=n: transforms.uniform(key, n, 3))(KEY) for n in (64, 5))
    assert np.array_equal(long[:, :5], short)
    assert len(np.unique(long)) == 3 * 64
    assert stats.kstest(np.ravel(long), "uniform").pvalue > 0.01


symmetric_beta = jax.jit(transforms.symmetric_beta, static_argnums=1)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_symmetric_beta_has_scipys_distribution(alpha):
    draws = np.asarray(symmetric_beta(KEY, 4000, alpha), float)
    assert np.all((draws >= 0) & (draws <= 1))
    assert stats.kstest(draws, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_symmetric_beta_of_a_tiny_alpha_is_a_fair_coin():
    draws = np.asarray(symmetric_beta(KEY, 4000, 1e-3))
    assert np.mean((draws < 1e-3) | (draws > 1 - 1e-3)) > 0.98
    assert abs(draws.mean() - 0.5) < 0.03


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
    turned = np.asarray(jax.jit(transforms.rotate)(square, jnp.arange(-270.0, 361.0, 90.0)[:7]))
    for i, quarter in enumerate(range(-3, 4)):
        assert np.array_equal(turned[i], np.rot90(square[i], quarter))


def test_rotation_agrees_with_scipys_bilinear_one_and_angle_zero_changes_nothing():
    degrees = np.array([0, 1, 17, -33, 45, 100, -160, 359], np.float32)
    turned = np.asarray(jax.jit(transforms.rotate)(IMAGES[:8], degrees))
    assert np.array_equal(turned[0], IMAGES[0])
    for image, result, angle in zip(IMAGES, turned, degrees, strict=False):
        options = {"reshape": False, "order": 1, "mode": "grid-constant"}
        assert np.abs(result - ndimage.rotate(image, float(angle), **options)).max() < 2e-5


def test_random_rotation_draws_angles_of_both_signs_up_to_its_limit():
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32)[:, None, None], (64, 12, 10, 3))
    turned = np.asarray(compiled("random_rotate", 30.0)(KEY, ramp))[..., 0]
    down, right = turned[:, 6, 4] - turned[:, 5, 4], turned[:, 5, 5] - turned[:, 5, 4]
    angles = np.rad2deg(np.arctan2(right, down))
    assert stats.kstest(angles, stats.uniform(-30, 60).cdf).pvalue > 0.01


def test_cutout_blackens_one_square_about_any_pixel_cut_off_at_the_border():
    result = np.asarray(compiled("cutout", 4)(KEY, IMAGES))
    holes = np.all(result == 0, axis=-1)
    spans = set()
    for hole in holes:
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns)  # a full rectangle
        spans |= {(rows[0], rows[-1], 12), (columns[0], columns[-1], 10)}
    # Centred on each of 12 rows (10 columns), two pixels before and one after.
    assert spans == {(max(c - 2, 0), min(c + 1, n - 1), n) for n in (12, 10) for c in range(n)}
    assert np.array_equal(result[~holes], IMAGES[~holes])


def test_random_erasing_fills_rectangles_of_the_papers_areas_with_noise():
    images = np.full((400, 40, 40, 3), 300, np.int32).astype(np.float32)
    erased = np.asarray(jax.jit(transforms.random_erasing)(KEY, images, 0.5))
    holes = erased[..., 0] < 300
    touched = holes.any((1, 2))
    assert abs(touched.mean() - 0.5) < 0.08
    areas, aspects, noise = [], [], []
    for image, hole in zip(erased[touched], holes[touched], strict=True):
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns)
        areas.append(hole.mean())
        aspects.append(len(rows) / len(columns))
        noise.append(image[hole].ravel())
    assert 0.015 < min(areas) < 0.05
    assert 0.35 < max(areas) < 0.41
    assert 0.25 < min(aspects) < 0.5
    assert 2.2 < max(aspects) < 3.7
    noise = np.concatenate(noise)
    levels = np.bincount(np.rint(noise * 255).astype(int), minlength=256)
    assert np.allclose(noise * 255, np.rint(noise * 255), atol=1e-3)
    assert stats.chisquare(levels).pvalue > 0.001
    pixel, following = noise[:-1], noise[1:]
    assert abs(np.corrcoef(pixel, following)[0, 1]) < 0.01


def test_erasing_differs_between_images():
    noise = np.asarray(compiled("random_erasing", 1.0)(KEY, np.ones_like(IMAGES)))
    assert len({image.tobytes() for image in noise}) == 64


def test_mixup_blends_each_image_with_its_mirror_in_the_batch():
    mixed, weight = compiled("mixup", 1.0)(KEY, IMAGES)
    share = np.asarray(weight)[:, None, None, None]
    assert np.allclose(mixed, share * IMAGES + (1 - share) * IMAGES[::-1], atol=1e-6)
    assert len(np.unique(weight)) == 64


def test_cutmix_pastes_one_box_and_its_weight_is_the_area_that_stays():
    images = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None, None, None], IMAGES.shape)
    mixed, weight = (np.asarray(x) for x in compiled("cutmix", 1.0)(KEY, images))
    side = np.sqrt(1 - np.asarray(symmetric_beta(jax.random.split(KEY)[0], 64, 1.0)))
    whole = 0
    for i in range(64):
        stays, pasted = mixed[i, ..., 0] == i, mixed[i, ..., 0] == 63 - i
        assert np.all(stays ^ pasted)
        assert weight[i] == pytest.approx(stays.mean(), abs=1e-6)
        rows, columns = pasted.any(1).sum(), pasted.any(0).sum()
        assert pasted.sum() == rows * columns
        assert rows <= np.floor(12 * side[i] + 1e-4)
        assert columns <= np.floor(10 * side[i] + 1e-4)
        whole += pasted.sum() == np.floor(12 * side[i]) * np.floor(10 * side[i])
    assert whole > 10  # boxes that no border cuts


def test_normalise_is_numpys_and_counts_channels():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    assert np.allclose(transforms.normalise(IMAGES, mean, std), (IMAGES - mean) / std, atol=1e-6)
    assert np.allclose(transforms.normalise(IMAGES, (0.5,), (0.25,)), (IMAGES - 0.5) / 0.25, atol=1e-6)
    with pytest.raises(ValueError, match=r"expected 1 or 3 values, found mean=\(0\.5, 0\.4\)"):
        transforms.normalise(IMAGES, (0.5, 0.4), (1.0,))


RANDOM = [("pad_crop", 2), ("flip",), ("random_rotate", 30.0), ("cutout", 4), ("random_erasing", 1.0)]


@pytest.mark.parametrize("transform", [*RANDOM, ("mixup", 1.0), ("cutmix", 1.0)], ids=lambda t: t[0])
def test_one_key_gives_one_result_and_positions_differ(transform):
    images = np.repeat(IMAGES[:1], 64, axis=0)
    images[32:] = 1 - images[32:]  # partners differ, so that mixing shows
    apply = compiled(*transform)
    one, again, other = (jax.tree.leaves(apply(jax.random.key(seed), images))[-1] for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len({np.asarray(result).tobytes() for result in one}) > 1


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: t[0])
def test_an_examples_result_does_not_depend_on_the_rest_of_the_batch(transform):
    others = IMAGES.copy()
    others[3:] = 1.2 - others[3:]
    one, other = (np.asarray(compiled(*transform)(KEY, images)) for images in (IMAGES, others))
    assert np.array_equal(one[:3], other[:3])
    assert not np.array_equal(one[3:], other[3:])
