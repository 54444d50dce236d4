"""SegNet: VGG-16's convolutions down, and the same once more up, with maxima put back where pooling found them.

Badrinarayanan, Kendall and Cipolla, 2017, SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation, section 3. Lecture rows L61, L65.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.vgg import DEPTHS, VGGStage
from zoo.nn import kaiming_fan_out
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network
from zoo.nn.unpool import max_pool_with_indices, max_unpool


class SegNet(Network):
    """An encoder with VGG's stages, under the names that they have there, and a decoder that mirrors them.

    A pooling of an odd size has one place more, as Caffe's, so that every size of an image will do.
    """

    num_classes: int = 11
    """Outputs for each pixel; 0 gives the features before the last layer instead of logits."""
    depth: int = 16
    """Of the VGG: a key of `zoo.convnets.vgg.DEPTHS`."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of the five stages."""
    batch_norm: bool = True
    """Whether a normalisation stands between each convolution, which keeps its bias, and its ReLU."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch height width classes"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits of each pixel, float32; with `features` all named features: stage1-5, up5-1, pre_logits and logits.

        Raises:
          ValueError: a depth or a number of widths that is not VGG's, or images of the wrong rank.
        """
        if self.depth not in DEPTHS or len(self.widths) != len(DEPTHS[self.depth]):
            raise ValueError(
                f"SegNet expected a depth of {', '.join(map(str, DEPTHS))} and five widths, "
                f"got depth {self.depth} and widths {self.widths}"
            )
        check_images(images, "SegNet")
        check_classes(self.num_classes)
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        norm = self.norm_maker() if self.batch_norm else None
        down, up = self.rematerialised(VGGStage), self.rematerialised(UpStage)
        counts = DEPTHS[self.depth]

        x, named, pooled = images, {}, []
        for i, (count, width) in enumerate(zip(counts, self.widths, strict=True), start=1):
            named[f"stage{i}"] = x = down(count, width, conv, norm, name=f"stage{i}")(x, train)
            odd = [(0, size % 2) for size in x.shape[1:3]]
            size, (x, indices) = x.shape[1:3], max_pool_with_indices(x, 2, padding=odd)
            pooled.append((indices, size, odd))
        for i in range(len(counts), 0, -1):
            indices, size, odd = pooled[i - 1]
            x = max_unpool(x, indices, size, 2, padding=odd)
            width, last = self.widths[i - 1], self.widths[max(i - 2, 0)]
            # The head is the last convolution of the first stage.
            widths = (width,) * (counts[i - 1] - 1) + ((last,) if i > 1 else ())
            named[f"up{i}"] = x = up(widths, conv, norm, name=f"up{i}")(x, train)
        # The last layer is cheap, and wants more digits than bfloat16 has.
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            head = self.conv_maker(kernel_init=kaiming_fan_out, dtype=self.wide)
            named["logits"] = x = head(self.num_classes, (3, 3), padding=1, name="head")(x)
        return named if features else x


class UpStage(nn.Module):
    """3x3 convolutions of these widths, each followed by ReLU. Submodules `conv1`, ..., and `norm1`, ... if `norm`."""

    widths: tuple[int, ...]
    conv: ModuleMaker
    norm: ModuleMaker | None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h w d"]:
        for i, width in enumerate(self.widths, start=1):
            x = self.conv(width, (3, 3), padding=1, name=f"conv{i}")(x)
            x = x if self.norm is None else self.norm(name=f"norm{i}")(x, not train)
            x = nn.relu(x)
        return x
