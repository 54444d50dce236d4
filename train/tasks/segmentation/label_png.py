"""Label maps as files: a PNG whose pixels are the numbers of the classes, with a palette as Pascal VOC's have.

Everingham et al., 2010, The Pascal Visual Object Classes (VOC) Challenge.
"""

import io

import numpy as np
from jaxtyping import Int
from PIL import Image, ImageColor

from train.tasks.colours import class_colour

NONE = 255
"""The number of pixels without a class, as VOC's files have it; of 16 bits, 65535."""
GREY, BLACK = (128, 128, 128), (0, 0, 0)
"""The colours of these, and of the background."""


def label_png(
    labels: Int[np.ndarray, "height width"], classes: int, background: int | None = None, ignore: int = -1
) -> bytes:
    """A label map as a PNG: opened by Pillow, `np.asarray` of it gives the labels, and 255 where there is none.

    A viewer shows the colours of the classes, the background black. More than 255 classes are 16 bits of grey, in which
    65535 means none.

    Args:
      labels: from 0 to less than `classes`, or `ignore`.
      classes: how many labels there are.
      background: the label that is black, if any.
      ignore: the label of pixels without a class.
    """
    kind = np.uint8 if classes <= NONE else np.uint16
    picture = Image.fromarray(np.where(labels == ignore, np.iinfo(kind).max, labels).astype(kind))
    if kind is np.uint8:
        colours = [BLACK if label == background else ImageColor.getrgb(class_colour(label)) for label in range(NONE)]
        picture.putpalette(bytes(value for colour in (*colours, GREY) for value in colour))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
