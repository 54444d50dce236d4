"""The exact transform with which published weights were evaluated: resize, central crop, scale, normalise.

Detectors and segmentation networks see the whole image; `zoo.detection.canvas` makes batches for detectors. Networks
for clips see each frame alike.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from zoo.arrays import in_a_line
from zoo.catalog import describe
from zoo.catalog.pretrained import Preprocessing, Pretrained
from zoo.images import open_image, upright
from zoo.names import UnknownNameError, unknown

Transform = Callable[[Any], Float[np.ndarray, "*frames height width channels"]]


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
    if not files:
        raise UnknownNameError(f"{name} has no published weights")
    if weights is not None and weights not in files:
        raise unknown(f"weights of {name}", weights, files)
    return files[weights] if weights else next(iter(files.values()))


def preprocess(name: str, weights: str | None = None) -> Transform:
    """The evaluation transform of a model's published weights, as torchvision's presets do it with Pillow.

    The transform takes a file's path, a `PIL.Image` or uint8 pixels (height, width[, 1 or 3]), and gives float32
    (crop, crop, 3); for detectors and segmentation (height, width, 3) of the whole image, for optical flow of its own
    size. Grey images become colour, transparency is dropped, 16 bits are scaled to 8. A file is turned upright as its
    EXIF orientation says; an image that is open stays as it lies, as with torchvision.

    That of a network for clips takes a clip: its frames, each any of these, or uint8 pixels (time, height, width[, 3]),
    and gives float32 (time, crop, crop, 3). Which frames of a video, and how many, is for who reads it to choose:
    `pretrained(name).preprocessing` has their number and rate.

    Args:
      name: a name of `zoo.list_models()`.
      weights: such as "IMAGENET1K_V2"; by default the first that were published.

    Raises:
      UnknownNameError: no such model, or no such weights of it.

    >>> preprocess("cifar_resnet20")(np.zeros((40, 32, 3), np.uint8)).shape
    (32, 32, 3)
    >>> preprocess("r3d_18")(np.zeros((16, 120, 160, 3), np.uint8)).shape
    (16, 112, 112, 3)
    """
    how = pretrained(name, weights).preprocessing
    apply = transform_clip if how.frame == "clip" else transform
    return lambda seen: apply(how, seen)


def transform(how: Preprocessing, image: Any) -> Float[np.ndarray, "height width channels"]:
    """One image, transformed.

    Raises:
      FileNotFoundError: there is no such file.
      TypeError: neither a path nor a Pillow image nor uint8 pixels.
      ValueError: a file that is no readable image; an image without pixels, with other channels than grey or colour,
        or with values that are no integers of 8 or 16 bits.
    """
    picture = eight_bits(_opened(image)).convert("RGB")
    if how.frame == "crop":
        picture = central_square(picture, how.resize, how.crop, how.interpolation)
    elif how.frame == "whole" and how.resize:
        picture = with_shorter_side(picture, how.resize, how.interpolation)
    pixels = np.asarray(picture, np.float32) / np.float32(255)
    pixels = (pixels - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    if how.frame == "fit":
        return interpolated(pixels, *fitted_size(*pixels.shape[:2], how.resize, how.crop))
    return interpolated(pixels, how.crop, how.crop) if how.frame == "stretch" else pixels


def transform_clip(how: Preprocessing, frames: Iterable[Any]) -> Float[np.ndarray, "time height width channels"]:
    """A clip, each frame transformed by itself: resized and rounded to 8 bits, the central square, normalised.

    As torchvision's preset for video networks, to the last bit but where a value lies between two integers.

    Raises:
      FileNotFoundError: there is no such file.
      TypeError: no frames, or a frame that is neither a path nor a Pillow image nor uint8 pixels.
      ValueError: a clip without frames; and of a frame as for `transform`.
    """
    if isinstance(frames, str | os.PathLike) or not isinstance(frames, Iterable):
        raise TypeError(f"expected the frames of a clip, one after the other, got {type(frames).__name__}")
    seen = [_frame(how, frame) for frame in frames]
    if not seen:
        raise ValueError("expected a clip of at least one frame, got none")
    pixels = np.stack(seen).astype(np.float32) / np.float32(255)
    return (pixels - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)


def _frame(how: Preprocessing, frame: Any) -> UInt8[np.ndarray, "crop crop 3"]:
    """The central square of one frame, resized."""
    pixels = np.asarray(eight_bits(_opened(frame)).convert("RGB"))
    height, width = pixels.shape[:2]
    if isinstance(how.resize, tuple):
        size = how.resize
    else:
        size = tuple(how.resize * side // min(height, width) for side in (height, width))
    resized = np.rint(interpolated(pixels.astype(np.float64), *size)).astype(np.uint8)
    top, left = (round((side - how.crop) / 2) for side in size)  # halves to even
    return resized[top : top + how.crop, left : left + how.crop]


def fitted_size(height: int, width: int, shorter: int, longer: int) -> tuple[int, int]:
    """Height and width in pixels after the shorter side is made `shorter`, or less where the longer is over `longer`.

    As in torchvision/models/detection/transform.py.

    >>> fitted_size(480, 640, shorter=800, longer=1333)
    (800, 1066)
    """
    scale = min(shorter / min(height, width), longer / max(height, width))
    return int(height * scale), int(width * scale)


def interpolated(
    pixels: Float[np.ndarray, "height width ..."], height: int, width: int
) -> Float[np.ndarray, "new_height new_width ..."]:
    """Pixels of another number by bilinear interpolation between their centres, not antialiased, as torch has it."""
    for axis, size in enumerate((height, width)):
        if pixels.shape[axis] != size:
            pixels = _interpolated(pixels, axis, size)
    return pixels


def _interpolated(pixels: np.ndarray, axis: int, size: int) -> np.ndarray:
    count = pixels.shape[axis]
    at = np.clip((np.arange(size) + 0.5) * (count / size) - 0.5, 0, count - 1)
    first = at.astype(int)
    share = (at - first).astype(pixels.dtype).reshape(-1, *[1] * (pixels.ndim - 1 - axis))
    low, high = (np.take(pixels, np.minimum(first + step, count - 1), axis) for step in (0, 1))
    return low + (high - low) * share


def central_square(picture: Any, resize: int, crop: int, interpolation: str = "bilinear") -> Any:
    """The central crop x crop pixels of a Pillow image whose shorter side is made `resize` pixels long.

    Rounded as torchvision does. With `interpolation` "bilinear" or "bicubic", both antialiased.
    """
    picture = with_shorter_side(picture, resize, interpolation)
    left, top = (round((side - crop) / 2) for side in picture.size)  # halves to even
    return picture.crop((left, top, left + crop, top + crop))


def with_shorter_side(picture: Any, pixels: int, interpolation: str = "bilinear") -> Any:
    """A Pillow image resized so that its shorter side has so many pixels; the longer is rounded down.

    With `interpolation` "bilinear" or "bicubic", both antialiased.
    """
    from PIL import Image

    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    shorter = min(picture.size)
    size = tuple(pixels * side // shorter for side in picture.size)
    return picture if size == picture.size else picture.resize(size, filters[interpolation])


def eight_bits(image: Any) -> Any:
    """A Pillow image with grey values of 16 bits (modes I;16 and I) scaled to 8; any other as it is.

    Pillow itself cuts off at 255 instead.

    Raises:
      ValueError: values below 0 or of more than 16 bits, or fractions (mode F), whose range nobody knows.
    """
    from PIL import Image

    if image.mode == "F":
        raise ValueError("expected an image of 8 or 16 bits a channel, got Pillow mode F")
    return Image.fromarray(_scaled(np.asarray(image))) if image.mode.startswith("I") else image


def _scaled(grey: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    if grey.min() < 0 or grey.max() >= 2**16:
        raise ValueError(f"expected grey values of 16 bits, got {grey.min()} to {grey.max()}")
    return np.rint(grey / 257).astype(np.uint8)


def _read(file: str | os.PathLike[str]) -> Any:
    try:
        with open_image(file) as image:
            return upright(image)
    except FileNotFoundError:
        raise
    except Exception as error:  # Pillow raises whatever its decoders do
        raise ValueError(f"{file}: expected a readable image: {in_a_line(error)}") from error


def _opened(image: Any) -> Any:
    """A Pillow image of at least one pixel."""
    from PIL import Image

    if isinstance(image, str | os.PathLike):
        return _read(image)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        if image.size == 0 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)):
            raise ValueError(f"expected pixels (height, width[, 1 or 3]), got shape {image.shape}")
        return Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
    if not isinstance(image, Image.Image):
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(f"expected a path, a Pillow image or uint8 pixels (height, width[, 1 or 3]), got {kind}")
    if min(image.size) < 1:
        raise ValueError(f"expected an image of at least one pixel, got {image.width} x {image.height}")
    return image
