"""From the bytes of a batch to what a model sees: which augmentations, in which order, then normalisation."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt8

from train.data import transforms
from train.data.trivial_augment import trivial_augment

Batch = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Augment:
    """How training images are varied, and how all images are normalised. Zero switches a variation off."""

    pad_crop: int = 0
    """Black pixels to pad on each side before a random crop of the original size."""
    flip: bool = False
    """Mirror left and right, half of the time."""
    rotate: float = 0.0
    """Largest angle of a random rotation, in degrees."""
    cutout: int = 0
    """Side in pixels of a black square at a random place."""
    erase: float = 0.0
    """Probability of filling a random rectangle with noise (random erasing)."""
    mixup: float = 0.0
    """Alpha of the Beta distribution of mixup's weights."""
    cutmix: float = 0.0
    """Alpha of the Beta distribution of cutmix's areas; with mixup too, each example takes one at random."""
    trivial: bool = False
    """One random operation an image, of random strength (TrivialAugment)."""
    mean: tuple[float, ...] = ()
    """Mean to subtract from images in [0, 1], one value or one a channel."""
    std: tuple[float, ...] = ()
    """Standard deviation to divide by, one value or one a channel."""

    def __post_init__(self) -> None:
        checks = {
            "pad_crop": self.pad_crop >= 0,
            "rotate": self.rotate >= 0,
            "cutout": self.cutout >= 0,
            "erase": 0 <= self.erase <= 1,
            "mixup": self.mixup >= 0,
            "cutmix": self.cutmix >= 0,
            "std": all(value > 0 for value in self.std),
        }
        bad = [f"{field}={getattr(self, field)!r}" for field, fine in checks.items() if not fine]
        if bad:
            raise ValueError(f"augment: out of range: {', '.join(bad)}")


def augment(config: Augment) -> Callable[[Key[Array, ""], Batch], Batch]:
    """The pure function `f(key, batch) -> batch` for training: uint8 images become float32, varied.

    Mixup and cutmix add "label_b" (int32) and "mix" (float32), the weight of "label" in the loss:
    mix * loss(label) + (1 - mix) * loss(label_b). Give it the whole batch, before devices share it:
    they mix each image with another of the batch. Labels and targets stay as they are.

    >>> batch = {"image": jnp.zeros((2, 8, 8, 1), jnp.uint8), "label": jnp.array([3, 5])}
    >>> mixed = jax.jit(augment(Augment(flip=True, mixup=0.2)))(jax.random.key(0), batch)
    >>> mixed["image"].dtype, mixed["label_b"].tolist(), mixed["mix"].shape
    (dtype('float32'), [5, 3], (2,))
    """

    def apply(key: Key[Array, ""], batch: Batch) -> Batch:
        images = batch["image"]
        # Each variation has a key of its own, so that switching one on leaves the others' draws alone.
        keys = [jax.random.fold_in(key, number) for number in range(8)]
        # Those that take bytes come first: a quarter of the memory traffic.
        if config.pad_crop:
            images = transforms.pad_crop(keys[0], images, config.pad_crop)
        if config.flip:
            images = transforms.flip(keys[1], images)
        if config.trivial:
            images = trivial_augment(keys[7], images)
        images = to_float(images)
        if config.rotate:
            images = transforms.random_rotate(keys[2], images, config.rotate)
        if config.cutout:
            images = transforms.cutout(keys[3], images, config.cutout)
        if config.erase:
            images = transforms.random_erasing(keys[4], images, config.erase)
        batch = {**batch, "image": images}
        if config.mixup or config.cutmix:
            batch |= _mix(keys[5], keys[6], batch, config)
        return {**batch, "image": _normalise(batch["image"], config)}

    return apply


def preprocess(config: Augment) -> Callable[[Batch], Batch]:
    """The pure function `f(batch) -> batch` for evaluation: float32 images, normalised and not varied."""
    return lambda batch: {**batch, "image": _normalise(to_float(batch["image"]), config)}


def to_float(images: UInt8[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
    """Bytes to float32 in [0, 1].

    Raises:
      ValueError: the images are not uint8 of rank 4; floats would otherwise be divided by 255 twice.
    """
    if images.dtype != jnp.uint8 or images.ndim != 4:
        raise ValueError(f"expected uint8 images (batch, height, width, channels), found {images.dtype} {images.shape}")
    return images.astype(jnp.float32) * transforms.BYTE  # compiled or not, a product is the same to the bit


def _normalise(images: Float[Array, "batch height width channels"], config: Augment) -> Array:
    if not (config.mean or config.std):
        return images
    return transforms.normalise(images, config.mean or (0.0,), config.std or (1.0,))


def _mix(key: Key[Array, ""], coin_key: Key[Array, ""], batch: Batch, config: Augment) -> Batch:
    if "label" not in batch:
        raise ValueError(f"mixup and cutmix mix labels: expected 'label' in the batch, found {', '.join(batch)}")
    images = batch["image"]
    if config.mixup and config.cutmix:
        blended, blend_weight = transforms.mixup(key, images, config.mixup)
        pasted, paste_weight = transforms.cutmix(key, images, config.cutmix)
        (coin,) = transforms.uniform(coin_key, len(images), 1)
        mixed = jnp.where((coin < 0.5)[:, None, None, None], blended, pasted)
        weight = jnp.where(coin < 0.5, blend_weight, paste_weight)
    elif config.mixup:
        mixed, weight = transforms.mixup(key, images, config.mixup)
    else:
        mixed, weight = transforms.cutmix(key, images, config.cutmix)
    return {"image": mixed, "label_b": transforms.partner(batch["label"]), "mix": weight}
