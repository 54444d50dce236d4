"""Image files: opening what may be damaged, with one error that names the place, reading for `predict`, writing."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from train.config import DataError
from train.data.fields import Field
from zoo.arrays import in_a_line
from zoo.images import open_image, upright
from zoo.preprocessing import eight_bits


@contextlib.contextmanager
def opened(file: str | os.PathLike[str] | BinaryIO, place: object) -> Iterator[Image.Image]:
    """The image of a file, open for as long as the block runs; to be decoded within it.

    It lies as it was stored: see `zoo.images.upright`.

    Raises:
      DataError: it is missing, in none of `zoo.images.FORMATS`, damaged, or so large that it looks like an attack.
    """
    try:
        with open_image(file) as image:
            yield image
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{place}: no such file") from error
    except Exception as error:  # Pillow raises whatever its decoders do
        raise DataError(f"{place}: expected a readable image: {in_a_line(error)}") from error


GREY = ("1", "L", "LA")
COLOUR = ("RGB", "RGBA", "P", "CMYK", "YCbCr")
"""Pillow's modes of 8 bits a channel."""


def check_mode(image: Image.Image, place: object) -> None:
    """Refuses images of more than 8 bits a channel, which Pillow would cut off.

    Raises:
      DataError: names the place.
    """
    if image.mode not in GREY + COLOUR:
        raise DataError(f"{place}: expected 8 bits a channel, grey or colour, found Pillow mode {image.mode}")


def rgb(image: Image.Image, place: object) -> Image.Image:
    """The image decoded, in colour, without transparency.

    Raises:
      DataError: it has more than 8 bits a channel.
    """
    check_mode(image, place)
    return image.convert("RGB")


class Still(Protocol):
    """How an image of any size becomes one of the size that a model was evaluated on, see `train.data.framing`."""

    def picture(self, image: Image.Image) -> UInt8[np.ndarray, "height width channels"]:
        """The image as evaluation sees it."""


def read_image(
    path: str | os.PathLike[str], field: Field, framing: Still | None = None
) -> UInt8[np.ndarray, "height width channels"]:
    """An image file as the held-out data had it: 8 bits, grey or colour, framed, or resized (bilinear) to its size.

    It is turned upright as its EXIF orientation says; transparency is dropped, 16 bits are scaled to 8.

    Args:
      path: of the file.
      field: what the images of the data are; its size is that of framed images.
      framing: what `framing_of` gives of the run's data, for the test split.

    Raises:
      DataError: the file is missing or is not an image.
    """
    return as_held_out(read_picture(path, "L" if field.shape[-1] == 1 else "RGB"), field, framing)


def as_held_out(
    image: Image.Image, field: Field, framing: Still | None = None
) -> UInt8[np.ndarray, "height width channels"]:
    """An upright image as the held-out data had it; see `read_image`."""
    height, width, channels = field.shape
    image = eight_bits(image).convert("L" if channels == 1 else "RGB")
    if framing is not None:
        return framing.picture(image)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(field.shape)


def read_picture(path: str | os.PathLike[str], mode: str = "RGB") -> Image.Image:
    """An image file upright, as its EXIF orientation says, of 8 bits a channel, without transparency.

    Args:
      path: of the file.
      mode: what of Pillow's it becomes: "RGB", or "L" for grey.

    Raises:
      DataError: the file is missing or is not an image.
    """
    with opened(path, path) as image:
        return eight_bits(upright(image)).convert(mode)


def encoded(pixels: UInt8[np.ndarray, "height width channels"]) -> bytes:
    """A grey or colour image as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()
