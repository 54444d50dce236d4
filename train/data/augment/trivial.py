"""TrivialAugment: each image goes through one operation, chosen and as strong as chance has it; batched, on bytes.

Müller and Hutter, 2021, TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation, the wide space. An
operation gives the bytes that Pillow does: with the place of a pixel in units of 1/65536, and brightness cut off, not
rounded. Three passes do all fourteen: pixels are moved, bytes looked up, and the result blended with another image.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, UInt8

from train.data.augment.moves import uniform

Bytes = UInt8[Array, "batch height width channels"]
Setting = Int[Array, "batch"]

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "contrast",
    "color",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
LEVELS = 31
"""Strengths of each, from none to the strongest."""
SETTINGS = 2 * LEVELS
"""Settings of each: the levels, then again with the other sign, for operations that have one."""

_STEPS = np.concatenate([np.arange(LEVELS), -np.arange(LEVELS)])
_STRENGTH = _STEPS / (LEVELS - 1)
_THOUSANDTHS = np.int32(1000 + 33 * _STEPS)
"""Of the factor of brightness, contrast, color and sharpness: 1000 leaves an image, 10 takes nearly all away, 1990
exaggerates. In whole numbers, since a fused multiply-add would fall below some of them."""
_UNIT = 65536


def trivial_augment(key: Key[Array, ""], images: UInt8[Array, "batch ..."]) -> UInt8[Array, "batch ..."]:
    """Puts each image, or all frames of each clip, through an operation of its own."""
    draws = uniform(key, len(images), 2)
    operation, setting = (jnp.floor(draws[i] * n).astype(jnp.int32) for i, n in enumerate((len(OPERATIONS), SETTINGS)))
    if images.ndim == 4:
        return operate(images, operation, setting)
    frames = images.reshape(-1, *images.shape[2:])
    return operate(frames, *(jnp.repeat(drawn, images.shape[1]) for drawn in (operation, setting))).reshape(
        images.shape
    )


def operate(images: Bytes, operation: Setting, setting: Setting) -> Bytes:
    """Puts each image through this operation, a place in `OPERATIONS`, at this setting.

    Args:
      images: grey or RGB; black comes in from outside.
      operation: of each image.
      setting: 0 to 30 from none to the strongest, 31 to 61 the same in the other direction.

    Raises:
      ValueError: the images have neither one channel nor three.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"trivial_augment: expected images of 1 or 3 channels, found {images.shape}")
    images = _move(images, jnp.asarray(_places(*images.shape[1:3]))[operation, setting])
    images = _look_up(images, operation, setting)
    return _blend(images, operation, setting)


def _is(name: str, operation: Setting) -> Array:
    return operation == OPERATIONS.index(name)


