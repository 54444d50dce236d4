"""Image files: the one place that opens them. Only named formats are read, and photographs are turned upright."""

import os
from typing import Any, BinaryIO

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read, whatever a file is called. For some others it starts programs."""

_ORIENTATION = 0x0112
"""EXIF's tag for how a camera was held (CIPA DC-008, section 4.6.5)."""
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What of Pillow's makes an image upright, by its orientation; any other is upright."""


def open_image(file: str | os.PathLike[str] | BinaryIO) -> Any:
    """A Pillow image of a file in one of `FORMATS`, not yet decoded; it closes the file as a context manager does.

    Raises:
      Exception: the file is missing, damaged or of another format; Pillow raises whatever its decoders do.
    """
    from PIL import Image

    return Image.open(file, formats=FORMATS)


def upright(image: Any) -> Any:
    """A Pillow image decoded, and turned or mirrored as its EXIF orientation says; damaged EXIF says nothing."""
    from PIL import Image

    image.load()
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(Image.Transpose[turn])


def upright_size(image: Any) -> tuple[int, int]:
    """Width and height that `upright` gives an open image, without decoding it."""
    swapped = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)  # Pillow itself turns TIFF files
    return image.size[::-1] if swapped else image.size


def _orientation(image: Any) -> int:
    from PIL import Image

    try:
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))  # not a PNG's own, which decodes the image
    except Exception:  # whatever a camera or an editor left there
        return 1
