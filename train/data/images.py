"""Image files: opening what may be damaged, with one error that names the place, and writing."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from train.data.errors import DataError


@contextlib.contextmanager
def opened(file: str | os.PathLike[str] | BinaryIO, place: object) -> Iterator[Image.Image]:
    """The image of a file, open for as long as the block runs; to be decoded within it.

    Raises:
      DataError: it is missing, no image, damaged, or so large that it looks like an attack.
    """
    try:
        with Image.open(file) as image:
            yield image
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{place}: no such file") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{place}: expected a readable image: {error}") from error


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


def encoded(pixels: UInt8[np.ndarray, "height width channels"]) -> bytes:
    """A grey or colour image as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()
