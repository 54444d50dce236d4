"""Swin transformer: attention within windows, which every second block shifts, at four resolutions.

Liu et al., 2021, Swin Transformer: Hierarchical Vision Transformer using Shifted Windows. Initialised as in
torchvision/models/swin_transformer.py. Lecture row L48.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int64

from zoo.convnets.classifier import classify
from zoo.convnets.patches import PatchEmbedding
from zoo.convnets.shifted_windows import from_windows, padded, seams, windows_of
from zoo.convnets.stochastic_depth import drop_path, linear_rates
from zoo.convnets.torch_layers import bias_uniform
from zoo.convnets.vision_transformer import MLP
from zoo.nn import linear_uniform
from zoo.nn.attention import SelfAttention
from zoo.nn.checks import check_images
from zoo.nn.dense import Dense
from zoo.nn.network import ModuleMaker, Network
from zoo.nn.window import per_axis

PATCH = 4
"""Pixels a side of a patch."""

EPSILON = 1e-5
"""Of all layer normalisations."""

normal = nn.initializers.normal(0.02)
"""Of the kernels of dense layers, and of positions: torch's truncated normal, whose bounds of ±2 cut off nothing."""


class SwinTransformer(Network):
    """Patches of 4x4, four stages of blocks each at half the resolution of the last, and a classifier.

    Swin-T as it stands; the fields make the others. Maps of any size: what fills no window or no pair of rows and
    columns is padded with zeros at the far side.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    depths: tuple[int, ...] = (2, 2, 6, 2)
    """Blocks of each stage; every second one shifts its windows by half their side."""
    heads: tuple[int, ...] = (3, 6, 12, 24)
    """Of the attention in each stage."""
    width: int = 96
    """Channels of the first stage; each next has twice as many."""
    window: int = 7
    """Patches a side of a window."""
    drop_path: float = 0.2
    """The share of images that skip the last block in training, evenly less for those before; stream "dropout"."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        The features of stem and stage1 are at a quarter of the resolution, the last stage's at 1/32.

        Raises:
          ValueError: images of the wrong rank or too small, depths and heads of different numbers of stages, or
            channels that cannot be cut in equal heads.
        """
        check_images(images, "SwinTransformer", PATCH)
        return self._classified(images, (PATCH, PATCH), train, features)

    def _classified(
        self, images: Float[Array, "batch *places channels"], patch: tuple[int, ...], train: bool, features: bool
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, or all named features, of images or clips in patches of this size; called in a compact method."""
        if len(self.depths) != len(self.heads):
            raise ValueError(f"expected a depth and heads a stage, got depths {self.depths}, heads {self.heads}")
        zeros = nn.initializers.zeros_init()
        window = per_axis(self.window, len(patch), "window")
        norm = functools.partial(nn.LayerNorm, epsilon=EPSILON, **self.types)
        dense = functools.partial(Dense, kernel_init=normal, **self.types)
        layers = Layers(
            norm,
            dense,
            functools.partial(SelfAttention, in_proj_init=normal, out_proj_init=normal, **self.types),
            functools.partial(RelativePositions, window, self.param_dtype),
            functools.partial(MLP, kernel_init=normal, bias_init=zeros, **self.types),
        )
        inits = {"kernel_init": linear_uniform, "bias_init": bias_uniform(math.prod(patch) * images.shape[-1])}
        conv = self.conv_maker(**inits)

        named = {"stem": (x := PatchEmbedding(self.width, patch, conv, norm, name="stem")(images))}
        rates = linear_rates(self.drop_path, self.depths)
        for i, (heads, drop_rates) in enumerate(zip(self.heads, rates, strict=True), start=1):
            stage = SwinStage(heads, window, drop_rates, layers, merge=i > 1, remat=self.remat, name=f"stage{i}")
            named[f"stage{i}"] = x = stage(x, train)
        x = norm(name="final_norm")(x)
        x = classify(named, x, self.num_classes, normal, **self.types)
        return named if features else x


class Layers(NamedTuple):
    """Makers of the layers that blocks consist of, types and initialisers set."""

    norm: ModuleMaker
    dense: ModuleMaker
    attention: ModuleMaker
    positions: ModuleMaker
    mlp: ModuleMaker


