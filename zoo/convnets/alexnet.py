"""AlexNet: five convolutions and three dense layers, in the form with one column.

Krizhevsky, 2014, One Weird Trick for Parallelizing Convolutional Neural Networks, the model that torchvision
and most published weights have; after Krizhevsky, Sutskever and Hinton, 2012, ImageNet Classification with Deep
Convolutional Neural Networks, whose two columns and response normalisation it drops. Lecture rows L37, L48.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.residual_units import ConvSpec
from zoo.convnets.torch_layers import adaptive_avg_pool, bias_uniform, flatten_channels_first
from zoo.nn import Conv, linear_uniform, max_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import Network

SMALLEST_IMAGE = 63
"""Pixels a side that leave the last pooling one window."""


class AlexNet(Network):
    """An 11x11 convolution with stride 4, a 5x5, three 3x3; pooling after the first two and the last; dense layers.

    Every layer begins as in torch: kernel and bias uniform in ±1/sqrt(inputs).
    """

    num_classes: int = 1000
    """Outputs; 0 gives the features before the last layer instead of logits."""
    widths: tuple[int, int, int, int, int] = (64, 192, 384, 256, 256)
    """Channels of the five convolutions."""
    hidden: int = 4096
    """Features of the two dense layers before the last."""
    dropout: float = 0.5
    """The share of their inputs that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stage1-3, before their pooling, pre_logits and logits.

        Raises:
          ValueError: images of the wrong rank or too small.
        """
        check_images(images, "AlexNet", SMALLEST_IMAGE)
        check_classes(self.num_classes)
        first, second, *rest = self.widths
        stages = (
            (ConvSpec(first, 11, strides=4),),
            (ConvSpec(second, 5),),
            tuple(ConvSpec(width, 3) for width in rest),
        )
        stage = self.rematerialised(AlexNetStage, ())
        x, named = images, {}
        for i, convs in enumerate(stages, start=1):
            x = max_pool(x, 3, 2) if i > 1 else x
            named[f"stage{i}"] = x = stage(convs, **self.types, name=f"stage{i}")(x)
        x = flatten_channels_first(adaptive_avg_pool(max_pool(x, 3, 2), 6))
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = nn.relu(self._dense(self.hidden, x.shape[-1], self.dtype, "dense1")(drop(x)))
        x = nn.relu(self._dense(self.hidden, self.hidden, self.dtype, "dense2")(drop(x)))
        # The last layer is cheap, and wants more digits than bfloat16 has.
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            named["logits"] = x = self._dense(self.num_classes, self.hidden, self.wide, "head")(x)
        return named if features else x

    def _dense(self, outputs: int, inputs: int, dtype: Any, name: str) -> nn.Dense:
        start = {"kernel_init": linear_uniform, "bias_init": bias_uniform(inputs)}
        return nn.Dense(outputs, dtype=dtype, param_dtype=self.param_dtype, **start, name=name)


class AlexNetStage(nn.Module):
    """Convolutions, each followed by ReLU. Submodules `conv1`, `conv2`, ..."""

    convs: Sequence[ConvSpec]
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
        for i, (width, size, strides, *_) in enumerate(self.convs, start=1):
            x = Conv(
                width,
                (size, size),
                strides=strides,
                padding=2 if size == 11 else size // 2,  # the first makes 55 x 55 places of 224 x 224 pixels
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                kernel_init=linear_uniform,
                bias_init=bias_uniform(size * size * x.shape[-1]),
                name=f"conv{i}",
            )(x)
            x = nn.relu(x)
        return x
