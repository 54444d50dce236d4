"""Evaluation transforms of published weights: torchvision's presets, number by number."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import zoo
from tests.weights.goldens import pictures

GOLDENS = Path(__file__).parent / "weights" / "goldens"
GOLDEN, OF_CLIPS = (np.load(GOLDENS / name) for name in ("preprocessing.npz", "clips.npz"))


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


@pytest.mark.parametrize("entry", OF_CLIPS)
def test_a_preset_for_clips_is_torchvisions(entry):
    name, weights, size = entry.split("/")
    transform = zoo.preprocess(name, weights)
    frames = pictures.clip(tuple(map(int, size.split("x"))))
    result = transform(frames)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(transform([PIL.Image.fromarray(frame) for frame in frames]), result)
    found, expected = pictures.samples(result), OF_CLIPS[entry]
    np.testing.assert_array_equal(found[:4], expected[:4])
    np.testing.assert_allclose(found[4:-1], expected[4:-1], rtol=0, atol=1e-5)
    assert abs(found[-1] - expected[-1]) < 1e-6 * result.size


def test_what_is_no_clip_is_refused(tmp_path):
    transform = zoo.preprocess("r3d_18")
    for given in (3, "clip.mp4"):
        with pytest.raises(TypeError, match=f"expected the frames of a clip.*, got {type(given).__name__}"):
            transform(given)
    with pytest.raises(ValueError, match="expected a clip of at least one frame, got none"):
        transform([])
    with pytest.raises(ValueError, match=r"expected pixels .*, got shape \(112, 112, 5\)"):
        transform(np.zeros((4, 112, 112, 5), np.uint8))


@pytest.mark.parametrize(
    ("depth", "top1"), [(20, 91.73), (32, 92.63), (44, 93.10), (56, 93.39), (110, 93.68), (1202, 93.82)]
)
def test_the_published_cifar_resnets_share_their_transform(depth, top1):
    pixels = pictures.picture((40, 32, 3))
    expected = zoo.preprocess("cifar_resnet20")(pixels)
    np.testing.assert_array_equal(zoo.preprocess(f"cifar_resnet{depth}")(pixels), expected)
    assert zoo.pretrained(f"cifar_resnet{depth}").top1 == top1


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


def test_a_file_is_turned_upright_and_an_open_image_stays(tmp_path):
    transform = zoo.preprocess("cifar_resnet20")
    exif = PIL.Image.Exif()
    exif[0x0112] = 8
    pixels = pictures.picture((32, 32, 3))
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(transform(tmp_path / "a.png"), transform(np.rot90(pixels).copy()))
    with PIL.Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(transform(image), transform(pixels))


def test_a_file_that_is_no_image_is_named(tmp_path):
    transform = zoo.preprocess("cifar_resnet20")
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")  # Pillow would start a program
    with pytest.raises(ValueError, match=r"a\.png: expected a readable image: cannot identify"):
        transform(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        transform(tmp_path / "b.png")


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_grey_values_of_16_bits_are_scaled_to_8(mode):
    transform = zoo.preprocess("cifar_resnet20")
    grey = pictures.picture((32, 32, 3))[..., 0]
    deep = {"I;16": np.uint16, "I;16B": ">u2", "I": np.int32}[mode]
    image = PIL.Image.fromarray((257 * grey.astype(np.int32)).astype(deep))
    assert image.mode == mode
    np.testing.assert_array_equal(transform(image), transform(grey))


def test_grey_pixels_may_have_an_axis_of_channels():
    transform = zoo.preprocess("cifar_resnet20")
    grey = pictures.picture((32, 32, 3))[..., :1]
    np.testing.assert_array_equal(transform(grey), transform(grey[..., 0]))
    np.testing.assert_array_equal(transform(grey), transform(np.repeat(grey, 3, axis=2)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PIL.Image.new("F", (32, 32)), "expected an image of 8 or 16 bits a channel, got Pillow mode F"),
        (PIL.Image.new("I", (32, 32), 2**16), "expected grey values of 16 bits, got 65536 to 65536"),
        (PIL.Image.new("I", (32, 32), -1), "expected grey values of 16 bits, got -1 to -1"),
        (PIL.Image.new("RGB", (0, 5)), "expected an image of at least one pixel, got 0 x 5"),
        (np.zeros((32, 32, 4), np.uint8), r"got shape \(32, 32, 4\)"),
        (np.zeros((32, 32, 2), np.uint8), r"got shape \(32, 32, 2\)"),
        (
            np.zeros((1, 32, 32, 3), np.uint8),
            r"expected pixels \(height, width\[, 1 or 3\]\), got shape \(1, 32, 32, 3\)",
        ),
        (np.zeros((0, 32, 3), np.uint8), r"got shape \(0, 32, 3\)"),
        (np.zeros((32, 32, 0), np.uint8), r"got shape \(32, 32, 0\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "image",
)
def test_images_of_other_values_or_shapes_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        zoo.preprocess("cifar_resnet20")(image)


def test_what_is_no_image_is_refused(tmp_path):
    transform = zoo.preprocess("cifar_resnet20")
    with pytest.raises(TypeError, match=r"expected a path, .* or uint8 pixels .*, got float64 \(32, 32, 3\)"):
        transform(np.zeros((32, 32, 3)))
    with pytest.raises(TypeError, match="got int"):
        transform(3)
    with pytest.raises(FileNotFoundError):
        transform(tmp_path / "absent.png")
