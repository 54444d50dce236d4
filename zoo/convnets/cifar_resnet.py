"""Residual networks for 32 x 32 images, their plain twins, and the five kinds of residual unit.

He, Zhang, Ren and Sun, 2016, Deep Residual Learning for Image Recognition, section 4.2; and Identity Mappings
in Deep Residual Networks. Lecture rows L39-L41, L43.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.residual_units import (
    ConvNorm,
    ConvSpec,
    Stage,
    activate,
    basic_branch,
    bottleneck_branch,
    check_unit,
    final_order,
    stem_order,
)
from zoo.nn import BatchNorm, Conv, global_avg_pool, kaiming_fan_out, linear_uniform
from zoo.nn.checks import check_images

WIDTHS = (16, 32, 64)
"""Channels of the three stages; a bottleneck's output has four times as many."""

SMALLEST_IMAGE = 4
"""Pixels a side that leave the third stage one."""


class CifarResNet(nn.Module):
    """A stem convolution, three stages of n units each at full, half and quarter resolution, and a classifier.

    Depth 6n + 2 with basic units, 9n + 2 with bottlenecks: the weighted layers, projections not counted.
    """

    num_classes: int = 10
    """Outputs; 0 gives the pooled features instead of logits."""
    depth: int = 20
    unit: str = "original"
    """Where normalisation and ReLU stand: a name of `zoo.convnets.residual_units.UNITS`."""
    shortcut: str = "A"
    """Where the shape changes: "A" zero padding, "B" 1x1 convolution, "conv3x3"; "none" is the plain twin."""
    bottleneck: bool = False
    """Units of three convolutions (1x1, 3x3, 1x1) instead of two 3x3."""
    remat: bool = False
    """Compute each unit's activations again in the backward pass: less memory, more time."""
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    axis_name: str | None = None
    """The `pmap` or `shard_map` axis over which batch statistics are averaged."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Array]:
        """Logits, float32; with `features` all named features: stem, stage1-3, pre_logits and logits.

        Raises:
          ValueError: a depth that is no 6n + 2 (9n + 2), or images of the wrong rank or too small.
          UnknownNameError: there is no such unit or shortcut.
        """
        check_unit(self.unit, self.shortcut)
        blocks = self._blocks()
        check_images(images, "CifarResNet", SMALLEST_IMAGE)
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv = functools.partial(Conv, use_bias=False, kernel_init=kaiming_fan_out, **types)
        norm = functools.partial(BatchNorm, axis_name=self.axis_name, **types)
        branch = bottleneck_branch if self.bottleneck else basic_branch

        stem = ConvNorm(ConvSpec(WIDTHS[0], 3), stem_order(self.unit), conv, norm, name="stem")
        named = {"stem": (x := stem(images, train))}
        for i, width in enumerate(WIDTHS, start=1):
            out = 4 * width if self.bottleneck else width
            strides = 1 if i == 1 else 2
            stage = Stage(
                (branch(out, strides), *(blocks - 1) * (branch(out),)),
                conv,
                norm,
                self.unit,
                self.shortcut,
                opens_network=i == 1,
                remat=self.remat,
                name=f"stage{i}",
            )
            named[f"stage{i}"] = x = stage(x, train)
        x = activate(final_order(self.unit), x, lambda x: norm(name="final_norm")(x, not train))
        # The mean and the classifier are cheap, and want more digits than bfloat16 has.
        wide = jnp.promote_types(self.dtype, jnp.float32)
        named["pre_logits"] = x = global_avg_pool(x.astype(wide))
        if self.num_classes:
            head = nn.Dense(
                self.num_classes, dtype=wide, param_dtype=self.param_dtype, kernel_init=linear_uniform, name="head"
            )
            named["logits"] = x = head(x)
        return named if features else x

    def _blocks(self) -> int:
        layers = 9 if self.bottleneck else 6
        blocks, rest = divmod(self.depth - 2, layers)
        if rest or blocks < 1:
            kind = "bottleneck units" if self.bottleneck else "basic units (bottleneck=False)"
            near = max(1, round((self.depth - 2) / layers))
            raise ValueError(
                f"CifarResNet with {kind} expected a depth of {layers}n + 2, got {self.depth}; "
                f"nearest: {layers * near + 2}"
            )
        return blocks
