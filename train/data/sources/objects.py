"""Images with objects in them: what the sources `coco`, `voc` and `masks` have in common."""

import abc
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Int, UInt8

from train.config import DataError
from train.data.decode import opened, rgb
from train.data.fields import Facts, Field, Kind, Spec, sized
from train.data.source import Example, Source, generator
from zoo.images import upright

IGNORED = ("is_crowd", "is_difficult")
"""Fields that say which objects are no examples to learn from, and neither right nor wrong when they are found."""


class ObjectSource(Source):
    """Image files and the objects in them; images without objects are examples too.

    An image is decoded when it is asked for, and lies as it was stored: that is where its boxes are.

    Args:
      name: for messages.
      files: of the images.
      sizes: height and width of each, as the annotations say.
      fields: what an example has beside its image; those that have pixels get the image's size.
      facts: what they mean.
      any_size: whether images may differ in size.

    Raises:
      DataError: they differ in size, and must not.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[Path],
        sizes: Int[np.ndarray, "images 2"],
        fields: Spec,
        facts: Facts,
        any_size: bool,
    ) -> None:
        self.name, self.facts, self.files, self._sizes = name, facts, files, sizes
        if not len(files):
            raise DataError(f"{name}: expected images, found none")
        if not any_size and (other := np.flatnonzero(np.any(sizes != sizes[0], axis=1))).size:
            (height, width), (h, w) = sizes[0], sizes[other[0]]
            raise DataError(
                f"{files[other[0]]}: expected {height}x{width} pixels (height x width) as {files[0]} has,"
                f" found {h}x{w}; put all images on one canvas with --data.canvas PIXELS"
            )
        height, width = (None, None) if any_size else (int(side) for side in sizes[0])
        image = Field(Kind.IMAGE, (height, width, 3), "uint8")
        self.spec = {name: sized(field, height, width) for name, field in {"image": image, **fields}.items()}

    @abc.abstractmethod
    def objects(self, row: int, name: str) -> Any:
        """A field of the objects of an image."""

    @property
    def sizes(self) -> Int[np.ndarray, "images 2"]:
        """Height and width of each image, as the annotations say."""
        return self._sizes

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Example:
        return {name: self.peek(row, name) for name in self.spec}

    def peek(self, row: int, field: str) -> Any:
        """One field of an example; only the image's own decodes it."""
        if field != "image":
            return self.objects(row, field)
        return pixels_of(self.files[row], *(int(side) for side in self.sizes[row]))

    def reading(self, names: Sequence[str]) -> Self:
        """The same without masks, which take long to decode, unless they are among the names."""
        if "masks" in names or "masks" not in self.spec:
            return self
        other = copy.copy(self)
        other.spec = {name: field for name, field in self.spec.items() if name != "masks"}
        return other


def pixels_of(file: Path, height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """An image of the size that its annotations give: as it was stored, or else upright as EXIF says.

    Raises:
      DataError: it cannot be read, or has neither that size.
    """
    with opened(file, file) as image:
        stored = image.size
        if stored != (width, height):
            image = upright(image)
        if image.size != (width, height):
            raise DataError(
                f"{file}: expected {height}x{width} pixels (height x width) as its annotations say,"
                f" found {stored[1]}x{stored[0]}"
            )
        return np.asarray(rgb(image, file))


def check_size_beside(file: Path, height: int, width: int, image: Path) -> None:
    """Refuses a file of places, one a pixel, of another size than its image; of that only the header is read.

    Raises:
      DataError: the sizes differ, or the image cannot be read.
    """
    with opened(image, image) as picture:
        other = picture.size
    if other not in ((width, height), (height, width)):  # the second may be upright, as its EXIF says
        raise DataError(
            f"{file}: expected {other[1]}x{other[0]} pixels (height x width) as {image} has, found {height}x{width}"
        )


def of_objects(kind: Kind, shape: tuple[int | None, ...], dtype: str, most: int) -> Field:
    """A field of which an image has one an object; of `most` at least one, for there are no empty arrays on devices."""
    return Field(kind, (None, *shape), dtype, (max(most, 1),))


def held_out_rows(count: int, test: int) -> tuple[Int[np.ndarray, "train"], Int[np.ndarray, "test"]]:
    """Rows for training and for the test, of `count` and `test` of them, ascending; by a fixed seed.

    >>> [len(part) for part in held_out_rows(107, 21)]
    [86, 21]
    """
    order = generator(0).permutation(count)
    return np.sort(order[test:]), np.sort(order[:test])
