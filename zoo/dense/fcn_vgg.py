"""FCN-32s, FCN-16s and FCN-8s: VGG-16 with its dense layers as convolutions, and scores enlarged step by step.

Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation, section 4; numbers as in the
authors' networks for Caffe (shelhamer/fcn.berkeleyvision.org, voc-fcn32s to voc-fcn8s-atonce). Lecture rows
L61, L65, L66.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.torch_layers import ceil_max_pool
from zoo.convnets.vgg import DEPTHS, VGGStage
from zoo.nn import kaiming_fan_out
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import Network
from zoo.nn.resize import enlarged_bilinearly
from zoo.nn.transposed import ConvTranspose, bilinear

STRIDES = (32, 16, 8)
"""Pixels between the places whose scores are enlarged to the image at once."""

AT_ONCE = {4: 1e-2, 3: 1e-4}
"""By what the maps of pool4 and pool3 are multiplied where all scores learn at once."""


LEARNED = {4: "upscore2", 3: "upscore_pool4"}
"""What the enlargements are called that may be learned: to the places of pool4, and to those of pool3."""


class FCNVGG(Network):
    """Five stages with poolings, `fc6` and `fc7`, and a score of each class from these and of earlier poolings.

    The first convolution is padded by 100 zeros, so that `fc6`, which is not padded, has a place for every image; what
    that moves is cut off again where scores meet and at the end. Where `fc6` is padded by half its window nothing is
    moved, and `pad=1` will do: so are the small variants.

    Scores begin at zero. A finer network goes on from a coarser one's weights: its other layer of scores begins at zero
    too, and so it says at first what the coarser said.
    """

    num_classes: int = 21
    """Outputs for each pixel; 0 gives the map of `fc7` instead of logits, whatever the padding."""
    stride: int = 32
    """One of `STRIDES`: the scores of pool4 join at 16, those of pool3 too at 8."""
    depth: int = 16
    """Of the VGG: a key of `zoo.convnets.vgg.DEPTHS`."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of the five stages."""
    hidden: int = 4096
    """Channels of `fc6` and `fc7`."""
    window: int = 7
    """Rows and columns of the window of `fc6`; odd."""
    pad: int = 100
    """Zeros around the image, for the first convolution."""
    fc6_pad: int = 0
    """Zeros around the map that `fc6` sees."""
    at_once: bool = False
    """Whether the maps of pool4 and pool3 are made smaller, so that all scores learn at once: see `AT_ONCE`."""
    learned: bool = False
    """Whether the enlargements between scores are learned, from bilinear ones on; the last never is."""
    dropout: float = 0.5
    """The share of what `fc6` and `fc7` give that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch height width classes"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits of each pixel, float32; with `features` all named features: stage1-5, fc6, pre_logits and logits.

        Raises:
          ValueError: an option that is none, images of the wrong rank or so small that `fc6` has no place, or so little
            padding that pixels at the border would have no scores.
        """
        self._check()
        # So large that fc6 has a place; with the paper's padding one pixel will do.
        check_images(images, "FCNVGG", max(1, 32 * (self.window - 2 * self.fc6_pad - 1) + 3 - 2 * self.pad))
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        stage = self.rematerialised(VGGStage)
        drop = nn.Dropout(self.dropout, deterministic=not train)

        rim = self.pad - 1  # the convolution itself is padded by one
        x, named, pooled = jnp.pad(images, ((0, 0), (rim, rim), (rim, rim), (0, 0))), {}, {}
        for i, (count, width) in enumerate(zip(DEPTHS[self.depth], self.widths, strict=True), start=1):
            named[f"stage{i}"] = x = stage(count, width, conv, None, name=f"stage{i}")(x, train)
            pooled[i] = x = ceil_max_pool(x, 2, 2)
        x = drop(nn.relu(conv(self.hidden, (self.window,) * 2, padding=self.fc6_pad, name="fc6")(x)))
        named["fc6"] = x
        x = drop(nn.relu(conv(self.hidden, (1, 1), name="fc7")(x)))
        # The last layers are cheap, and want more digits than bfloat16 has.
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            named["logits"] = x = self._scored(x, pooled, images.shape[1:3])
        return named if features else x

    def _check(self) -> None:
        """Refuses options that are none.

        Raises:
          ValueError: the message says what was expected.
        """
        check_classes(self.num_classes)
        if self.depth not in DEPTHS or len(self.widths) != len(DEPTHS[self.depth]) or self.stride not in STRIDES:
            raise ValueError(
                f"FCNVGG expected a depth of {', '.join(map(str, DEPTHS))}, five widths, and a stride of 32, 16 or 8, "
                f"got depth {self.depth}, widths {self.widths} and stride {self.stride}"
            )
        half = self.window // 2
        least = 32 * (half - self.fc6_pad) - 15  # 81 of the paper's
        least = max(1, least) if self.num_classes else 1
        if self.window % 2 == 0 or not 0 <= self.fc6_pad <= half or self.pad < least:
            raise ValueError(
                f"FCNVGG expected an odd window of fc6, padded by at most half of it, and so a pad of at least "
                f"{least}, got window {self.window}, fc6_pad {self.fc6_pad} and pad {self.pad}"
            )

    def _scored(self, x: Array, pooled: Mapping[int, Array], size: tuple[int, int]) -> Array:
        """Scores of all pixels, from the map of `fc7` and those of earlier poolings."""
        wide = {"dtype": self.wide, "param_dtype": self.param_dtype}
        zeros = self.conv_maker(kernel_init=nn.initializers.zeros, dtype=self.wide)
        total = zeros(self.num_classes, (1, 1), name="score_fr")(x)
        # Place 0 of the scores lies on this place of pool5; of earlier poolings on that of a map twice as large, less
        # the place by which the window of the enlargement, which is twice the stride, reaches out.
        begin = self.window // 2 - self.fc6_pad
        level = 5
        while 2**level > self.stride:
            level -= 1
            fine = pooled[level].astype(self.wide) * (AT_ONCE[level] if self.at_once else 1)
            fine = zeros(self.num_classes, (1, 1), name=f"score_pool{level}")(fine)
            if self.learned:
                options = {"use_bias": False, "kernel_init": bilinear, **wide}
                coarse = ConvTranspose(self.num_classes, 4, 2, **options, name=LEARNED[level])(total)
            else:
                coarse = enlarged_bilinearly(total, 2)
            begin = 2 * begin - 1
            if begin < 0:  # nothing was moved: the reach alone is cut off
                coarse, begin = coarse[:, 1:, 1:], 0
            fine = fine[:, begin:, begin:]
            rows, columns = map(min, coarse.shape[1:3], fine.shape[1:3])  # with the paper's padding that of the coarse
            total = coarse[:, :rows, :columns] + fine[:, :rows, :columns]
        factor = 2**level
        offset = self.pad - 1 + factor // 2 - factor * begin  # 19, 27 and 31 of the paper's
        return enlarged_bilinearly(total, factor, (offset, offset), size)
