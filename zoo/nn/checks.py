"""Checks of a model's input and options, made when it is traced."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def check_images(images: Array, model: str, minimum: int = 1) -> None:
    """Refuses what is not a batch of floating-point images, channels last, of at least `minimum` pixels a side.

    Raises:
      ValueError: the rank or the size is wrong; the message says what was expected and what came.
      TypeError: the values are integers, such as pixels that nobody has scaled.

    >>> check_images(jnp.ones((32, 32, 3)), "LeNet5")
    Traceback (most recent call last):
    ...
    ValueError: LeNet5 expected images (batch, height, width, channels), got shape (32, 32, 3)
    """
    if images.ndim != 4:
        raise ValueError(f"{model} expected images (batch, height, width, channels), got shape {images.shape}")
    if min(images.shape[1:3]) < minimum:
        raise ValueError(f"{model} expected images of at least {minimum} x {minimum} pixels, got shape {images.shape}")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"{model} expected floating-point images, got {images.dtype}: scale and normalise pixels first")


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
