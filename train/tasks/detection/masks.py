"""Masks of boxes in the pixels of an image, and as the run lengths in which COCO writes them.

He, Gkioxari, Dollar and Girshick, 2017, Mask R-CNN, section 3.1: the mask is resized to its box and cut at 0.5. Each
pixel takes the probability at its centre, as in detectron2's `paste_masks_in_image`; torchvision's rounds boxes first.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

CUT = 0.5
"""The probability from which on a pixel is the object's."""


def paste(
    masks: Float[np.ndarray, "n rows columns"], boxes: Float[np.ndarray, "n 4"], height: int, width: int
) -> Bool[np.ndarray, "n height width"]:
    """Which pixels of an image belong to each object.

    Args:
      masks: probabilities inside the boxes.
      boxes: left, top, right, bottom in pixels; of an empty one no pixel is.
      height: of the image, in pixels.
      width: of the image, in pixels.

    >>> paste(np.ones((1, 28, 28)), np.array([[1.0, 0.0, 3.0, 1.0]]), 2, 4)[0].astype(int).tolist()
    [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    found = np.zeros((len(masks), height, width), bool)
    for place, (mask, box) in enumerate(zip(masks, np.asarray(boxes, np.float64), strict=True)):
        (top, bottom), down = _weights(box[1], box[3], height, mask.shape[0])
        (left, right), across = _weights(box[0], box[2], width, mask.shape[1])
        found[place, top:bottom, left:right] = down @ mask @ across.T >= CUT
    return found


def _weights(
    first: float, last: float, size: int, cells: int
) -> tuple[tuple[int, int], Float[np.ndarray, "pixels cells"]]:
    """The pixels whose centres lie in an interval, and how much each takes of the cells: of the two nearest.

    Beyond the outermost cells' centres these go on: an object that fills its box touches the border.
    """
    begin, end = (int(np.clip(np.ceil(edge - 0.5), 0, size)) for edge in (first, last))
    end = max(begin, end)
    at = (np.arange(begin, end) + 0.5 - first) / max(last - first, 1e-9) * cells - 0.5
    return (begin, end), np.maximum(0, 1 - np.abs(np.clip(at, 0, cells - 1)[:, None] - np.arange(cells)))


def run_lengths(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as COCO's uncompressed run lengths: down the columns, of background and object in turn.

    >>> run_lengths(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': [1, 3]}
    """
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {"size": [int(side) for side in mask.shape], "counts": counts.tolist()}
