"""Colour PNGs of 16 bits a channel, of which Pillow keeps 8: KITTI's flow is in such files.

W3C, 2003, Portable Network Graphics (PNG) Specification, chapters 5 and 11.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from train.config import DataError
from train.data.decode import opened

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HIGH, _LOW = "RGB;16B", "RGB;16L"
"""What Pillow calls the bytes that it takes of each big-endian number: the high ones, and, told that numbers are
little-endian, the low ones."""


def read_rgb_16(file: Path) -> UInt16[np.ndarray, "height width 3"]:
    """The numbers of a colour PNG of 16 bits.

    Raises:
      DataError: it is missing, damaged, or of another kind.
    """
    high, low = (_bytes_of(file, which).astype(np.uint16) for which in (_HIGH, _LOW))
    return high << 8 | low


def rgb_16_size(file: Path) -> tuple[int, int]:
    """Height and width, without decoding.

    Raises:
      DataError: see `read_rgb_16`.
    """
    with opened(file, file) as image:
        _check(file, image)
        return image.height, image.width


def _bytes_of(file: Path, which: str) -> np.ndarray:
    with opened(file, file) as image:
        _check(file, image)
        image.tile = [tile._replace(args=which) for tile in image.tile]
        return np.asarray(image)


def _check(file: Path, image: Image.Image) -> None:
    kind = image.tile[0].args if image.format == "PNG" and image.tile else None
    if kind != _HIGH:
        raise DataError(f"{file}: expected a PNG of three channels of 16 bits, found {image.format} {kind or ''}")


def rgb_16_bytes(pixels: UInt16[np.ndarray, "height width 3"]) -> bytes:
    """Numbers as a colour PNG of 16 bits.

    Raises:
      ValueError: they have another shape or type, or are none.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint16 or not pixels.size:
        raise ValueError(f"expected uint16 (height, width, 3), got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, 6 * width)
    lines = np.pad(rows, ((0, 0), (1, 0)))  # each row begins with its filter: none
    stream = io.BytesIO()
    stream.write(_SIGNATURE)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b"")):
        stream.write(struct.pack(">I", len(content)) + name + content)
        stream.write(struct.pack(">I", zlib.crc32(name + content)))
    return stream.getvalue()
