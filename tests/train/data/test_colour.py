"""Holes, noise and normalisation of images against numpy, scipy or a closed form."""

import jax
import numpy as np
import pytest
from scipy import stats

from tests.train.data.examples import IMAGES, KEY, compiled
from train.data.augment import colour


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
    erased = np.asarray(jax.jit(colour.random_erasing)(KEY, images, 0.5))
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


def test_normalise_is_numpys_and_counts_channels():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    assert np.allclose(colour.normalise(IMAGES, mean, std), (IMAGES - mean) / std, atol=1e-6)
    assert np.allclose(colour.normalise(IMAGES, (0.5,), (0.25,)), (IMAGES - 0.5) / 0.25, atol=1e-6)
    with pytest.raises(ValueError, match=r"expected 1 or 3 values, found mean=\(0\.5, 0\.4\)"):
        colour.normalise(IMAGES, (0.5, 0.4), (1.0,))
