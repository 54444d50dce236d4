"""Image files as the held-out data had them."""

import numpy as np
import pytest
from PIL import Image

from tests.train.data.test_framing import picture
from train.config import Data
from train.data import DataError, Field, Kind, framing_of, read_image
from train.data.decode import encoded


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


def test_what_is_no_image_is_named(tmp_path):
    field = Field(Kind.IMAGE, (8, 8, 1), "uint8")
    with pytest.raises(DataError, match=r"missing\.png: no such file"):
        read_image(tmp_path / "missing.png", field)
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(DataError, match=r"text\.png: expected a readable image"):
        read_image(tmp_path / "text.png", field)
