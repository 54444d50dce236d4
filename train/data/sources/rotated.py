"""Images turned by angles that are to be found: any source as a regression. Lecture rows L93, L94."""

from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from train.config import DataError
from train.data.fields import STILL, Field, Kind
from train.data.source import Example, Source, Wrapped, generator


class Rotated(Wrapped):
    """Each image turned once about its centre; the angle is its "target", in degrees, positive counter-clockwise.

    What comes in from outside is black. Angles are uniform between two bounds, and follow from the row in this very
    source: of another selection of examples the same image has another one.

    Raises:
      DataError: the source has a target already, or fields that would have to turn with the image.
    """

    def __init__(self, source: Source, lower: float, upper: float, seed: int) -> None:
        if "target" in source.spec:
            raise DataError(f"data.rotate: the examples of {source.name} have a target already")
        for name, field in source.spec.items():
            if field.kind not in (Kind.IMAGE, *STILL):
                raise DataError(f"data.rotate: no rule for field {name!r} ({field.kind})")
        spec = {**source.spec, "target": Field(Kind.VALUE, (), "float32")}
        super().__init__(source, spec, source.facts._replace(unit="degrees"))
        self._degrees = generator(seed).uniform(lower, upper, len(source)).astype(np.float32)

    def change(self, example: Example, row: int) -> Example:
        """The example turned."""
        degrees = self._degrees[row]
        images = {
            name: turned(example[name], float(degrees))
            for name, field in self.source.spec.items()
            if field.kind == Kind.IMAGE
        }
        return {**example, **images, "target": degrees}

    def peek(self, row: int, field: str) -> Any:
        """One field of an example."""
        if field == "target":
            return self._degrees[row]
        return self[row][field] if self.spec[field].kind == Kind.IMAGE else self.source.peek(row, field)


def turned(
    image: UInt8[np.ndarray, "height width channels"], degrees: float
) -> UInt8[np.ndarray, "height width channels"]:
    """The image turned counter-clockwise, with one cubic interpolation and black corners."""
    grey = image.shape[-1] == 1
    picture = Image.fromarray(image[..., 0] if grey else image).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(picture).reshape(image.shape)
