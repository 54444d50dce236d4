"""Masks of boxes as masks of the image.

He et al., 2017, Mask R-CNN, section 3.1; torchvision/models/detection/roi_heads.py, `paste_masks_in_image`.
"""

import numpy as np
from jaxtyping import Bool, Float


def pasted(
    probability: Float[np.ndarray, "m m"],
    box: Float[np.ndarray, "4"],
    height: int,
    width: int,
    threshold: float = 0.5,
) -> Bool[np.ndarray, "height width"]:
    """The pixels of an image in which an object is likelier than the threshold.

    As in torchvision: the box grows by a pixel of the mask on each side, its edges are cut to whole pixels, and the
    mask is resized to it, bilinear.

    Args:
      probability: of the object, in the box.
      box: left, top, right, bottom in pixels of the image.
      height: of the image.
      width: of the image.
      threshold: from which probability on a pixel is the object's.
    """
    side = len(probability)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * (side + 2) / side
    left, top, right, bottom = (int(edge) for edge in np.concatenate([centre - half, centre + half]))
    mask = np.zeros((height, width), bool)
    first, last = (max(top, 0), max(left, 0)), (min(bottom + 1, height), min(right + 1, width))
    if first[0] >= last[0] or first[1] >= last[1]:
        return mask
    rows = _weights(np.arange(first[0], last[0]) - top, bottom - top + 1, side)
    columns = _weights(np.arange(first[1], last[1]) - left, right - left + 1, side)
    value = rows @ np.pad(probability, 1) @ columns.T
    mask[first[0] : last[0], first[1] : last[1]] = value > threshold
    return mask


def _weights(places: np.ndarray, length: int, side: int) -> Float[np.ndarray, "places padded"]:
    """How much of each pixel of a padded mask goes into some pixels, where it is resized to a length."""
    count = side + 2
    at = np.clip((places + 0.5) * count / length - 0.5, 0, None)
    low = np.minimum(at.astype(int), count - 1)
    high, share = np.minimum(low + 1, count - 1), at - low
    weights = np.zeros((len(places), count), np.float32)
    number = np.arange(len(places))
    np.add.at(weights, (number, low), 1 - share)
    np.add.at(weights, (number, high), share)
    return weights
