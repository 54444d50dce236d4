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
    COLUMNS = "columns"
    """A class for each column of the image (width,); `Facts.ignore` marks those that have none."""
    MAP = "map"
    """Numbers a pixel (height, width, channels), such as depth."""
    FLOW = "flow"
    """The motion of each pixel (height, width, 2), x and y in pixels."""
    FLOWS = "flows"
    """Flow fields one after the other (time, height, width, 2) as bytes, see `train.data.flow_bytes`."""
    NORMALS = "normals"
    """The direction of each pixel's surface (height, width, 3): right, down, away from the viewer."""
    BOXES = "boxes"
    """(objects, 4): left, top, right, bottom."""
    KEYPOINTS = "keypoints"
    """(..., points, 3): x, y and whether the point is in the image (1 or 0); `Facts.mirror` pairs left and right."""
    MASKS = "masks"
    """bool (objects, height, width)."""
    LABEL = "label"
    """Integers that number classes, of any shape, wherever things are in the image."""
    VALUE = "value"
    """Numbers that do not depend on where things are in the image, of any shape."""
    TOKENS = "tokens"
    """Integers that number words (length,), or of several sentences (sentences, length); see `train.data.captions`. In
    a mirror image "left" and "right" change places."""
    EDGES = "edges"
    """Integers (edges, 2): the node that each edge begins at and that it ends at, numbered as in the field "nodes"."""
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

STILL = (Kind.LABEL, Kind.VALUE, Kind.TOKENS, Kind.EDGES, Kind.PLAIN)
"""Kinds that are the same wherever the image goes; but for left and right in words of a mirror image."""
PIXELS = (Kind.IMAGE, Kind.CLIP)
"""Kinds that a model sees as colours: colour moves and normalisation touch these alone."""

VISIBLE = 1e-3
"""Pixels of a box in the image from which on the object is there; less is rounding."""

RESERVED = ("index", "mask")
"""What every batch has beside the fields: the row in the source, and whether the example is real or pads the batch."""

SIZE = "size"
"""Height and width that an image has on its canvas, in pixels: beyond there is padding, at the right and the bottom."""
ORIGINAL_SIZE = "original_size"
"""Height and width that it had before it was resized."""


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
    ids: tuple[int, ...] = ()
    """The number that each class has in the source's files, where it has another there, as in COCO's; else empty."""


NO_FACTS = Facts()
"""Nothing is said."""


def size_of(field: Field) -> tuple[int | None, int | None] | None:
    """Height and width of what a field shows; None of kinds that have no pixels.

    >>> size_of(Field(Kind.MASKS, (None, 64, 48), "bool", (8,)))
    (64, 48)
    """
    if field.kind not in _HEIGHT_AXIS:
        return None
    axis = _HEIGHT_AXIS[field.kind]
    return field.shape[axis], field.shape[axis + 1]


_HEIGHT_AXIS = {
    Kind.IMAGE: 0,
    Kind.CLIP: 1,
    Kind.LABEL_MAP: 0,
    Kind.MAP: 0,
    Kind.FLOW: 0,
    Kind.FLOWS: 1,
    Kind.NORMALS: 0,
    Kind.MASKS: 1,
}
"""Of an example's shape; the width follows."""


def sized(field: Field, height: int | None, width: int | None) -> Field:
    """The same field with pixels of another number; kinds that have none stay as they are."""
    if field.kind not in _HEIGHT_AXIS:
        return field
    axis = _HEIGHT_AXIS[field.kind]
    return field._replace(shape=(*field.shape[:axis], height, width, *field.shape[axis + 2 :]))


def aligned(spec: Spec) -> list[tuple[str, ...]]:
    """The fields that number the same objects, boxes among them: who loses a box loses its object in all of them.

    Those are the fields that vary up to the same `most` as a field of boxes does; words (tokens) count no objects.

    >>> boxes, label = Field(Kind.BOXES, (None, 4), "float32", (8,)), Field(Kind.LABEL, (), "int32")
    >>> aligned({"boxes": boxes, "classes": Field(Kind.LABEL, (None,), "int32", (8,)), "label": label})
    [('boxes', 'classes')]
    """
    counts = dict.fromkeys(field.most for field in spec.values() if field.kind == Kind.BOXES and field.most)
    return [
        tuple(name for name, field in spec.items() if field.most == most and field.kind != Kind.TOKENS)
        for most in counts
    ]


def describe(spec: Spec) -> str:
    """The fields in a line, for messages.

    >>> boxes = Field(Kind.BOXES, (None, 4), "float32", (8,))
    >>> describe({"image": Field(Kind.IMAGE, (8, 8, 1), "uint8"), "boxes": boxes})
    'image uint8[8,8,1], boxes float32[up to 8,4]'
    """

    def shape(field: Field) -> str:
        sizes = [f"up to {size}" for size in field.most] + [
            str(size or "any") for size in field.shape[len(field.most) :]
        ]
        return ",".join(sizes)

    return ", ".join(f"{name} {field.dtype}[{shape(field)}]" for name, field in spec.items())
