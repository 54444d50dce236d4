"""Evaluation transforms of published weights: torchvision's presets, number by number."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import zoo
from tests.weights.goldens import pictures

GOLDEN = np.load(Path(__file__).parent / "weights" / "goldens" / "preprocessing.npz")


@pytest.mark.parametrize("entry", GOLDEN)
def test_a_preset_is_torchvisions(entry):
    name, weights, size = entry.split("/")
    transform = zoo.preprocess(name, weights)
    pixels = pictures.picture(tuple(map(int, size.split("x"))))
    for image in (pixels, PIL.Image.fromarray(pixels)):
        result = transform(image)
        assert result.dtype == np.float32
        expected = GOLDEN[entry]
        np.testing.assert_array_equal(pictures.samples(result)[:3], expected[:3])
        np.testing.assert_allclose(pictures.samples(result)[3:], expected[3:], rtol=1e-5, atol=1e-5)


def test_files_are_opened_and_transparency_is_dropped(tmp_path):
    transform = zoo.preprocess("cifar_resnet20")
    pixels = pictures.picture((40, 32, 3))
    opaque = PIL.Image.fromarray(pixels)
    transparent = opaque.copy()
    transparent.putalpha(100)
    opaque.save(tmp_path / "a.png")
    transparent.save(tmp_path / "b.png")
    expected = (pixels[4:36] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for path in (tmp_path / "a.png", str(tmp_path / "b.png")):
        np.testing.assert_allclose(transform(path), expected, atol=1e-6)


def test_what_is_no_image_is_refused(tmp_path):
    transform = zoo.preprocess("cifar_resnet20")
    with pytest.raises(TypeError, match=r"expected a path, .* or uint8 pixels .*, got float64 \(32, 32, 3\)"):
        transform(np.zeros((32, 32, 3)))
    with pytest.raises(TypeError, match="got int"):
        transform(3)
    with pytest.raises(FileNotFoundError):
        transform(tmp_path / "absent.png")
