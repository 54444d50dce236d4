"""Checks of a model's input and options, made when it is traced."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

IMAGE_AXES = ("height", "width")
CLIP_AXES = ("time", "height", "width")


def check_images(
    images: Array, model: str, minimum: int | Sequence[int] = 1, axes: Sequence[str] = IMAGE_AXES, what: str = "images"
) -> None:
    """Refuses what is not a batch of floating-point images, channels last, of at least `minimum` pixels a side.

    Args:
      images: the batch; of clips, signals or volumes with other axes than an image's.
      model: the network's name, for the message.
      minimum: the least size along each of the axes, or along all.
      axes: what lies between the batch and the channels.
      what: "images", or what has these axes, for the message.

    Raises:
      ValueError: the rank or the size is wrong; the message says what was expected and what came.
      TypeError: the values are integers, such as pixels that nobody has scaled.

    >>> check_images(jnp.ones((32, 32, 3)), "LeNet5")
    Traceback (most recent call last):
    ...
    ValueError: LeNet5 expected images (batch, height, width, channels), got shape (32, 32, 3)
    >>> check_images(jnp.ones((1, 8, 32, 32, 3)), "C3D", (16, 32, 32), CLIP_AXES, "clips")
    Traceback (most recent call last):
    ...
    ValueError: C3D expected clips of at least 16 x 32 x 32 (time, height, width), got shape (1, 8, 32, 32, 3)
    """
    if images.ndim != len(axes) + 2:
        raise ValueError(f"{model} expected {what} (batch, {', '.join(axes)}, channels), got shape {images.shape}")
    least = (minimum,) * len(axes) if isinstance(minimum, int) else tuple(minimum)
    if any(size < limit for size, limit in zip(images.shape[1:-1], least, strict=True)):
        sizes = " x ".join(map(str, least))
        unit = "pixels" if tuple(axes) == IMAGE_AXES else f"({', '.join(axes)})"
        raise ValueError(f"{model} expected {what} of at least {sizes} {unit}, got shape {images.shape}")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"{model} expected floating-point {what}, got {images.dtype}: scale and normalise pixels first")


def check_classes(num_classes: int) -> None:
    """Refuses what is no number of a classifier's outputs.

    Raises:
      ValueError: it is negative or no integer.

    >>> check_classes(-1)
    Traceback (most recent call last):
    ...
    ValueError: num_classes: expected a positive integer, or 0 for features instead of logits, got -1
    """
    if not isinstance(num_classes, int | np.integer) or num_classes < 0:
        raise ValueError(
            f"num_classes: expected a positive integer, or 0 for features instead of logits, got {num_classes!r}"
        )