@functools.cache
def _places(height: int, width: int) -> Int[np.ndarray, "operations settings 6"]:
    """a to f of each operation: pixel (x, y) is taken from (a x + b y + c, d x + e y + f), in 1/65536 pixel."""
    turn = np.deg2rad(135 * _STRENGTH)
    one, zero = np.ones(SETTINGS), np.zeros(SETTINGS)
    moved = np.sign(_STEPS) * (32 * np.abs(_STEPS) // (LEVELS - 1))
    cosine, sine = np.round(np.cos(turn), 15), np.round(np.sin(turn), 15)
    x, y = width / 2, height / 2
    inverse = {
        "shear_x": (one, 0.99 * _STRENGTH, zero, zero, one, zero),
        "shear_y": (one, zero, zero, 0.99 * _STRENGTH, one, zero),
        "translate_x": (one, zero, moved, zero, one, zero),
        "translate_y": (one, zero, zero, zero, one, moved),
        "rotate": (cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y),
    }
    still = (one, zero, zero, zero, one, zero)
    a, b, c, d, e, f = np.array([inverse.get(name, still) for name in OPERATIONS]).transpose(1, 0, 2)
    centred = (a, b, c + (a + b) / 2, d, e, f + (d + e) / 2)  # a pixel lies where its centre does
    return np.floor(np.stack(centred, axis=-1) * _UNIT + 0.5).astype(np.int32)


def _move(images: Bytes, places: Int[Array, "batch 6"]) -> Bytes:
    batch, height, width, channels = images.shape
    a, b, c, d, e, f = places.T[:, :, None, None]
    x, y = jnp.arange(width)[None, None, :], jnp.arange(height)[None, :, None]
    column, row = (a * x + b * y + c) // _UNIT, (d * x + e * y + f) // _UNIT
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = jnp.where(inside, row * width + column, 0).reshape(batch, -1, 1)
    pixels = jnp.take_along_axis(images.reshape(batch, -1, channels), place, axis=1, mode="promise_in_bounds")
    return jnp.where(inside[..., None], pixels.reshape(images.shape), jnp.zeros((), jnp.uint8))


def _look_up(images: Bytes, operation: Setting, setting: Setting) -> Bytes:
    """Replaces each byte by what a table of its image and channel says."""
    batch, _, _, channels = images.shape
    pixels = images.reshape(batch, -1, channels)
    fixed = jnp.asarray(_fixed_tables())[operation, setting][:, :, None]
    used = [_is(name, operation)[:, None, None] for name in ("contrast", "autocontrast", "equalize")]
    of_image = [_contrast(images, jnp.asarray(_THOUSANDTHS)[setting]), _autocontrast(pixels), _equalize(pixels)]
    shape = batch, 256, channels
    tables = jnp.select(used, [jnp.broadcast_to(table, shape) for table in of_image], jnp.broadcast_to(fixed, shape))
    return jnp.take_along_axis(tables, pixels.astype(jnp.int32), axis=1, mode="promise_in_bounds").reshape(images.shape)


@functools.cache
def _fixed_tables() -> UInt8[np.ndarray, "operations settings 256"]:
    """Of the operations for which a byte's value decides alone."""
    value, every = np.arange(256), np.ones((SETTINGS, 1), int)
    steps = np.abs(_STEPS)[:, None]
    lost_bits = np.round(steps * 6 / (LEVELS - 1)).astype(int)
    tables = {
        "brightness": np.clip(_THOUSANDTHS[:, None] * value // 1000, 0, 255),
        "posterize": value >> lost_bits << lost_bits,
        "solarize": np.where(value < 255 - 255 * steps / (LEVELS - 1), value, 255 - value),
    }
    return np.stack([tables.get(name, every * value) for name in OPERATIONS]).astype(np.uint8)


def _contrast(images: Bytes, thousandths: Setting) -> UInt8[Array, "batch 256 1"]:
    """Blends with the mean brightness."""
    count = images.shape[1] * images.shape[2]
    mean = (2 * jnp.sum(_grey(images), axis=(1, 2, 3)) + count) // (2 * count)
    return _blended(mean[:, None], jnp.arange(256)[None, :], thousandths[:, None])[..., None]


def _autocontrast(pixels: UInt8[Array, "batch pixels channels"]) -> UInt8[Array, "batch 256 channels"]:
    """Stretches each channel over all brightnesses."""
    low, high = (bound(pixels, axis=1, keepdims=True).astype(jnp.int32) for bound in (jnp.min, jnp.max))
    value = jnp.arange(256)[None, :, None]
    stretched = jnp.clip((value - low) * 255 // jnp.maximum(high - low, 1), 0, 255)
    return jnp.where(high > low, stretched, value).astype(jnp.uint8)


def _equalize(pixels: UInt8[Array, "batch pixels channels"]) -> UInt8[Array, "batch 256 channels"]:
    """Spreads the brightnesses of each channel evenly."""
    count = jax.vmap(jax.vmap(functools.partial(jnp.bincount, length=256), 1, 1))(pixels.astype(jnp.int32))
    last = jnp.take_along_axis(count, jnp.max(pixels, axis=1, keepdims=True).astype(jnp.int32), axis=1)
    step = (pixels.shape[1] - last) // 255
    below = jnp.cumsum(count, axis=1) - count
    value = jnp.arange(256)[None, :, None]
    spread = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
    return jnp.where(step > 0, spread, value).astype(jnp.uint8)


def _blend(images: Bytes, operation: Setting, setting: Setting) -> Bytes:
    """Blends with the grey image for color, with a smooth one for sharpness."""
    colour, sharp = (_is(name, operation) for name in ("color", "sharpness"))
    other = jnp.where(colour[:, None, None, None], _grey(images), _smooth(images))
    thousandths = jnp.where(colour | sharp, jnp.asarray(_THOUSANDTHS)[setting], 1000)
    return _blended(other, images, thousandths[:, None, None, None])


def _blended(other: Int[Array, "..."], images: Array, thousandths: Int[Array, "..."]) -> UInt8[Array, "..."]:
    """other + factor (images - other), cut off to a byte."""
    blended = other + thousandths * (images.astype(jnp.int32) - other) // 1000
    return jnp.clip(blended, 0, 255).astype(jnp.uint8)


def _grey(images: Bytes) -> Int[Array, "batch height width 1"]:
    """Brightness by ITU-R 601, in whole numbers as Pillow has them."""
    if images.shape[-1] == 1:
        return images.astype(jnp.int32)
    red, green, blue = (images[..., i : i + 1].astype(jnp.int32) for i in range(3))
    return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16


def _smooth(images: Bytes) -> Int[Array, "batch height width channels"]:
    """The mean of 3x3 pixels with the middle counted five times; the border stays as it is."""
    wide = images.astype(jnp.int32)
    height, width = images.shape[1:3]
    shifted = [wide[:, i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    mean = (2 * (sum(shifted) + 4 * shifted[4]) + 13) // 26
    return wide.at[:, 1:-1, 1:-1].set(mean)
