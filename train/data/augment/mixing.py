"""Mixing: each example with its partner, the images and the labels in the same shares."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from train.data.augment.colour import box_mask
from train.data.augment.moves import Floats, Images, uniform


def symmetric_beta(key: Key[Array, ""], batch: int, alpha: float) -> Float[Array, "batch"]:
    """A draw from Beta(alpha, alpha) for each example, without rejection.

    Student's t has a polar form (Bailey, 1994, Polar Generation of Random Variates with the t-Distribution),
    and t / sqrt(2 alpha + t^2) with 2 alpha degrees of freedom is a symmetric beta on [-1, 1].
    """
    radius, angle = uniform(key, batch, 2)
    power = radius ** (1 / alpha)
    cosine = jnp.cos(2 * jnp.pi * angle)
    return 0.5 + 0.5 * jnp.sign(cosine) / jnp.sqrt(1 + power / ((1 - power) * cosine**2))


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
    covered = jnp.sum(pasted, axis=(1, 2, 3), dtype=jnp.int32).astype(jnp.float32)
    weight = 1 - covered / (height * width)
    return jnp.where(pasted, partner(images), images), weight


def mix(
    key: Key[Array, ""], coin_key: Key[Array, ""], images: Floats, mixup_alpha: float, cutmix_alpha: float
) -> tuple[Floats, Float[Array, "batch"]]:
    """Either, or one of them at random for each example where both have an alpha; and the first one's weight."""
    if mixup_alpha and cutmix_alpha:
        blended, blend_weight = mixup(key, images, mixup_alpha)
        pasted, paste_weight = cutmix(key, images, cutmix_alpha)
        (coin,) = uniform(coin_key, len(images), 1)
        mixed = jnp.where((coin < 0.5)[:, None, None, None], blended, pasted)
        return mixed, jnp.where(coin < 0.5, blend_weight, paste_weight)
    return mixup(key, images, mixup_alpha) if mixup_alpha else cutmix(key, images, cutmix_alpha)


def partners(batch: dict[str, Array], names: Sequence[str]) -> dict[str, Array]:
    """NAME_b of some fields: what their partners have; with NAME_b_valid beside fields that are padded."""
    found = {f"{name}_b": partner(batch[name]) for name in names}
    valid = {f"{name}_b_valid": partner(batch[f"{name}_valid"]) for name in names if f"{name}_valid" in batch}
    return found | valid