class SwinStage(nn.Module):
    """Blocks at one resolution, which the merging of patches may halve first. Submodules `merge`, `block1`, ..."""

    heads: int
    window: tuple[int, ...]
    drop_rates: tuple[float, ...]
    """One rate of stochastic depth a block."""
    layers: Layers
    merge: bool
    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b *places c"], train: bool) -> Float[Array, "b *fewer d"]:
        if self.merge:
            x = PatchMerging(self.layers.dense, self.layers.norm, name="merge")(x)
        block = nn.remat(SwinBlock, static_argnums=(2,)) if self.remat else SwinBlock
        for i, rate in enumerate(self.drop_rates, start=1):
            shift = tuple(0 if i % 2 else side // 2 for side in self.window)
            x = block(self.heads, self.window, shift, self.layers, rate, name=f"block{i}")(x, train)
        return x


class PatchMerging(nn.Module):
    """Four neighbouring patches become one of twice the channels: a norm, then a dense layer without bias.

    They are neighbours in height and width; time stays as it is.

    Submodules `norm` and `dense`.
    """

    dense: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b *time h w c"]) -> Float[Array, "b *time h2 w2 2*c"]:
        features = 2 * x.shape[-1]
        x = padded(x, (*(1,) * (x.ndim - 4), 2, 2))
        x = jnp.concatenate([x[..., row::2, column::2, :] for column in (0, 1) for row in (0, 1)], axis=-1)
        return self.dense(features, use_bias=False, name="dense")(self.norm(name="norm")(x))


class SwinBlock(nn.Module):
    """x + attention(norm(x)) within windows, then x + mlp(norm(x)).

    Submodules `norm1`, `attention`, `positions`, `norm2` and `mlp`.
    """

    heads: int
    window: tuple[int, ...]
    shift: tuple[int, ...]
    """By how many places the windows are shifted along each axis where there are several."""
    layers: Layers
    drop_path: float = 0.0
    """The share of images that skip each branch in training."""

    @nn.compact
    def __call__(self, x: Float[Array, "b *places c"], train: bool) -> Float[Array, "b *places c"]:
        layers, size = self.layers, x.shape[1:-1]
        window = self.window if len(size) == 2 else tuple(map(min, self.window, size))  # as those of clips do
        branch = padded(layers.norm(name="norm1")(x), window)
        rolled, axes = branch.shape[1:-1], range(1, 1 + len(size))
        shifts = tuple(
            shift if extent > side else 0 for shift, extent, side in zip(self.shift, rolled, window, strict=True)
        )
        bias = layers.positions(self.heads, name="positions")(math.prod(window))
        if any(shifts):
            branch = jnp.roll(branch, [-shift for shift in shifts], axes)
            bias = bias + seams(rolled, window, shifts)
        branch = layers.attention(self.heads, name="attention")(windows_of(branch, window), bias)
        branch = jnp.roll(from_windows(branch, rolled, window), shifts, axes)
        x = x + drop_path(branch[:, *map(slice, size)], self.drop_path, train)
        branch = layers.mlp(4 * x.shape[-1], name="mlp")(layers.norm(name="norm2")(x), train)
        return x + drop_path(branch, self.drop_path, train)


class RelativePositions(nn.Module):
    """What is added to the product of a query and a key, by how many places lie between them along each axis.

    Parameter `table`, (the product of 2 side - 1 over the window's sides, heads): from the key at the far end of all
    axes, as seen by the query at the near one, to the opposite.
    """

    window: tuple[int, ...]
    param_dtype: Any
    heads: int

    @nn.compact
    def __call__(self, count: int | None = None) -> Float[Array, "heads n n"]:
        """The bias of a whole window; or of its first places, in reading order."""
        rows = math.prod(2 * side - 1 for side in self.window)
        table = self.param("table", normal, (rows, self.heads), self.param_dtype)
        return table[relative_rows(self.window)[:count, :count]].transpose(2, 0, 1)


def relative_rows(window: tuple[int, ...]) -> Int64[np.ndarray, "n n"]:
    """The row of the table of positions that belongs to each query and each key of a window.

    >>> relative_rows((2, 2))[0].tolist()  # the first place as query
    [4, 3, 1, 0]
    """
    places = np.indices(window).reshape(len(window), -1)
    found = np.zeros((places.shape[1],) * 2, np.int64)
    for side, along in zip(window, places, strict=True):
        found = found * (2 * side - 1) + along[:, None] - along + side - 1
    return found
