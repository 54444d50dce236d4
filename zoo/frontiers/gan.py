"""Two networks that learn against each other: a generator makes images of noise, a discriminator tells them from real.

Goodfellow et al., 2014, Generative Adversarial Nets; the networks are those of Radford, Metz and Chintala, 2016,
Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks (DCGAN). Lecture row L97,
of which this is the other meaning: the adversary is a network here, in `zoo.frontiers.adversarial` it is a change.

Images go from -1 to 1, which is what tanh gives. Windows have 4 x 4 taps, which the stride of 2 divides, so that every
place of a larger map gets as many of them; those of the paper's figure have 5 x 5. Parameters are drawn as there:
kernels from N(0, 0.02), scales of normalisations, as in its authors' code, from N(1, 0.02).
"""

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from zoo.nn.checks import check_images
from zoo.nn.network import ModuleMaker, Network
from zoo.nn.transposed import ConvTranspose

SLOPE = 0.2
"""Of the discriminator's leaky ReLUs below zero."""
WINDOW = {"window": 4, "stride": 2, "padding": 1}
"""Of what doubles the sides of a map."""

kernels = nn.initializers.normal(0.02)


def scales(key: Array, shape: tuple[int, ...], dtype: np.dtype = jnp.float32) -> Float[Array, " channels"]:
    """Draws the scales of a normalisation from N(1, 0.02)."""
    return 1 + kernels(key, shape, dtype)


class Judged(NamedTuple):
    """What both networks together give."""

    images: Float[Array, "batch height width channels"]
    """Made of the latents, from -1 to 1."""
    real: Float[Array, " batch"]
    """The discriminator's logits of the images that it was given: above 0 it takes one for real."""
    fake: Float[Array, " batch"]
    """Its logits of those that were made."""


class Up(nn.Module):
    """A transposed convolution to twice the side, batch normalisation, ReLU."""

    width: int
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b 2*h 2*w width"]:
        return nn.relu(self.norm(name="norm")(self.conv(self.width, **WINDOW, name="conv")(x), not train))


class Down(nn.Module):
    """A convolution to half the side, batch normalisation but in the first block, leaky ReLU."""

    width: int
    conv: ModuleMaker
    norm: ModuleMaker | None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        x = self.conv(self.width, (4, 4), strides=2, padding=1, use_bias=self.norm is None, name="conv")(x)
        x = x if self.norm is None else self.norm(name="norm")(x, not train)
        return nn.leaky_relu(x, SLOPE)


