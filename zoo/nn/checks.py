"""Checks of a model's input, made when it is traced."""

import jax.numpy as jnp
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
