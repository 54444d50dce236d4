"""Images turned by angles that are to be found: any source as a regression. Lecture rows L93, L94."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from train.data.errors import DataError
from train.data.source import Arrays, Source, generator, stacked


class Rotated(Source):
    """Each image turned once about its centre; the angle is its "target", in degrees, positive counter-clockwise.

    What comes in from outside is black. Angles are uniform between two bounds, and follow from the row in this very
    source: of another selection of examples the same image has another one.

    Raises:
      DataError: the source has a target already.
    """

    target_unit = "degrees"

    def __init__(self, source: Source, lower: float, upper: float, seed: int) -> None:
        if "target" in source[0]:
            raise DataError(f"data.rotate: the examples of {source.name} have a target already")
        self.name, self.class_names, self.image_shape = source.name, source.class_names, source.image_shape
        self._source = source
        self._degrees = generator(seed).uniform(lower, upper, len(source)).astype(np.float32)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> Arrays:
        return self._turned(self._source[row], self._degrees[row])

    def label(self, row: int) -> int:
        """The label of one example."""
        return self._source.label(row)

    def read(self, rows: Sequence[int]) -> Arrays:
        """The examples of some rows, stacked."""
        found = self._source.read(rows)
        examples = [{name: array[i] for name, array in found.items()} for i in range(len(found["image"]))]
        return stacked([self._turned(example, self._degrees[row]) for example, row in zip(examples, rows, strict=True)])

    def _turned(self, example: Arrays, degrees: np.float32) -> Arrays:
        return {**example, "image": turned(example["image"], float(degrees)), "target": degrees}


def turned(
    image: UInt8[np.ndarray, "height width channels"], degrees: float
) -> UInt8[np.ndarray, "height width channels"]:
    """The image turned counter-clockwise, with one cubic interpolation and black corners."""
    grey = image.shape[-1] == 1
    picture = Image.fromarray(image[..., 0] if grey else image).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(picture).reshape(image.shape)