class Generator(Network):
    """Images of latents: a dense layer to a small map of many channels, then maps of twice the side, to tanh."""

    shape: tuple[int, int, int] = (64, 64, 3)
    """Of an image; one is made by as many doublings as there are widths."""
    widths: tuple[int, ...] = (1024, 512, 256, 128)
    """Channels of the maps, the smallest map first."""

    @nn.compact
    def __call__(
        self, latents: Float[Array, "batch latent"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch height width channels"] | Mapping[str, Float[Array, "batch ..."]]:
        """Images from -1 to 1, float32; with `features` all named features: stage1, stage2, ..., images.

        Raises:
          ValueError: latents of another rank, or sides that the doublings do not divide.
          TypeError: latents that are no floating-point numbers.
        """
        _check_latents(latents)
        start = _smallest(self.shape, len(self.widths))
        conv = _transposed(self, use_bias=False)
        norm, up = self.norm_maker(scale_init=scales), self.rematerialised(Up)
        named: dict[str, Array] = {}

        first, *others = self.widths
        size = start[0] * start[1] * first
        x = nn.Dense(size, use_bias=False, kernel_init=kernels, **self.types, name="project")(latents)
        x = x.reshape(latents.shape[0], *start, first)
        named["stage1"] = x = nn.relu(norm(name="norm")(x, not train))
        for i, width in enumerate(others, start=2):
            named[f"stage{i}"] = x = up(width, conv, norm, name=f"stage{i}")(x, train)
        last = _transposed(self, dtype=self.wide)(self.shape[2], **WINDOW, name="images")
        named["images"] = x = jnp.tanh(last(x.astype(self.wide)))
        return named if features else x


class Discriminator(Network):
    """A logit of each image, above 0 where it is taken for real: maps of half the side, then a dense layer."""

    widths: tuple[int, ...] = (128, 256, 512, 1024)
    """Channels of the maps, the largest map first."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, " batch"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stage1, stage2, ..., logits.

        Raises:
          ValueError: images of another rank, or sides that the halvings do not divide.
          TypeError: images that are no floating-point numbers.
        """
        check_images(images, "Discriminator")
        _smallest(images.shape[1:], len(self.widths))
        conv = self.conv_maker(kernel_init=kernels)
        norm, down = self.norm_maker(scale_init=scales), self.rematerialised(Down)
        named: dict[str, Array] = {}

        x = images.astype(self.dtype)
        for i, width in enumerate(self.widths, start=1):
            named[f"stage{i}"] = x = down(width, conv, norm if i > 1 else None, name=f"stage{i}")(x, train)
        x = x.reshape(x.shape[0], -1).astype(self.wide)
        head = nn.Dense(1, kernel_init=kernels, dtype=self.wide, param_dtype=self.param_dtype, name="head")
        named["logits"] = x = head(x)[:, 0]
        return named if features else x


class DCGAN(Network):
    """A generator and a discriminator of the same widths; parameters `generator` and `discriminator`."""

    shape: tuple[int, int, int] = (64, 64, 3)
    """Of an image."""
    widths: tuple[int, ...] = (1024, 512, 256, 128)
    """Channels of the generator's maps, the smallest map first; the discriminator's are the same backwards."""

    def setup(self) -> None:
        """Makes both networks, which compute as the whole does."""
        shared = {name: getattr(self, name) for name in ("remat", "dtype", "param_dtype", "axis_name")}
        self.generator = Generator(self.shape, self.widths, **shared)
        self.discriminator = Discriminator(self.widths[::-1], **shared)

    def __call__(
        self,
        latents: Float[Array, "batch latent"],
        images: Float[Array, "batch height width channels"],
        train: bool = False,
        features: bool = False,
    ) -> Judged | Mapping[str, Float[Array, "batch ..."]]:
        """What is made of the latents, and the logits of the images and of what was made.

        With `features` those of both networks, of the discriminator of the images that were made.

        Raises:
          ValueError, TypeError: see the two networks; or images of another shape than those that are made.
        """
        self._check(images)
        if features:
            made = self.generator(latents, train, features=True)
            told = self.discriminator(made["images"], train, features=True)
            parts = (("generator", made), ("discriminator", told))
            return {f"{name}/{stage}": value for name, part in parts for stage, value in part.items()}
        real, made = self.discriminator(images, train), self.generator(latents, train)
        return Judged(made, real, self.discriminator(made, train))

    def generate(
        self, latents: Float[Array, "batch latent"], train: bool = False
    ) -> Float[Array, "batch height width channels"]:
        """The generator alone."""
        return self.generator(latents, train)

    def discriminate(
        self, images: Float[Array, "batch height width channels"], train: bool = False
    ) -> Float[Array, " batch"]:
        """The discriminator alone.

        Raises:
          ValueError: images of another shape than those that are made.
        """
        self._check(images)
        return self.discriminator(images, train)

    def _check(self, images: Array) -> None:
        check_images(images, "DCGAN")
        if images.shape[1:] != tuple(self.shape):
            raise ValueError(f"DCGAN expected images of {_times(self.shape)}, got {_times(images.shape[1:])}")


def discriminator_loss(
    real: Float[Array, "*batch"], fake: Float[Array, "*other"]
) -> tuple[Float[Array, "*batch"], Float[Array, "*other"]]:
    """The losses of the discriminator: cross entropy of "real" for real images, of "made" for those that were made.

    The sum of their means is minus the value of the game, equation 1 of Goodfellow et al., 2014: log 4 where both are
    told apart by chance.

    Args:
      real: logits of real images.
      fake: logits of those that were made.

    >>> [round(float(jnp.exp(loss)), 4) for loss in discriminator_loss(jnp.zeros(()), jnp.zeros(()))]
    [2.0, 2.0]
    """
    return jax.nn.softplus(-real), jax.nn.softplus(fake)


def minimax_loss(fake: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The generator's loss of equation 1: log(1 - D). Where the discriminator is sure, its gradient vanishes.

    >>> round(float(jax.grad(minimax_loss)(-10.0)), 5)
    -5e-05
    """
    return -jax.nn.softplus(fake)


def non_saturating_loss(fake: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The generator's loss of section 3 of the paper: -log D. It has the same fixed point, and large gradients first.

    >>> round(float(jax.grad(non_saturating_loss)(-10.0)), 5)
    -0.99995
    """
    return jax.nn.softplus(-fake)


def _transposed(of: Network, **options: object) -> ModuleMaker:
    """Makes transposed convolutions."""

    def make(features: int, **more: object) -> nn.Module:
        return ConvTranspose(features, **{"kernel_init": kernels, **of.types, **options, **more})

    return make


def _check_latents(latents: Array) -> None:
    if latents.ndim != 2:
        raise ValueError(f"Generator expected latents (batch, latent), got shape {latents.shape}")
    if not jnp.issubdtype(latents.dtype, jnp.floating):
        raise TypeError(f"Generator expected floating-point latents, got {latents.dtype}")


def _smallest(shape: tuple[int, ...], halvings: int) -> tuple[int, int]:
    """Height and width of an image after so many halvings."""
    step = 2**halvings
    if halvings < 1 or shape[0] % step or shape[1] % step:
        raise ValueError(
            f"expected at least one width, and sides that are multiples of {step} for {halvings} of them, "
            f"got images of {_times(shape)}"
        )
    return shape[0] // step, shape[1] // step


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
