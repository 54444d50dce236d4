"""Moves of colour: holes, noise, and normalisation. They touch images and clips alone, and nothing moves."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Num, UInt8

from train.data.augment.moves import Floats, Images, uniform

BYTE = np.float32(1 / 255)
"""The brightness of one byte."""


def to_float(
    images: UInt8[Array, "batch ... height width channels"],
) -> Float[Array, "batch ... height width channels"]:
    """Bytes to float32 in [0, 1].

    Raises:
      ValueError: they are not uint8 of rank 4, or 5 for clips; floats would otherwise be divided by 255 twice.
    """
    if images.dtype != jnp.uint8 or images.ndim not in (4, 5):
        raise ValueError(f"expected uint8 images (batch, height, width, channels), found {images.dtype} {images.shape}")
    return images.astype(jnp.float32) * BYTE  # compiled or not, a product is the same to the bit


def box_mask(
    images: Images,
    top: Int[Array, "batch"],
    left: Int[Array, "batch"],
    height: Int[Array, "batch"] | int,
    width: Int[Array, "batch"] | int,
) -> Num[Array, "batch height width 1"]:
    """True inside a box of each image; what of the box lies outside the image is cut off."""
    rows = jnp.arange(images.shape[1])[None, :] - top[:, None]
    columns = jnp.arange(images.shape[2])[None, :] - left[:, None]
    inside_rows = (rows >= 0) & (rows < jnp.broadcast_to(height, top.shape)[:, None])
    inside_columns = (columns >= 0) & (columns < jnp.broadcast_to(width, top.shape)[:, None])
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[..., None]


def cutout(key: Key[Array, ""], images: Images, size: int) -> Images:
    """Blackens a square of `size` pixels about a random pixel; it may reach over the border.

    DeVries and Taylor, 2017, Improved Regularization of Convolutional Neural Networks with Cutout.
    """
    batch, height, width, _ = images.shape
    row, column = uniform(key, batch, 2)
    top = jnp.floor(row * height).astype(jnp.int32) - size // 2
    left = jnp.floor(column * width).astype(jnp.int32) - size // 2
    hole = box_mask(images, top, left, size, size)
    return jnp.where(hole, jnp.zeros((), images.dtype), images)


def random_erasing(key: Key[Array, ""], images: Floats, probability: float) -> Floats:
    """With this probability fills a rectangle with noise: 2 to 40 % of the area, sides 0.3 to 3.3 to one.

    Zhong et al., 2020, Random Erasing Data Augmentation, variant RE-R. Where the paper draws again until
    the rectangle fits, its sides are cut to the image's: the number of draws is fixed.
    """
    batch, height, width, _ = images.shape
    draw_key, noise_key = jax.random.split(key)
    coin, area, aspect, row, column = uniform(draw_key, batch, 5)
    area = (0.02 + 0.38 * area) * height * width
    aspect = 0.3 + 3.0 * aspect
    erase_height = jnp.minimum(jnp.round(jnp.sqrt(area * aspect)), height).astype(jnp.int32)
    erase_width = jnp.minimum(jnp.round(jnp.sqrt(area / aspect)), width).astype(jnp.int32)
    top = jnp.floor(row * (height - erase_height + 1)).astype(jnp.int32)
    left = jnp.floor(column * (width - erase_width + 1)).astype(jnp.int32)
    hole = box_mask(images, top, left, erase_height, erase_width) & (coin < probability)[:, None, None, None]
    return jnp.where(hole, _noise(noise_key, images), images)


def _noise(key: Key[Array, ""], images: Floats) -> Floats:
    """A random byte for every value: murmur3's finaliser (A. Appleby, 2011) of a seed per example and the place.

    The bits of `jax.random` would be better than noise has to be, and cost ten times all else here on a CPU.
    """

    def seed(position: Int[Array, ""]) -> Array:
        return jax.random.bits(jax.random.fold_in(key, position), dtype=jnp.uint32)

    seeds = jax.vmap(seed)(jnp.arange(len(images)))
    word = jnp.arange(images[0].size, dtype=jnp.uint32) * jnp.uint32(0x9E3779B9) + seeds[:, None]
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return (word >> 24).reshape(images.shape) * BYTE


def normalise(images: Floats, mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    """Subtracts the mean and divides by the standard deviation of each channel (one value serves all)."""
    channels = images.shape[-1]
    if any(len(values) not in (1, channels) for values in (mean, std)):
        raise ValueError(f"normalise: expected 1 or {channels} values, found mean={mean}, std={std}")
    return (images - jnp.asarray(mean, images.dtype)) / jnp.asarray(std, images.dtype)
