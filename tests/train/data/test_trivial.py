"""TrivialAugment, byte for byte against Pillow, whose operations it names."""

import sys

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from train.config import Augment
from train.data import Field, Kind, augment
from train.data.augment.geometry import draw_mirror, flip
from train.data.augment.trivial import LEVELS, OPERATIONS, SETTINGS, operate, trivial_augment

HEIGHT, WIDTH = 34, 40
ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "color": ImageEnhance.Color,
    "sharpness": ImageEnhance.Sharpness,
}


def by_pillow(image, name, setting):
    """The operation of the paper's wide space, section 3 and table 1, as Pillow has it."""
    level = setting % LEVELS
    sign = 1 if setting < LEVELS else -1
    affine = lambda *places: image.transform(image.size, Image.Transform.AFFINE, places)  # noqa: E731
    match name:
        case "identity":
            return image
        case "shear_x":
            return affine(1, sign * 0.99 * level / 30, 0, 0, 1, 0)
        case "shear_y":
            return affine(1, 0, 0, sign * 0.99 * level / 30, 1, 0)
        case "translate_x":
            return affine(1, 0, sign * (32 * level // 30), 0, 1, 0)
        case "translate_y":
            return affine(1, 0, 0, 0, 1, sign * (32 * level // 30))
        case "rotate":
            return image.rotate(sign * 135 * level / 30)
        case "posterize":
            return ImageOps.posterize(image, 8 - round(level / 5))
        case "solarize":
            return ImageOps.solarize(image, 255 - 255 * level / 30)
        case "autocontrast":
            return ImageOps.autocontrast(image)
        case "equalize":
            return ImageOps.equalize(image)
    return ENHANCERS[name](image).enhance(1 + sign * 0.99 * level / 30)


@pytest.fixture(scope="module")
def pictures():
    """An image for each operation and setting, of many brightnesses: smooth, noisy, dark, flat."""
    random = np.random.default_rng(0)
    count = len(OPERATIONS) * SETTINGS
    ramp = np.linspace(0, 1, WIDTH)[None, None, :, None] * random.uniform(20, 255, (count, 1, 1, 3))
    noise = random.uniform(-1, 1, (count, HEIGHT, WIDTH, 3)) * random.choice([0, 10, 120], (count, 1, 1, 1))
    images = np.clip(ramp + noise + random.uniform(0, 60, (count, 1, 1, 3)), 0, 255).astype(np.uint8)
    images[7::29] = 77  # nothing to stretch or to equalise
    return images


def applied(images):
    operation, setting = np.divmod(np.arange(len(OPERATIONS) * SETTINGS), SETTINGS)
    return np.asarray(jax.jit(operate)(images, operation, setting)).reshape(
        len(OPERATIONS), SETTINGS, *images.shape[1:]
    )


@pytest.fixture(scope="module")
def results(pictures):
    return applied(pictures)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_setting_of_an_operation_gives_the_bytes_of_pillow(name, pictures, results):
    at = OPERATIONS.index(name)
    images = pictures.reshape(results.shape)[at]
    expected = np.stack([by_pillow(Image.fromarray(image), name, i) for i, image in enumerate(images)])
    if name != "identity":
        assert np.mean(expected != images) > 0.1
    difference = np.abs(results[at].astype(int) - expected)
    if name == "autocontrast":  # Pillow multiplies in floating point and falls below some whole numbers
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 0.01
    else:
        assert difference.max() == 0


def test_grey_images_go_the_same_way():
    random = np.random.default_rng(1)
    grey = random.integers(0, 200, (len(OPERATIONS) * SETTINGS, 12, 12, 1), np.uint8)
    found = applied(grey)
    images = grey.reshape(found.shape)
    for name in ("shear_y", "contrast", "sharpness", "equalize", "solarize"):
        at = OPERATIONS.index(name)
        for setting in (5, 44):
            expected = by_pillow(Image.fromarray(images[at, setting, ..., 0]), name, setting)
            np.testing.assert_array_equal(found[at, setting, ..., 0], np.asarray(expected), err_msg=name)
    np.testing.assert_array_equal(found[OPERATIONS.index("color")], images[OPERATIONS.index("color")])


def test_images_of_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"expected images of 1 or 3 channels, found \(2, 8, 8, 2\)"):
        operate(np.zeros((2, 8, 8, 2), np.uint8), np.zeros(2, int), np.zeros(2, int))


def test_each_image_draws_operation_and_strength_for_itself(monkeypatch):
    drawn = {}

    def note(images, operation, setting):
        drawn.update(operation=np.asarray(operation), setting=np.asarray(setting))
        return images

    monkeypatch.setattr(sys.modules["train.data.augment.trivial"], "operate", note)
    trivial_augment(jax.random.key(0), np.zeros((8000, 1, 1, 1), np.uint8))
    for name, count in (("operation", len(OPERATIONS)), ("setting", SETTINGS)):
        times = np.bincount(drawn[name], minlength=count)
        assert len(times) == count
        chi_squared = np.sum((times - 8000 / count) ** 2) / (8000 / count)
        assert chi_squared < count - 1 + 4 * np.sqrt(2 * (count - 1))
    assert abs(np.corrcoef(drawn["operation"], drawn["setting"])[0, 1]) < 0.05


def test_as_a_part_of_augmentation_it_gets_flipped_bytes_and_a_key_of_its_own(monkeypatch):
    batch = {"image": np.random.default_rng(2).integers(0, 256, (16, 4, 4, 3), np.uint8), "label": np.arange(16)}
    given = {}

    def note(key, images):
        given.update(key=key, images=images)
        return images ^ 255

    monkeypatch.setattr(sys.modules["train.data.augment"], "trivial_augment", note)
    key = jax.random.key(3)
    spec = {"image": Field(Kind.IMAGE, (4, 4, 3), "uint8"), "label": Field(Kind.LABEL, (), "int32")}
    result = augment(Augment(flip=True, trivial=True), spec)(key, batch)["image"]
    mirror = draw_mirror(jax.random.fold_in(key, 1), 16)
    np.testing.assert_array_equal(given["images"], flip(batch["image"], mirror))
    assert given["key"] == jax.random.fold_in(key, 7)
    np.testing.assert_array_equal(np.rint(result * 255), 255 - np.asarray(given["images"], int))


def test_all_frames_of_a_clip_go_through_the_operation_that_an_image_would(monkeypatch):
    given = []

    def note(images, operation, setting):
        given.append((np.asarray(images), np.asarray(operation), np.asarray(setting)))
        return images

    monkeypatch.setattr(sys.modules["train.data.augment.trivial"], "operate", note)
    clips = np.random.default_rng(0).integers(0, 256, (50, 3, 2, 2, 3), np.uint8)
    for images in (clips[:, 0], clips):
        np.testing.assert_array_equal(trivial_augment(jax.random.key(5), images), images)
    (_, *of_image), (frames, *of_frames) = given
    np.testing.assert_array_equal(frames[3:6], clips[1])
    np.testing.assert_array_equal(of_frames, np.repeat(of_image, 3, axis=1))
