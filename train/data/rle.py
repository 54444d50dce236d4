"""Masks of objects as COCO writes them: polygons, or lengths of runs, column by column (RLE), compressed or not.

Lin et al., 2014, Microsoft COCO: Common Objects in Context. Runs are read and written here; polygons become runs by
pycocotools, so that they cover the pixels that COCO says they do.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from train.config import DataError


def coco_tools(module: str, what: str) -> Any:
    """A module of pycocotools, which only some data and judges need.

    Args:
      module: such as "mask".
      what: it is needed for, for the message.

    Raises:
      DataError: it is not installed.
    """
    try:
        return importlib.import_module(f"pycocotools.{module}")
    except ImportError as error:
        raise DataError(
            f'{what}: expected pycocotools, which is not installed: pip install -e ".[detection]"'
        ) from error


def decoded(segmentation: Any, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """The pixels of an object.

    Args:
      segmentation: polygons, each a list x0, y0, x1, y1, ... in pixels; or {"size": [height, width], "counts": ...}
        with the lengths of runs as numbers, or compressed as text.
      height: of the image, in pixels.
      width: of the image.

    Raises:
      DataError: it is none of these, or is of an image of another size; or it has polygons, and pycocotools is not
        installed.

    >>> decoded({"size": [2, 3], "counts": [1, 2, 3]}, 2, 3).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    try:
        return _decoded(segmentation, height, width)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"expected numbers in polygons or run lengths, found {str(segmentation)[:60]}") from error


def _decoded(segmentation: Any, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    if isinstance(segmentation, list):
        segmentation = _of_polygons(segmentation, height, width)
    if not isinstance(segmentation, dict) or not isinstance(segmentation.get("counts"), list | str | bytes):
        raise DataError(f"expected polygons x0, y0, x1, y1, ... or run lengths, found {str(segmentation)[:60]}")
    if list(segmentation.get("size", ())) != [height, width]:
        raise DataError(f"expected run lengths of size {[height, width]}, found {segmentation.get('size')}")
    counts = segmentation["counts"]
    runs = np.array(counts if isinstance(counts, list) else _runs_of(counts), np.int64)
    if runs.sum() != height * width or runs.min(initial=0) < 0:
        raise DataError(f"expected run lengths that add up to {height * width} pixels, found {runs.sum()}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def encoded(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as compressed RLE; its "counts" are text, as json wants it.

    >>> encoded(np.ones((2, 3), bool))
    {'size': [2, 3], 'counts': '06'}
    """
    column = np.asarray(mask, bool).T.ravel()
    changes = np.flatnonzero(np.diff(column, prepend=False))  # the first run is of zeros, of none perhaps
    runs = np.diff(changes, prepend=0, append=len(column))
    return {"size": list(mask.shape), "counts": _text_of(runs.tolist())}


def area_of(rle: Mapping[str, Any]) -> int:
    """How many pixels compressed RLE has.

    >>> area_of(encoded(np.eye(3, dtype=bool)))
    3
    """
    return sum(_runs_of(rle["counts"])[1::2])


def _of_polygons(polygons: list[Any], height: int, width: int) -> dict[str, Any]:
    if not all(isinstance(polygon, list) and len(polygon) % 2 == 0 for polygon in polygons):
        raise DataError(f"expected polygons x0, y0, x1, y1, ..., found {str(polygons)[:60]}")
    polygons = [polygon for polygon in polygons if len(polygon) >= 6]  # fewer points enclose nothing
    if not polygons:
        return {"size": [height, width], "counts": [height * width]}
    tools = coco_tools("mask", "polygons")
    return tools.merge(tools.frPyObjects(polygons, height, width))


def _runs_of(counts: str | bytes) -> list[int]:
    """Five bits a character, the lowest first, a sixth if more follow; from the fourth on less the one before last."""
    codes = (counts.encode() if isinstance(counts, str) else counts).translate(_CODES)
    runs: list[int] = []
    number = shift = 0
    for code in codes:
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << shift
        runs.append(number + runs[-2] if len(runs) > 2 else number)
        number = shift = 0
    return runs


def _text_of(runs: list[int]) -> str:
    text = bytearray()
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        while True:
            code, number = number & 31, number >> 5
            more = number != (-1 if code & 16 else 0)
            text.append(48 + code + 32 * more)
            if not more:
                break
    return text.decode()


_CODES = bytes((code - 48) % 256 for code in range(256))
"""Of the characters from "0" on."""
