"""Where objects could be, before anybody says which: selective search, and how many objects proposals find.

Uijlings, van de Sande, Gevers and Smeulders, 2013, Selective Search for Object Recognition; lecture rows L55, L56.
"""

import ctypes
import os
import threading
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from zoo.detection.boxes import iou

MODES = ("fast", "quality")
"""Of selective search."""

SMALLEST = 128
"""Pixels of the shorter side: smaller images are enlarged for the search, which drops regions of few pixels."""
_one_search = threading.Lock()


def selective_search(
    image: UInt8[np.ndarray, "height width 3"], mode: Literal["fast", "quality"] = "fast", most: int = 2000
) -> Float[np.ndarray, "proposals 4"]:
    """Boxes of regions that grow together by colour, texture, size and fill; on the host, by OpenCV.

    OpenCV orders them by the C library's random numbers, as the paper's authors do by some: they begin anew for each
    image, so that an image's boxes are the same whatever was searched before.

    Args:
      image: RGB.
      mode: fast is what R-CNN used; quality proposes about three times as many.
      most: how many are kept at most, the likeliest first.

    Returns:
      left, top, right, bottom in pixels, float32; the same box never twice. How many varies from image to image.

    Raises:
      ImportError: OpenCV's contributed modules are not installed.
      ValueError: the image is not uint8 (height, width, 3), or there is no such mode.
    """
    try:
        import cv2
        from cv2.ximgproc import segmentation
    except ImportError as error:
        raise ImportError('selective search needs OpenCV: pip install -e ".[detection]"') from error
    if mode not in MODES:
        raise ValueError(f"expected a mode of {', '.join(MODES)}, got {mode!r}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"expected pixels uint8 (height, width, 3), got {image.dtype} {image.shape}")
    scale = max(1.0, SMALLEST / min(image.shape[:2]))
    if scale > 1:
        size = tuple(round(scale * side) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    search = segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(image[..., ::-1]))  # OpenCV's order of channels
    search.switchToSelectiveSearchFast() if mode == "fast" else search.switchToSelectiveSearchQuality()
    with _one_search:
        (ctypes.CDLL(None) if os.name == "posix" else ctypes.cdll.msvcrt).srand(0)
        found = np.asarray(search.process(), np.float32).reshape(-1, 4)  # left, top, width, height
    boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1) / np.float32(scale)
    _, first = np.unique(boxes, axis=0, return_index=True)
    return boxes[np.sort(first)][:most]


def padded(boxes: Float[np.ndarray, "n 4"], most: int) -> Float[np.ndarray, "most 4"]:
    """The first `most` boxes, in pixels; of fewer, empty ones (zeros) fill up, which detectors pass over.

    >>> padded(np.array([[0.0, 0.0, 2.0, 2.0]]), 2).tolist()
    [[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]]
    """
    filled = np.zeros((most, 4), np.float32)
    filled[: len(boxes)] = boxes[:most]
    return filled


def recall(
    proposals: Float[Array, "batch n 4"],
    truth: Float[Array, "batch objects 4"],
    valid: Bool[Array, "batch objects"],
    counts: Sequence[int],
    threshold: float = 0.5,
) -> tuple[Int[Array, "counts"], Int[Array, ""]]:
    """How many objects the first so many proposals of their images find: sums, which add up over batches.

    Args:
      proposals: left, top, right, bottom in pixels, the best first.
      truth: the objects' boxes, in pixels.
      valid: which of them are real.
      counts: numbers of proposals an image.
      threshold: an object is found by a box of at least this intersection over union.

    Returns:
      objects found, for each of `counts`, and objects.

    >>> proposals = jnp.array([[[0.0, 0.0, 1.0, 1.0], [4.0, 4.0, 8.0, 8.0]]])
    >>> found, objects = recall(proposals, proposals[:, 1:], jnp.array([[True]]), counts=(1, 2))
    >>> found.tolist(), objects.item()
    ([0, 1], 1)
    """
    finds = iou(proposals, truth) >= threshold  # (batch, n, objects)
    first = jnp.where(finds.any(axis=1), finds.argmax(axis=1), finds.shape[1])
    found = (first < jnp.asarray(counts)[:, None, None]) & valid
    return found.sum(axis=(1, 2)), valid.sum()
