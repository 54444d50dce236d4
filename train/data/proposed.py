"""Examples with boxes in which objects could be, for detectors that are given them: R-CNN and Fast R-CNN."""

import hashlib

import numpy as np
from jaxtyping import Float, UInt8

from train.config import RecipeError
from train.data.fields import Field, Kind, describe
from train.data.source import Example, Source, Wrapped
from zoo.detection.proposals import selective_search

NAME = "proposals"
"""Of the field."""
KEPT = 2**12
"""Images at most whose boxes a process remembers: detectors that are compared are given the same, searched once."""
_found: dict[tuple[bytes, tuple[int, ...], int], Float[np.ndarray, "proposals 4"]] = {}


class Proposed(Wrapped):
    """The examples of another source, with what selective search finds in their images, as the field `proposals`.

    It takes about 0.1 s for 64 x 64 pixels and seconds for photographs: small sets are kept in memory.

    Args:
      source: with an image.
      most: boxes an image, the likeliest first.

    Raises:
      RecipeError: the examples have no image, or as many boxes at most: fields of one number belong together.
    """

    def __init__(self, source: Source, most: int) -> None:
        if "image" not in source.spec or source.spec["image"].kind != Kind.IMAGE:
            raise RecipeError(f"data.proposals: expected examples with an image, found {describe(source.spec)}")
        if alike := [name for name, field in source.spec.items() if field.most == (most,)]:
            raise RecipeError(f"data.proposals: expected another number than that of {', '.join(alike)}, got {most}")
        self._most = most
        super().__init__(source, {**source.spec, NAME: Field(Kind.BOXES, (None, 4), "float32", (most,))})

    def change(self, example: Example, row: int) -> Example:
        """The example with its proposals."""
        return {**example, NAME: proposals_of(np.asarray(example["image"]), self._most)}


def proposals_of(image: UInt8[np.ndarray, "height width channels"], most: int) -> Float[np.ndarray, "proposals 4"]:
    """What selective search finds in a grey or colour image: at most so many boxes in pixels, the likeliest first."""
    asked = hashlib.sha256(np.ascontiguousarray(image)).digest(), image.shape, most
    if asked in _found:
        return _found[asked]
    boxes = selective_search(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image, most=most)
    boxes.flags.writeable = False  # who asks again is given the same
    if len(_found) < KEPT:
        _found[asked] = boxes
    return boxes
