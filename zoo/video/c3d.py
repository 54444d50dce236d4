"""C3D: eight convolutions of 3x3x3 and two dense layers.

Tran et al., 2015, Learning Spatiotemporal Features with 3D Convolutional Networks, Figure 3. Lecture row L51.
"""

import functools
from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.torch_layers import ceil_max_pool, flatten_channels_first
from zoo.nn import kaiming_fan_out
from zoo.nn.checks import CLIP_AXES, check_classes, check_images
from zoo.nn.dense import Dense
from zoo.nn.network import ModuleMaker, Network

DEPTHS = (1, 1, 2, 2, 2)
"""Convolutions of each stage."""


class C3D(Network):
    """Five stages of convolutions, each with a pooling behind, and three dense layers.

    The first pooling is of height and width alone, so that time lasts; a last window may hang over the border, as in
    Caffe. The dense layers are for clips of one size, in the paper 16 x 112 x 112.
    """

    num_classes: int = 101
    """Outputs; 0 gives the features before the last layer instead of logits."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of the five stages."""
    hidden: int = 4096
    """Features of the two dense layers before the last."""
    dropout: float = 0.5
    """The share of the hidden features that is dropped in training; needs the random stream "dropout"."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch time height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stage1-5, before their pooling, pre_logits and logits.

        Raises:
          ValueError: clips of the wrong rank, or of another size than the parameters are for; a number of widths that
            is not five.
        """
        check_images(clips, "C3D", 1, CLIP_AXES, "clips")
        check_classes(self.num_classes)
        if len(self.widths) != len(DEPTHS):
            raise ValueError(f"C3D expected five widths, got {self.widths}")
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        dense = functools.partial(Dense, param_dtype=self.param_dtype, kernel_init=nn.initializers.normal(0.01))
        stage = self.rematerialised(C3DStage, static_argnums=())

        x, named = clips, {}
        for i, (count, width) in enumerate(zip(DEPTHS, self.widths, strict=True), start=1):
            named[f"stage{i}"] = x = stage(count, width, conv, name=f"stage{i}")(x)
            x = ceil_max_pool(x, (1 if i == 1 else 2, 2, 2), (1 if i == 1 else 2, 2, 2))
        self._check_places(x)
        x = flatten_channels_first(x)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = drop(nn.relu(dense(self.hidden, dtype=self.dtype, name="dense1")(x)))
        x = nn.relu(dense(self.hidden, dtype=self.dtype, name="dense2")(x))
        # The last layer is cheap, and wants more digits than bfloat16 has.
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            named["logits"] = x = dense(self.num_classes, dtype=self.wide, name="head")(drop(x))
        return named if features else x

    def _check_places(self, x: Float[Array, "b t h w c"]) -> None:
        """Says in words what the first dense layer would say in numbers."""
        if not self.has_variable("params", "dense1"):
            return
        known = nn.unbox(self.get_variable("params", "dense1"))["kernel"].shape[0] // x.shape[-1]
        if x.shape[1] * x.shape[2] * x.shape[3] != known:
            sizes = " x ".join(map(str, x.shape[1:4]))
            raise ValueError(
                f"C3D has parameters for {known} places behind the last pooling, got {sizes}: give clips of the size "
                "that they are for"
            )


class C3DStage(nn.Module):
    """Convolutions of 3x3x3 of one width, each followed by ReLU. Submodules `conv1`, ..."""

    count: int
    width: int
    conv: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w width"]:
        for i in range(1, self.count + 1):
            x = nn.relu(self.conv(self.width, (3, 3, 3), padding=1, name=f"conv{i}")(x))
        return x
