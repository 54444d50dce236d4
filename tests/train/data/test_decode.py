"""Image files as the held-out data had them."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.train.data.test_framing import picture
from train.config import Data
from train.data import DataError, Field, Kind, framing_of, read_image
from train.data.decode import encoded, opened, read_picture
from zoo.images import upright_size


@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("RGB", "jpg"), ("RGBA", "png"), ("P", "png")])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_of_any_mode_and_size_becomes_bytes_of_the_fields_shape(tmp_path, mode, suffix, channels):
    picture(1, (40, 30)).convert(mode).save(tmp_path / f"a.{suffix}")
    pixels = read_image(tmp_path / f"a.{suffix}", Field(Kind.IMAGE, (8, 9, channels), "uint8"))
    assert (pixels.shape, pixels.dtype) == ((8, 9, channels), np.uint8)


def test_a_file_is_framed_as_evaluation_frames(tmp_path):
    picture(1, (40, 30)).save(tmp_path / "a.png")
    for data in (Data(crop=12, eval_crop=16, resize=20), Data(canvas=16)):
        framing = framing_of(data, "test")
        with Image.open(tmp_path / "a.png") as image:
            expected = framing.picture(image)
        field = Field(Kind.IMAGE, (16, 16, 3), "uint8")
        np.testing.assert_array_equal(read_image(tmp_path / "a.png", field, framing), expected)
    assert framing_of(Data(), "test") is None


def test_what_is_written_is_read_again(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    for image in (pixels, pixels[..., :1]):
        (tmp_path / "a.png").write_bytes(encoded(image))
        np.testing.assert_array_equal(read_image(tmp_path / "a.png", Field(Kind.IMAGE, image.shape, "uint8")), image)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_a_photograph_is_turned_upright(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    picture(1, (40, 30)).save(file, exif=exif)
    with Image.open(file) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read_picture(file), expected)
    with opened(file, file) as image:
        assert upright_size(image) == expected.shape[1::-1] == ((30, 40) if 5 <= orientation <= 8 else (40, 30))


def test_damaged_exif_says_nothing(tmp_path):
    picture(1, (40, 30)).save(tmp_path / "a.jpg", exif=b"Exif\0\0nonsense")
    assert read_picture(tmp_path / "a.jpg").size == (40, 30)


def test_only_formats_that_are_named_are_opened(tmp_path):
    picture(1, (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: expected a readable image: cannot identify image file"):
        read_picture(tmp_path / "a.png")


def test_whatever_a_decoder_raises_is_one_line(tmp_path, monkeypatch):
    picture(1, (8, 8)).save(tmp_path / "a.png")

    def fail(*_):
        raise struct.error("unpack requires a buffer")

    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(DataError, match=r"a\.png: expected a readable image: unpack requires a buffer"):
        read_picture(tmp_path / "a.png")


def test_what_is_no_image_is_named(tmp_path):
    field = Field(Kind.IMAGE, (8, 8, 1), "uint8")
    with pytest.raises(DataError, match=r"missing\.png: no such file"):
        read_image(tmp_path / "missing.png", field)
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(DataError, match=r"text\.png: expected a readable image"):
        read_image(tmp_path / "text.png", field)
