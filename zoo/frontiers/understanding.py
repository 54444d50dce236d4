"""Does a classifier know the thing, or what comes with it? Tests that change one of the two. Lecture row L99.

An intervention makes another image of each image, in which one thing is different: the ground, or the thing itself.
What the classifier says of both is compared. Geirhos et al., 2020, Shortcut Learning in Deep Neural Networks; of
occlusion Zeiler and Fergus, 2014, Visualizing and Understanding Convolutional Networks, section 4.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Effect(NamedTuple):
    """What an intervention changes, each a mean over the examples."""

    accuracy: Float[Array, ""]
    """Of the images as they were."""
    changed_accuracy: Float[Array, ""]
    """Of the changed ones, for the same labels."""
    same_answer: Float[Array, ""]
    """The share of images whose answer stays: 1 where the changed thing does not count, whatever is right."""
    lost: Float[Array, ""]
    """By how much the probability of the label falls."""


def effect(
    before: Float[Array, "batch classes"], after: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Effect:
    """What an intervention does to a classifier's answers.

    Args:
      before: logits of the images as they were.
      after: logits of the changed images.
      labels: of either.

    Raises:
      ValueError: other numbers of examples or classes before and after.

    >>> before, after = jnp.array([[9.0, 0.0], [0.0, 9.0]]), jnp.array([[9.0, 0.0], [9.0, 0.0]])
    >>> found = effect(before, after, jnp.array([0, 1]))
    >>> [round(float(value), 2) for value in found]
    [1.0, 0.5, 0.5, 0.5]
    """
    if before.shape != after.shape or before.ndim != 2 or labels.shape != before.shape[:1]:
        raise ValueError(
            f"expected logits (batch, classes) of the same images before and after, and a label for each, got "
            f"{before.shape}, {after.shape} and {labels.shape}"
        )
    said, then = before.argmax(axis=-1), after.argmax(axis=-1)
    chances = [jnp.take_along_axis(jax.nn.softmax(each), labels[:, None], axis=-1) for each in (before, after)]
    return Effect(
        (said == labels).mean(), (then == labels).mean(), (said == then).mean(), (chances[0] - chances[1]).mean()
    )


def occluded(
    images: Float[Array, "batch height width channels"],
    hidden: Bool[Array, "batch height width"],
    fill: float | Float[Array, " channels"] = 0.0,
) -> Float[Array, "batch height width channels"]:
    """Images whose hidden pixels are filled: with what stands for nothing, such as the mean of all images.

    Args:
      images: channels last.
      hidden: which pixels; of one image, (height, width), the same of all.
      fill: a value, or one a channel.

    Raises:
      ValueError: the hidden pixels are not of these images.
      TypeError: what is hidden is not told by truth values.

    >>> occluded(jnp.ones((1, 1, 2, 1)), jnp.array([[True, False]]), 0.5).ravel().tolist()
    [0.5, 1.0]
    """
    if images.ndim != 4 or hidden.ndim not in (2, 3) or hidden.shape[-2:] != images.shape[1:3]:
        raise ValueError(
            "expected images (batch, height, width, channels) and which of their pixels are hidden, got shapes "
            f"{images.shape} and {hidden.shape}"
        )
    if hidden.dtype != bool:
        raise TypeError(f"expected hidden pixels as truth values, got {hidden.dtype}")
    return jnp.where(hidden[..., None], fill, images)


def squares(height: int, width: int, side: int, step: int) -> Bool[Array, "places height width"]:
    """The squares that slide over an image, one after the other: as masks for `occluded`.

    The last ones of each axis end at the border.

    Args:
      height: of the image.
      width: of the image.
      side: of a square, in pixels.
      step: from one to the next.

    Raises:
      ValueError: no side, no step, or a square larger than the image.

    >>> squares(4, 4, 2, 2).shape, squares(5, 4, 2, 2).shape
    ((4, 4, 4), (6, 5, 4))
    """
    if step < 1 or not 1 <= side <= min(height, width):
        raise ValueError(f"expected a step from 1 and a side from 1 to {min(height, width)}, got {step} and {side}")

    def along(size: int) -> Bool[Array, "places size"]:
        begins = jnp.array(sorted({*range(0, size - side + 1, step), size - side}))[:, None]
        at = jnp.arange(size)
        return (at >= begins) & (at < begins + side)

    rows, columns = along(height), along(width)
    return (rows[:, None, :, None] & columns[None, :, None, :]).reshape(-1, height, width)
