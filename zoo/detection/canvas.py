"""Images of any size in one batch: padded to a canvas, with their true sizes, and what is found mapped back.

As in torchvision/models/detection/transform.py and roi_heads.py (`paste_masks_in_image`); lecture rows L59, L67. On the
host, of numpy.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from zoo.preprocessing import interpolated


def on_canvas(
    images: Sequence[Float[np.ndarray, "_ _ channels"]],
    canvases: Sequence[tuple[int, int]] = (),
    multiple: int = 32,
) -> tuple[Float[np.ndarray, "batch height width channels"], Int[np.ndarray, "batch 2"]]:
    """Images in the upper left corners of one canvas, zero around them, and their true heights and widths.

    Each size of a canvas is compiled once: a few canvases keep the programs few.

    Args:
      images: (height, width, channels) each, normalised.
      canvases: (height, width) in pixels to choose from: the smallest that holds all images; by default the sizes
        that hold them, rounded up.
      multiple: of which such a size is a multiple; the coarsest stride of the network.

    Raises:
      ValueError: no image, or one that is larger than every canvas.

    >>> images, sizes = on_canvas([np.ones((30, 50, 3)), np.ones((40, 20, 3))])
    >>> images.shape, sizes.tolist()
    ((2, 64, 64, 3), [[30, 50], [40, 20]])
    """
    if not len(images):
        raise ValueError("expected at least one image, got none")
    sizes = np.array([image.shape[:2] for image in images], np.int32)
    height, width = (int(side) for side in sizes.max(axis=0))
    if canvases:
        fitting = [(h, w) for h, w in canvases if h >= height and w >= width]
        if not fitting:
            listed = ", ".join(f"{h} x {w}" for h, w in canvases)
            raise ValueError(f"expected images that a canvas of {listed} holds, got {height} x {width} pixels")
        height, width = min(fitting, key=lambda size: size[0] * size[1])
    else:
        height, width = (-(-side // multiple) * multiple for side in (height, width))
    batch = np.zeros((len(images), height, width, images[0].shape[2]), images[0].dtype)
    for place, image in zip(batch, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    return batch, sizes


def in_original(
    points: Float[np.ndarray, "*n coordinates"], size: Sequence[int], original: Sequence[int]
) -> Float[np.ndarray, "*n coordinates"]:
    """Boxes (left, top, right, bottom) or points (x, y, ...) of a resized image, in the pixels of the image before.

    Args:
      points: in pixels of the resized image; further coordinates, such as a keypoint's score, stay as they are.
      size: height and width of the resized image.
      original: height and width of the image before.

    >>> in_original(np.array([[0.0, 5.0, 10.0, 10.0]]), size=(10, 20), original=(20, 30)).tolist()
    [[0.0, 10.0, 15.0, 20.0]]
    """
    scale = (original[1] / size[1], original[0] / size[0])
    factors = np.array(2 * scale if points.shape[-1] == 4 else (*scale, *[1.0] * (points.shape[-1] - 2)))
    return (points * factors).astype(points.dtype)


def pasted(
    masks: Float[np.ndarray, "n side side"],
    boxes: Float[np.ndarray, "n 4"],
    height: int,
    width: int,
    threshold: float = 0.5,
) -> Bool[np.ndarray, "n height width"]:
    """Masks of boxes as masks of the image: where the probability is above a threshold.

    Args:
      masks: probabilities inside the boxes.
      boxes: left, top, right, bottom in pixels of the image.
      height: of the image, in pixels.
      width: of the image.
      threshold: of the probability.

    >>> pasted(np.ones((1, 4, 4)), np.array([[1.0, 1.0, 3.0, 3.0]]), 4, 5)[0].sum(axis=1).tolist()
    [0, 2, 2, 0]
    """
    side = masks.shape[-1]
    framed = np.pad(masks, ((0, 0), (1, 1), (1, 1)))  # a border of zeros, from which edges are interpolated
    centres = (boxes[:, :2] + boxes[:, 2:]) * 0.5
    halves = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * ((side + 2) / side)
    places = np.trunc(np.concatenate([centres - halves, centres + halves], axis=1)).astype(int)
    image = np.zeros((len(masks), height, width), bool)
    for mask, (left, top, right, bottom), into in zip(framed, places.tolist(), image, strict=True):
        large = interpolated(mask, max(bottom - top + 1, 1), max(right - left + 1, 1)) > threshold
        x, y = max(left, 0), max(top, 0)
        part = large[y - top : max(height - top, 0), x - left : max(width - left, 0)]
        into[y : y + part.shape[0], x : x + part.shape[1]] = part
    return image
