"""LeNet-5: convolution, pooling, convolution, pooling, three dense layers.

LeCun, Bottou, Bengio and Haffner, 1998, Gradient-Based Learning Applied to Document Recognition, section II.B.
Lecture row L37.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.nn import Conv, max_pool
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import Network


class LeNet5(Network):
    """The common variant of LeNet-5, 61,706 parameters for grey images and ten classes.

    It differs from the paper as most implementations do: pooling has no weights, the second convolution sees
    all six maps, and the output is a dense layer. For the paper's tanh and mean pooling set
    `activation=nn.tanh, pool=zoo.nn.avg_pool`. Images are 32 x 32, or 28 x 28, which are padded to that.
    """

    num_classes: int = 10
    """Outputs; 0 gives the 84 features before the last layer instead of logits."""
    activation: Callable[[Array], Array] = nn.relu
    pool: Callable[[Array, int], Array] = max_pool
    """Called with (maps, 2): halves the resolution."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stage1, stage2, pre_logits and logits.

        Raises:
          ValueError: the images are not 28 x 28 or 32 x 32.
        """
        del train  # nothing in LeNet behaves otherwise while it trains
        check_images(images, "LeNet5")
        check_classes(self.num_classes)
        if images.shape[1:3] not in ((28, 28), (32, 32)):
            raise ValueError(f"LeNet5 expected images of 28 x 28 or 32 x 32 pixels, got shape {images.shape}")
        padding = (32 - images.shape[1]) // 2
        stage = self.rematerialised(LeNetStage, ())
        shared = {"activation": self.activation, "pool": self.pool, **self.types}
        named = {}
        named["stage1"] = x = stage(6, padding, **shared, name="stage1")(images)
        named["stage2"] = x = stage(16, 0, **shared, name="stage2")(x)
        x = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        x = self.activation(nn.Dense(120, **self.types, name="dense1")(x))
        x = self.activation(nn.Dense(84, **self.types, name="dense2")(x))
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            head = nn.Dense(self.num_classes, dtype=self.wide, param_dtype=self.param_dtype, name="head")
            named["logits"] = x = head(x)
        return named if features else x


class LeNetStage(nn.Module):
    """A 5x5 convolution, the activation, and pooling over 2x2. Submodule `conv`."""

    features: int
    padding: int
    activation: Callable[[Array], Array]
    pool: Callable[[Array, int], Array]
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 features"]:
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = Conv(self.features, (5, 5), padding=self.padding, **types, name="conv")(x)
        return self.pool(self.activation(x), 2)
