"""U-Net: a path that contracts, one that expands again, and at each size the maps of the first beside the second.

Ronneberger, Fischer and Brox, 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation, Figure 1 and
section 2; initialised as in section 3. Lecture rows L65, L66.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn import max_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network
from zoo.nn.resize import resize
from zoo.nn.transposed import ConvTranspose

PADDINGS = ("valid", "same")
UPS = ("transposed", "bilinear")

he_normal = nn.initializers.he_normal()
"""Normal of deviation sqrt(2 / N) with N inputs of a neuron: section 3."""


class UNet(Network):
    """Two 3x3 convolutions at each size; 2x2 poolings between them on the way down, up-convolutions on the way up.

    With `padding="valid"`, as in the paper, convolutions see no place outside the image: 572 x 572 pixels give the
    logits of the 388 x 388 in the middle, and not every size will do (`valid_size`). With "same" every convolution is
    padded by zeros, the image is filled up by zeros to a multiple of the smallest map's stride, and each of its pixels
    has logits, whatever the size.
    """

    num_classes: int = 2
    """Outputs for each pixel; 0 gives the features before the last layer instead of logits."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Channels at each size."""
    padding: str = "valid"
    """One of `PADDINGS`."""
    up: str = "transposed"
    """How maps get larger: "transposed", a 2x2 up-convolution, or "bilinear", interpolation and a 1x1 convolution."""
    batch_norm: bool = False
    """Whether a normalisation stands between each 3x3 convolution, which then has no bias, and its ReLU."""
    dropout: float = 0.5
    """The share that is dropped at the end of the contracting path in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch _ _ classes"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits of each pixel, float32; with `features` all named features: stage1, ..., up1, ..., and logits.

        Raises:
          ValueError: an option that is none, or images of the wrong rank or of a size that valid convolutions do not
            fit.
        """
        check_images(images, "UNet")
        check_classes(self.num_classes)
        for option, value, known in (("padding", self.padding, PADDINGS), ("up", self.up, UPS)):
            if value not in known:
                raise ValueError(f"UNet expected {option} to be one of {', '.join(known)}, got {value!r}")
        height, width = images.shape[1:3]
        levels = len(self.widths) - 1
        x = images
        if self.padding == "valid":
            for size in (height, width):
                valid_size(size, levels)
        else:
            x = filled_up(x, 2**levels)
        conv = self.conv_maker(kernel_init=he_normal, padding=0 if self.padding == "valid" else 1)
        norm = self.norm_maker() if self.batch_norm else None
        block = self.rematerialised(TwoConvolutions)
        named: dict[str, Array] = {}

        for i, channels in enumerate(self.widths, start=1):
            x = max_pool(x, 2) if i > 1 else x
            named[f"stage{i}"] = x = block(channels, conv, norm, name=f"stage{i}")(x, train)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for i, channels in reversed(list(enumerate(self.widths[:-1], start=1))):
            x = self._larger(x, channels, f"enlarge{i}")
            x = jnp.concatenate([middle(named[f"stage{i}"], x.shape[1:3]), x], axis=-1)
            named[f"up{i}"] = x = block(channels, conv, norm, name=f"up{i}")(x, train)
        if self.padding == "same":
            x = x[:, :height, :width]
        # The last layer is cheap, and wants more digits than bfloat16 has.
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            head = self.conv_maker(kernel_init=he_normal, dtype=self.wide)
            named["logits"] = x = head(self.num_classes, (1, 1), name="head")(x)
        return named if features else x

    def _larger(self, x: Array, channels: int, name: str) -> Array:
        """Maps of twice the size."""
        if self.up == "transposed":
            return ConvTranspose(channels, 2, 2, kernel_init=he_normal, **self.types, name=name)(x)
        x = resize(x, (2 * x.shape[1], 2 * x.shape[2]))
        return self.conv_maker(kernel_init=he_normal)(channels, (1, 1), name=name)(x)


class TwoConvolutions(nn.Module):
    """3x3 convolutions of one width, each followed by ReLU. Submodules `conv1`, `conv2`, and `norm1`, `norm2`."""

    width: int
    conv: ModuleMaker
    norm: ModuleMaker | None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 width"]:
        for i in (1, 2):
            x = self.conv(self.width, (3, 3), use_bias=self.norm is None, name=f"conv{i}")(x)
            x = x if self.norm is None else self.norm(name=f"norm{i}")(x, not train)
            x = nn.relu(x)
        return x


def valid_size(size: int, levels: int = 4) -> int:
    """Pixels a side of the logits that a U-Net of valid convolutions gives for so many pixels a side.

    Args:
      size: pixels a side of the image.
      levels: how many poolings the network has.

    Raises:
      ValueError: some pooling would see an odd size, or nothing is left; the message names the nearest sizes.

    >>> valid_size(572)
    388
    """
    step, rim = 2**levels, 4 * (2**levels - 1)
    smallest = step * (rim // step + 1 + 4) + rim  # of which a place is left
    if size < smallest or (size - smallest) % step:
        below = max(smallest, size - (size - smallest) % step)
        raise ValueError(
            f"expected a size of {smallest} pixels or a multiple of {step} more, such as {below} or {below + step}, "
            f"got {size}: valid convolutions fit no other between {levels} poolings"
        )
    return size - 4 * step - 2 * rim


def filled_up(images: Float[Array, "batch height width channels"], multiple: int) -> Float[Array, "batch _ _ channels"]:
    """Images (batch, height, width, channels) with zeros below and to the right, up to a multiple of so many pixels."""
    missing = [(0, -size % multiple) for size in images.shape[1:3]]
    return jnp.pad(images, ((0, 0), *missing, (0, 0))) if any(map(any, missing)) else images


def middle(
    maps: Float[Array, "batch height width channels"], size: tuple[int, int]
) -> Float[Array, "batch rows columns channels"]:
    """The middle of maps (batch, height, width, channels), of this size."""
    top, left = ((have - want) // 2 for have, want in zip(maps.shape[1:3], size, strict=True))
    return maps[:, top : top + size[0], left : left + size[1]]
