"""Image augmentations as pure functions of a key and a batch; every example draws from a key of its own.

The key of an example is folded from its position in the batch, so that the result is the same however the
batch is spread over devices. Black is 0. What only moves or removes pixels takes bytes as well as floats.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Num

Images = Num[Array, "batch height width channels"]
Floats = Float[Array, "batch height width channels"]

BYTE = np.float32(1 / 255)
"""The brightness of one byte."""


def uniform(key: Key[Array, ""], batch: int, count: int) -> Float[Array, "count batch"]:
    """`count` numbers in [0, 1) for each example; those of an example depend on its position alone."""

    def draw(position: Int[Array, ""]) -> Float[Array, "count"]:
        return jax.random.uniform(jax.random.fold_in(key, position), (count,))

    return jax.vmap(draw, out_axes=1)(jnp.arange(batch))


def symmetric_beta(key: Key[Array, ""], batch: int, alpha: float) -> Float[Array, "batch"]:
    """A draw from Beta(alpha, alpha) for each example, without rejection.

    Student's t has a polar form (Bailey, 1994, Polar Generation of Random Variates with the t-Distribution),
    and t / sqrt(2 alpha + t^2) with 2 alpha degrees of freedom is a symmetric beta on [-1, 1].
    """
    radius, angle = uniform(key, batch, 2)
    power = radius ** (1 / alpha)
    cosine = jnp.cos(2 * jnp.pi * angle)
    return 0.5 + 0.5 * jnp.sign(cosine) / jnp.sqrt(1 + power / ((1 - power) * cosine**2))


def crop(images: Images, top: Int[Array, "batch"], left: Int[Array, "batch"], height: int, width: int) -> Images:
    """Cuts from each image the window with this corner, which must lie inside."""

    def cut(image: Array, top: Array, left: Array) -> Array:
        return jax.lax.dynamic_slice(image, (top, left, 0), (height, width, image.shape[-1]))

    return jax.vmap(cut)(images, top, left)


def pad_crop(key: Key[Array, ""], images: Images, pad: int) -> Images:
    """Pads each side with `pad` black pixels, then cuts a random window of the original size.

    He et al., 2016, Deep Residual Learning for Image Recognition, section 4.2, with pad = 4.
    """
    batch, height, width, _ = images.shape
    top, left = jnp.floor(uniform(key, batch, 2) * (2 * pad + 1)).astype(jnp.int32)
    padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return crop(padded, top, left, height, width)


def flip(key: Key[Array, ""], images: Images) -> Images:
    """Mirrors left and right with probability one half."""
    (coin,) = uniform(key, len(images), 1)
    return jnp.where((coin < 0.5)[:, None, None, None], images[:, :, ::-1], images)


def rotate(images: Floats, degrees: Float[Array, "batch"]) -> Floats:
    """Turns each image counter-clockwise about its centre, bilinearly; what comes in from outside is black.

    Multiples of 90 degrees are exact: the angle is reduced to a quadrant before its sine is taken.
    """
    # XLA fuses nothing across a condition. Without it, each later use of a pixel computes the rotation anew:
    # with cutout, erasing and mixup behind it a batch of 128 takes 70 ms on a CPU, like this 4.
    return jax.lax.cond(jnp.any(degrees != 0), _rotate, lambda images, _: images, images, degrees)


def _rotate(images: Floats, degrees: Float[Array, "batch"]) -> Floats:
    batch, height, width, channels = images.shape
    quadrant = jnp.round(degrees / 90)
    radians = jnp.deg2rad(degrees - 90 * quadrant)
    sine, cosine = jnp.sin(radians), jnp.cos(radians)
    turns = quadrant.astype(jnp.int32) % 4
    sine, cosine = (
        jnp.select([turns == k for k in range(4)], [sine, cosine, -sine, -cosine])[:, None, None],
        jnp.select([turns == k for k in range(4)], [cosine, -sine, -cosine, sine])[:, None, None],
    )
    down = (jnp.arange(height) - (height - 1) / 2)[None, :, None]
    right = (jnp.arange(width) - (width - 1) / 2)[None, None, :]
    y = cosine * down + sine * right + (height - 1) / 2
    x = cosine * right - sine * down + (width - 1) / 2
    top, left = jnp.floor(y), jnp.floor(x)
    pixels = images.reshape(batch, height * width, channels)
    total = jnp.zeros(images.shape, jnp.float32)
    for row, row_weight in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, column_weight in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
            place = place.astype(jnp.int32).reshape(batch, height * width, 1)
            pixel = jnp.take_along_axis(pixels, place, axis=1, mode="promise_in_bounds")
            weight = jnp.where(inside, row_weight * column_weight, 0)
            total += weight[..., None] * pixel.reshape(images.shape)
    return total


def random_rotate(key: Key[Array, ""], images: Floats, degrees: float) -> Floats:
    """Turns each image by an angle uniform in [-degrees, degrees]."""
    (draw,) = uniform(key, len(images), 1)
    return rotate(images, (2 * draw - 1) * degrees)


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


def partner(x: Num[Array, "batch ..."]) -> Num[Array, "batch ..."]:
    """What mixing pairs each example with: the batch in reverse, already in random order."""
    return x[::-1]


def mixup(key: Key[Array, ""], images: Floats, alpha: float) -> tuple[Floats, Float[Array, "batch"]]:
    """Blends each image with its partner, and gives the first one's weight, from Beta(alpha, alpha).

    Zhang et al., 2018, mixup: Beyond Empirical Risk Minimization; here each example draws its own weight.
    """
    weight = symmetric_beta(key, len(images), alpha)
    share = weight[:, None, None, None]
    return share * images + (1 - share) * partner(images), weight


def cutmix(key: Key[Array, ""], images: Images, alpha: float) -> tuple[Images, Float[Array, "batch"]]:
    """Pastes a box of its partner into each image, and gives the share of the area that stays.

    The box has the image's proportions, its area before the border cuts it 1 - Beta(alpha, alpha).
    Yun et al., 2019, CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features.
    """
    batch, height, width, _ = images.shape
    beta_key, place_key = jax.random.split(key)
    side = jnp.sqrt(1 - symmetric_beta(beta_key, batch, alpha))
    row, column = uniform(place_key, batch, 2)
    box_height = jnp.floor(height * side).astype(jnp.int32)
    box_width = jnp.floor(width * side).astype(jnp.int32)
    top = jnp.floor(row * height).astype(jnp.int32) - box_height // 2
    left = jnp.floor(column * width).astype(jnp.int32) - box_width // 2
    pasted = box_mask(images, top, left, box_height, box_width)
    weight = 1 - jnp.sum(pasted, axis=(1, 2, 3)) / (height * width)
    return jnp.where(pasted, partner(images), images), weight


def normalise(images: Floats, mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    """Subtracts the mean and divides by the standard deviation of each channel (one value serves all)."""
    channels = images.shape[-1]
    if any(len(values) not in (1, channels) for values in (mean, std)):
        raise ValueError(f"normalise: expected 1 or {channels} values, found mean={mean}, std={std}")
    return (images - jnp.asarray(mean, images.dtype)) / jnp.asarray(std, images.dtype)
