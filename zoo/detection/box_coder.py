"""Boxes as differences from other boxes: what a detector's regression learns.

Girshick et al., 2014, Rich feature hierarchies (R-CNN), appendix C; Ren et al., 2015, Faster R-CNN, equation 2; for
distances to four sides Tian et al., 2019, FCOS, equation 1. As in torchvision/models/detection/_utils.py. Rows L55-L60.

References (anchors, proposals) without a size, and what is not a number, have zero as their difference: a training
step that meets one stays finite.
"""

import dataclasses
import math

import jax.numpy as jnp
from jaxtyping import Array, Float

LARGEST = math.log(1000 / 16)
"""Of the logarithm of a ratio of sides: 62.5 times as long, so that exp of what is learned stays finite."""


@dataclasses.dataclass(frozen=True)
class BoxCoder:
    """Shift of the centre in sides of the reference, and logarithms of the ratios of the sides.

    >>> coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    >>> box, anchor = jnp.array([2.0, 0.0, 6.0, 8.0]), jnp.array([0.0, 0.0, 4.0, 4.0])
    >>> coder.encode(box, anchor).round(3).tolist()
    [5.0, 5.0, 0.0, 3.4660000801086426]
    >>> coder.decode(coder.encode(box, anchor), anchor).round().tolist()
    [2.0, 0.0, 6.0, 8.0]
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Factors of the four differences, the inverse of their usual spread: (10, 10, 5, 5) in box heads."""
    largest: float = LARGEST
    """Logarithms of ratios are cut off above this one."""

    def encode(self, boxes: Float[Array, "*n 4"], references: Float[Array, "*n 4"]) -> Float[Array, "*n 4"]:
        """The differences (x, y, width, height) of boxes from their references; zero where either has no size.

        Args:
          boxes: left, top, right, bottom in pixels; leading axes broadcast.
          references: the anchors or proposals.
        """
        (centres, sides), (from_centres, from_sides) = _centres_and_sides(boxes), _centres_and_sides(references)
        have_size = ((sides > 0) & (from_sides > 0)).all(axis=-1, keepdims=True)
        sides, from_sides = (jnp.where(have_size, each, 1) for each in (sides, from_sides))
        shifts = jnp.where(have_size, centres - from_centres, 0) / from_sides
        return jnp.concatenate([shifts, jnp.log(sides / from_sides)], axis=-1) * jnp.asarray(self.weights, boxes.dtype)

    def decode(self, differences: Float[Array, "*n 4"], references: Float[Array, "*n 4"]) -> Float[Array, "*n 4"]:
        """The boxes in pixels: the inverse of `encode`. They may end outside the image.

        Args:
          differences: x, y, width, height; leading axes broadcast.
          references: the anchors or proposals.
        """
        centres, sides = _centres_and_sides(references)
        differences = _finite(differences) / jnp.asarray(self.weights, differences.dtype)
        centres = centres + differences[..., :2] * sides
        half = 0.5 * sides * jnp.exp(jnp.minimum(differences[..., 2:], self.largest))
        return jnp.concatenate([centres - half, centres + half], axis=-1)


@dataclasses.dataclass(frozen=True)
class LinearBoxCoder:
    """Distances from the reference's centre to the four sides of the box, in sides of the reference.

    >>> coder = LinearBoxCoder()
    >>> coder.encode(jnp.array([1.0, 0.0, 6.0, 8.0]), jnp.array([0.0, 0.0, 4.0, 4.0])).tolist()
    [0.25, 0.5, 1.0, 1.5]
    """

    def encode(self, boxes: Float[Array, "*n 4"], references: Float[Array, "*n 4"]) -> Float[Array, "*n 4"]:
        """Distances to left, top, right and bottom, negative where the centre is outside; zero of no reference.

        Args:
          boxes: left, top, right, bottom in pixels; leading axes broadcast.
          references: squares as long as a step on the map that they stand for.
        """
        centres, sides = _centres_and_sides(references)
        have_size = (sides > 0).all(axis=-1, keepdims=True)
        boxes = _finite(boxes)
        distances = jnp.concatenate([centres - boxes[..., :2], boxes[..., 2:] - centres], axis=-1)
        return jnp.where(have_size, distances, 0) / jnp.tile(jnp.where(have_size, sides, 1), 2)

    def decode(self, distances: Float[Array, "*n 4"], references: Float[Array, "*n 4"]) -> Float[Array, "*n 4"]:
        """The boxes in pixels: the inverse of `encode`.

        Args:
          distances: to left, top, right and bottom; leading axes broadcast.
          references: as for `encode`.
        """
        centres, sides = _centres_and_sides(references)
        distances = _finite(distances) * jnp.tile(sides, 2)
        return jnp.concatenate([centres - distances[..., :2], centres + distances[..., 2:]], axis=-1)


def _centres_and_sides(boxes: Float[Array, "*n 4"]) -> tuple[Float[Array, "*n 2"], Float[Array, "*n 2"]]:
    boxes = _finite(boxes)
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * sides, sides


def _finite(values: Array) -> Array:
    return jnp.where(jnp.isfinite(values), values, 0)
