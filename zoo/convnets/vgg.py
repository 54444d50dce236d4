"""VGG: five stages of 3x3 convolutions, with or without batch normalisation, and three dense layers.

Simonyan and Zisserman, 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition, Table 1;
initialised as in torchvision/models/vgg.py. Lecture rows L37, L48.
"""

import functools
from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.torch_layers import adaptive_avg_pool, flatten_channels_first
from zoo.nn import global_avg_pool, kaiming_fan_out, max_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network

DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions in each stage, by the number of weighted layers: the paper's columns A, B, D and E."""

SMALLEST_IMAGE = 32
"""Pixels a side that the five poolings leave one of."""


class VGG(Network):
    """Stages of convolutions, each followed by pooling over 2x2; the mean over 7x7 cells; three dense layers."""

    num_classes: int = 1000
    """Outputs; 0 gives the features before the last layer instead of logits."""
    depth: int = 16
    """A key of `DEPTHS`."""
    batch_norm: bool = False
    """Whether a normalisation stands between each convolution, which keeps its bias, and its ReLU."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of the five stages."""
    hidden: int = 4096
    """Features of the two dense layers before the last."""
    maps_only: bool = False
    """Whether nothing follows the last stage: a backbone, for detection."""
    dropout: float = 0.5
    """The share of the hidden features that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stage1-5, before their pooling, pre_logits and logits.

        Raises:
          ValueError: a depth or a number of widths that is not VGG's, or images of the wrong rank or too small.
        """
        if self.depth not in DEPTHS or len(self.widths) != len(DEPTHS[self.depth]):
            raise ValueError(
                f"VGG expected a depth of {', '.join(map(str, DEPTHS))} and five widths, "
                f"got depth {self.depth} and widths {self.widths}"
            )
        check_images(images, "VGG", SMALLEST_IMAGE)
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        norm = self.norm_maker() if self.batch_norm else None
        dense = functools.partial(nn.Dense, param_dtype=self.param_dtype, kernel_init=nn.initializers.normal(0.01))
        stage = self.rematerialised(VGGStage)

        x, named = images, {}
        for i, (count, width) in enumerate(zip(DEPTHS[self.depth], self.widths, strict=True), start=1):
            x = max_pool(x, 2) if i > 1 else x
            named[f"stage{i}"] = x = stage(count, width, conv, norm, name=f"stage{i}")(x, train)
        if self.maps_only:
            return named if features else global_avg_pool(x.astype(self.wide))
        x = flatten_channels_first(adaptive_avg_pool(max_pool(x, 2), 7))
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = drop(nn.relu(dense(self.hidden, dtype=self.dtype, name="dense1")(x)))
        x = nn.relu(dense(self.hidden, dtype=self.dtype, name="dense2")(x))
        # The last layer is cheap, and wants more digits than bfloat16 has.
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            named["logits"] = x = dense(self.num_classes, dtype=self.wide, name="head")(drop(x))
        return named if features else x


class VGGStage(nn.Module):
    """3x3 convolutions of one width, each followed by ReLU. Submodules `conv1`, ..., and `norm1`, ... if `norm`."""

    count: int
    width: int
    conv: ModuleMaker
    norm: ModuleMaker | None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h w width"]:
        for i in range(1, self.count + 1):
            x = self.conv(self.width, (3, 3), padding=1, name=f"conv{i}")(x)
            x = x if self.norm is None else self.norm(name=f"norm{i}")(x, not train)
            x = nn.relu(x)
        return x
