"""Files of optical flow: Middlebury's and Sintel's `.flo`, and KITTI's PNG of 16 bits.

Baker et al., 2011, A Database and Evaluation Methodology for Optical Flow; Geiger, Lenz and Urtasun, 2012, Are we ready
for Autonomous Driving?, development kit. Unknown flow is nan here.
"""

import struct
from pathlib import Path

import numpy as np
from jaxtyping import Float

from train.config import DataError
from train.data.png_16 import read_rgb_16, rgb_16_bytes, rgb_16_size
from zoo.arrays import in_a_line

SUFFIXES = (".flo", ".png")
FLO_TAG = b"PIEH"
"""How a `.flo` begins: the float32 202021.25."""
UNKNOWN = 1e9
"""Beyond this a number of a `.flo` means that the flow is unknown."""
_WRITTEN = np.float32(1e10)  # what stands for it, as in Middlebury's own files
_SCALE, _OFFSET = 64.0, 2**15
"""Of KITTI: a number of 16 bits is 64 x pixels + 32768; the third channel says where the flow is known."""
KITTI_RANGE = (-_OFFSET / _SCALE, (2**16 - 1 - _OFFSET) / _SCALE)
"""Pixels that KITTI's files can say: -512 to 511.98."""


def read_flow(file: Path) -> Float[np.ndarray, "height width 2"]:
    """The flow of a `.flo` or of a KITTI `.png`, as its name says.

    Raises:
      DataError: it is neither, missing or damaged.
    """
    return read_flo(file) if _is_flo(file) else read_kitti(file)


def flow_size(file: Path) -> tuple[int, int]:
    """Height and width of a flow, without reading it all.

    Raises:
      DataError: see `read_flow`.
    """
    return _flo_size(file, _content(file, 12)) if _is_flo(file) else rgb_16_size(file)


def read_flo(file: Path) -> Float[np.ndarray, "height width 2"]:
    """The flow of a `.flo`: "PIEH", width and height as int32, then x and y of each pixel as float32, row by row.

    Raises:
      DataError: it is missing, begins otherwise, or has not as many numbers as it says.
    """
    content = _content(file)
    height, width = _flo_size(file, content[:12])
    if len(content) != 12 + 8 * height * width:
        expected = f"{12 + 8 * height * width} bytes, of {width} x {height} vectors"
        raise DataError(f"{file}: expected {expected}, found {len(content)}")
    flow = np.frombuffer(content, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)
    flow[~(np.abs(flow) <= UNKNOWN).all(axis=-1)] = np.nan
    return flow


def flo_bytes(flow: Float[np.ndarray, "height width 2"]) -> bytes:
    """A flow as a `.flo`; unknown pixels are 1e10, as Middlebury has them.

    Raises:
      ValueError: the flow has another shape, no pixel, or numbers that a `.flo` would mean as unknown.
    """
    flow = _checked(flow)
    height, width = flow.shape[:2]
    known = np.isfinite(flow).all(axis=-1, keepdims=True)
    if np.any(np.abs(np.where(known, flow, 0)) > UNKNOWN):
        raise ValueError(f"expected a flow of at most {UNKNOWN:g} pixels, got more")
    return FLO_TAG + struct.pack("<ii", width, height) + np.where(known, flow, _WRITTEN).astype("<f4").tobytes()


def read_kitti(file: Path) -> Float[np.ndarray, "height width 2"]:
    """The flow of a KITTI PNG: red is x and green is y, as 64 x pixels + 32768; where blue is 0 it is unknown.

    Raises:
      DataError: it is missing, damaged, or no PNG of three channels of 16 bits.
    """
    pixels = read_rgb_16(file)
    flow = (pixels[..., :2].astype(np.float32) - _OFFSET) / np.float32(_SCALE)
    flow[pixels[..., 2] == 0] = np.nan
    return flow


def kitti_bytes(flow: Float[np.ndarray, "height width 2"]) -> bytes:
    """A flow as a KITTI PNG, rounded to 1/64 pixel; unknown pixels are 0.

    Raises:
      ValueError: the flow has another shape, no pixel, or vectors beyond `KITTI_RANGE`.
    """
    flow = _checked(flow)
    known = np.isfinite(flow).all(axis=-1)
    numbers = np.rint(np.where(known[..., None], flow, 0).astype(np.float64) * _SCALE) + _OFFSET
    if numbers.min() < 0 or numbers.max() > 2**16 - 1:
        raise ValueError(f"expected a flow from {KITTI_RANGE[0]} to {KITTI_RANGE[1]:.2f} pixels, got more")
    pixels = np.concatenate([numbers, known[..., None]], axis=-1).astype(np.uint16)
    pixels[~known] = 0
    return rgb_16_bytes(pixels)


def _is_flo(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{file}: expected a flow as .flo or .png")
    return suffix == ".flo"


def _content(file: Path, most: int = -1) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(most)
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file") from error
    except OSError as error:
        raise DataError(f"{file}: expected a readable file: {in_a_line(error)}") from error


def _flo_size(file: Path, beginning: bytes) -> tuple[int, int]:
    if len(beginning) < 12 or beginning[:4] != FLO_TAG:
        raise DataError(f"{file}: expected a .flo, which begins with PIEH and its size, found {beginning[:4]!r}")
    width, height = struct.unpack("<ii", beginning[4:])
    if width < 1 or height < 1:
        raise DataError(f"{file}: expected a .flo of at least one pixel, found {width} x {height}")
    return height, width


def _checked(flow: Float[np.ndarray, "height width 2"]) -> Float[np.ndarray, "height width 2"]:
    if flow.ndim != 3 or flow.shape[-1] != 2 or not flow.size:
        raise ValueError(f"expected a flow (height, width, 2), got {flow.shape}")
    return flow
