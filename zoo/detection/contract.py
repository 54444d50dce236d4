"""What a detector is told and what it says, with fixed sizes: everything says what of it is real.

Every detector of this chapter is a Flax module that answers both

    model.apply(variables, images, sizes) -> Detections
    model.apply(variables, images, truth, key, sizes, method="losses") -> {name: Term}

as torchvision/models/detection does in evaluation and in training; images are (batch, height, width, channels),
normalised and padded on the right and at the bottom, `sizes` their true heights and widths. Rows L55-L60, L67-L70.
"""

from typing import NamedTuple

import jax
import jax.export
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

BACKGROUND = 0
"""The label of what is no object: those of objects begin after it, and `num_classes` counts it, as in torchvision."""


class Truth(NamedTuple):
    """The objects that are in images."""

    boxes: Float[Array, "batch objects 4"]
    """Left, top, right, bottom in pixels of the canvas."""
    labels: Int[Array, "batch objects"]
    """From 1 on."""
    valid: Bool[Array, "batch objects"]
    """Which are real; the others fill the array up."""
    masks: Bool[Array, "batch objects height width"] | None = None
    """Which pixels of the canvas each object has."""
    keypoints: Float[Array, "batch objects points 3"] | None = None
    """x and y in pixels of the canvas, and whether the point is seen (1 or 0)."""

    def with_room(self) -> "Truth":
        """The same with room for one object at least, so that there is something to compare with."""
        if self.boxes.shape[1]:
            return self
        return jax.tree.map(lambda x: jnp.pad(x, ((0, 0), (0, 1), *[(0, 0)] * (x.ndim - 2))), self)


class Detections(NamedTuple):
    """What a detector says, the best first; what is not valid is zero."""

    boxes: Float[Array, "batch most 4"]
    """Left, top, right, bottom in pixels of the canvas, inside the image."""
    scores: Float[Array, "batch most"]
    labels: Int[Array, "batch most"]
    valid: Bool[Array, "batch most"]
    masks: Float[Array, "batch most side side"] | None = None
    """The probability that a place inside the box belongs to the object."""
    keypoints: Float[Array, "batch most points 3"] | None = None
    """x and y in pixels of the canvas, and a score."""


class Term(NamedTuple):
    """One term of a loss as two sums, so that it is exact for whoever adds them up over devices."""

    total: Float[Array, ""]
    weight: Float[Array, ""]
    """How many examples there are: anchors, proposals, pixels. Does not depend on the parameters."""

    def value(self) -> Float[Array, ""]:
        """The total over the weight; of no examples zero.

        >>> Term(jnp.array(3.0), jnp.array(2.0)).value().item()
        1.5
        """
        return self.total / jnp.where(self.weight > 0, self.weight, 1)


for _kind in (Truth, Detections, Term):
    jax.export.register_namedtuple_serialization(_kind, serialized_name=f"zoo.detection.{_kind.__name__}")


def sizes_of(images: Float[Array, "batch height width channels"], sizes: Array | None) -> Float[Array, "batch 2"]:
    """The true heights and widths of images (batch, 2): where nobody says them, those of the canvas.

    Raises:
      ValueError: sizes of another shape.
    """
    if sizes is None:
        return jnp.broadcast_to(jnp.array(images.shape[1:3], jnp.float32), (len(images), 2))
    if sizes.shape != (len(images), 2):
        raise ValueError(f"expected sizes of shape ({len(images)}, 2): height and width, got {sizes.shape}")
    return sizes.astype(jnp.float32)
