"""Examples with boxes in which objects could be, for detectors that are given them: R-CNN and Fast R-CNN."""

import numpy as np
from jaxtyping import Float

from train.config import RecipeError
from train.data.fields import SIZE, Field, Kind, describe
from train.data.source import Example, Source, Wrapped
from zoo.detection.proposals import selective_search

NAME = "proposals"
"""Of the field."""


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
        return {**example, NAME: proposals_of(example, self._most)}


def proposals_of(example: Example, most: int) -> Float[np.ndarray, "proposals 4"]:
    """What selective search finds in an example's image: at most so many boxes in pixels, the likeliest first.

    Args:
      example: with a grey or colour image, of which only its true size is searched where it lies on a canvas.
      most: boxes at most.
    """
    image = np.asarray(example["image"])
    if SIZE in example:
        height, width = np.ceil(example[SIZE]).astype(int)
        image = image[:height, :width]
    return selective_search(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image, most=most)
