"""The exact transform with which published weights were evaluated: resize, central crop, scale, normalise."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from zoo.catalog import describe
from zoo.catalog.pretrained import Preprocessing, Pretrained
from zoo.names import unknown

Transform = Callable[[Any], Float[np.ndarray, "height width channels"]]


def pretrained(name: str, weights: str | None = None) -> Pretrained:
    """What is known of a model's published weights.

    Args:
      name: a name of `zoo.list_models()`.
      weights: such as "IMAGENET1K_V2"; by default the first that were published.

    Raises:
      UnknownNameError: no such model, or no such weights of it.

    >>> pretrained("cifar_resnet20").top1
    91.73
    """
    files = {file.name: file for file in describe(name).pretrained}
    if not files or (weights is not None and weights not in files):
        raise unknown(f"weights of {name}", weights or "published", files)
    return files[weights] if weights else next(iter(files.values()))


def preprocess(name: str, weights: str | None = None) -> Transform:
    """The evaluation transform of a model's published weights, as torchvision's presets do it with Pillow.

    The transform takes a file's path, a `PIL.Image` or uint8 pixels (height, width[, 3]), and gives float32
    (crop, crop, 3); grey images become colour, transparency is dropped.

    Args:
      name: a name of `zoo.list_models()`.
      weights: such as "IMAGENET1K_V2"; by default the first that were published.

    Raises:
      UnknownNameError: no such model, or no such weights of it.

    >>> preprocess("cifar_resnet20")(np.zeros((40, 32, 3), np.uint8)).shape
    (32, 32, 3)
    """
    how = pretrained(name, weights).preprocessing
    return lambda image: transform(how, image)


def transform(how: Preprocessing, image: Any) -> Float[np.ndarray, "height width channels"]:
    """One image, transformed.

    Raises:
      FileNotFoundError: there is no such file.
      TypeError: neither a path nor a Pillow image nor uint8 pixels.
    """
    from PIL import Image

    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    picture = _opened(image).convert("RGB")
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    resized = how.resize, how.resize * long // short
    size = resized if width <= height else resized[::-1]
    if size != picture.size:
        picture = picture.resize(size, filters[how.interpolation])
    left, top = (round((side - how.crop) / 2) for side in picture.size)  # halves to even, as torchvision
    pixels = np.asarray(picture.crop((left, top, left + how.crop, top + how.crop)), np.float32) / np.float32(255)
    return (pixels - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)


def _opened(image: Any) -> Any:
    from PIL import Image

    if isinstance(image, Image.Image):
        return image
    if isinstance(image, str | os.PathLike):
        with Image.open(image) as opened:
            opened.load()
            return opened
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3):
        return Image.fromarray(image)
    kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise TypeError(f"expected a path, a Pillow image or uint8 pixels (height, width[, 3]), got {kind}")
