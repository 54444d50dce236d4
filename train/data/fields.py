"""What an example is: named fields, each of a kind that says what happens to it when the image moves.

Coordinates are in pixels, x before y, from the image's upper left corner: the centre of the first pixel is (0.5, 0.5),
and mirroring an image of width W takes x to W - x. Angles are in degrees, positive counter-clockwise as seen.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a field holds; shapes are those of one example."""

    IMAGE = "image"
    """uint8 (height, width, channels)."""
    CLIP = "clip"
    """uint8 (time, height, width, channels)."""
    LABEL_MAP = "label_map"
    """An integer a pixel (height, width); `Facts.ignore` marks those that have none."""
    MAP = "map"
    """Numbers a pixel (height, width, channels), such as depth."""
    FLOW = "flow"
    """The motion of each pixel (height, width, 2), x and y in pixels."""
    NORMALS = "normals"
    """The direction of each pixel's surface (height, width, 3): right, down, away from the viewer."""
    BOXES = "boxes"
    """(objects, 4): left, top, right, bottom."""
    KEYPOINTS = "keypoints"
    """(..., points, 3): x, y and whether the point is in the image (1 or 0); `Facts.mirror` pairs left and right."""
    MASKS = "masks"
    """bool (objects, height, width)."""
    LABEL = "label"
    """Integers that number classes, of any shape."""
    VALUE = "value"
    """Numbers that do not depend on where things are in the image, of any shape."""
    TOKENS = "tokens"
    """Integers that number words (length,)."""
    PLAIN = "plain"
    """Whatever is passed on as it is."""


class Field(NamedTuple):
    """One field of an example."""

    kind: Kind
    shape: tuple[int | None, ...]
    """Of one example; None is a size that varies from one example to the next."""
    dtype: str
    most: tuple[int, ...] = ()
    """Where the first axis varies: its largest size, to which batches are padded, as (size,). Beside the field NAME a
    batch then has NAME_valid, which says what is real."""

    @property
    def padded(self) -> tuple[int | None, ...]:
        """The shape that an example has in a batch."""
        return (*self.most, *self.shape[len(self.most) :])


Spec = Mapping[str, Field]
"""The fields of one example, by name."""

RESERVED = ("index", "mask")
"""What every batch has beside the fields: the row in the source, and whether the example is real or pads the batch."""


class Facts(NamedTuple):
    """What names and numbers of the fields mean."""

    classes: tuple[str, ...] = ()
    """The name of each label; empty where there are none."""
    unit: str = ""
    """What values are measured in, such as degrees; empty when nobody said."""
    mirror: tuple[tuple[int, int], ...] = ()
    """Pairs of keypoints that change places when the image is mirrored."""
    vocabulary: tuple[str, ...] = ()
    """The word of each token."""
    ignore: int = -1
    """The label of pixels that have none."""
    background: int | None = None
    """The label of pixels that belong to no object, of label maps that have one."""


def describe(spec: Spec) -> str:
    """The fields in a line, for messages.

    >>> describe({"image": Field(Kind.IMAGE, (8, 8, 1), "uint8"), "boxes": Field(Kind.BOXES, (None, 4), "float32", (8,))})
    'image uint8[8,8,1], boxes float32[up to 8,4]'
    """

    def shape(field: Field) -> str:
        sizes = [f"up to {size}" for size in field.most] + [str(size or "any") for size in field.shape[len(field.most) :]]
        return ",".join(sizes)

    return ", ".join(f"{name} {field.dtype}[{shape(field)}]" for name, field in spec.items())
