"""Vision transformer: an image as a sequence of patches, and attention in place of convolution.

Dosovitskiy et al., 2021, An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale. Initialised as
in torchvision/models/vision_transformer.py. Lecture row L48.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from zoo.convnets.patches import PatchEmbedding
from zoo.nn.attention import SelfAttention
from zoo.nn.checks import check_classes, check_images
from zoo.nn.dense import Dense
from zoo.nn.network import ModuleMaker, Network

EPSILON = 1e-6
"""Of all layer normalisations."""

CUBIC = -0.75
"""The free parameter of the cubic kernel with which torch interpolates."""

fan_in_normal = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


class VisionTransformer(Network):
    """Patches made tokens, a class token before them, learned positions added, transformer blocks, and a classifier.

    ViT-B/16 as it stands; the fields make the others. The images that the parameters are made for decide how many
    positions there are: `interpolate_positions` fits them to images of another size.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the class token instead of logits."""
    patch_size: int = 16
    """Pixels a side of a patch."""
    depth: int = 12
    """Transformer blocks."""
    heads: int = 12
    """Of each block's attention."""
    width: int = 768
    """Channels of a token."""
    hidden: int = 3072
    """Features between the two dense layers of a block."""
    dropout: float = 0.0
    """The share of activations dropped in training after positions, attention and dense layers; stream "dropout"."""
    fused: bool = False
    """Attention as one kernel of cuDNN, on GPUs that have it and in bfloat16 or float16; see `SelfAttention`."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, block1, ..., stage1, pre_logits and logits.

        The stem's are the patches before positions are added, a block's what it makes of them, stage1's the last
        block's after the norm that follows, all as maps (batch, height / patch, width / patch, channels); pre_logits
        is the class token.

        Raises:
          ValueError: images of the wrong rank, which patches do not fill, or of which there are more or fewer
            patches than the parameters have positions for.
        """
        check_images(images, "VisionTransformer", self.patch_size)
        check_classes(self.num_classes)
        if images.shape[1] % self.patch_size or images.shape[2] % self.patch_size:
            raise ValueError(
                f"VisionTransformer expected sides divisible by the patches' {self.patch_size} pixels, "
                f"got shape {images.shape}"
            )
        conv = self.conv_maker(kernel_init=fan_in_normal)
        norm = functools.partial(nn.LayerNorm, epsilon=EPSILON, **self.types)
        attention = functools.partial(SelfAttention, self.heads, fused=self.fused, **self.types)
        mlp = functools.partial(MLP, self.hidden, self.dropout, **self.types)

        named = {"stem": (x := PatchEmbedding(self.width, self.patch_size, conv, name="stem")(images))}
        grid = x.shape
        x = self._placed(x.reshape(grid[0], grid[1] * grid[2], self.width))
        x = nn.Dropout(self.dropout)(x, deterministic=not train)
        encoder = Encoder(self.depth, norm, attention, mlp, self.dropout, self.remat, name="stage1")
        x, maps = encoder(x, train, grid if features else None)
        named |= maps
        x = norm(name="final_norm")(x)
        named["stage1"] = x[:, 1:].reshape(grid)
        # The classifier is cheap, and wants more digits than bfloat16 has.
        named["pre_logits"] = x = x[:, 0].astype(self.wide)
        if self.num_classes:
            options = {"dtype": self.wide, "kernel_init": nn.initializers.zeros_init()}
            head = nn.Dense(self.num_classes, param_dtype=self.param_dtype, **options, name="head")
            named["logits"] = x = head(x)
        return named if features else x

    def _placed(self, x: Float[Array, "b n d"]) -> Float[Array, "b n+1 d"]:
        """The class token and all patches' tokens, with their positions added."""
        places = 1 + x.shape[1]
        if self.has_variable("params", "position_embedding"):  # flax would speak of the initialiser
            known = nn.unbox(self.get_variable("params", "position_embedding")).shape[1]
            if places != known:
                raise ValueError(
                    f"VisionTransformer has positions for {known - 1} patches, got {x.shape[1]}: give images of the "
                    "size that the parameters are for, or parameters with `interpolate_positions` applied"
                )
        zeros, normal = nn.initializers.zeros_init(), nn.initializers.normal(0.02)
        token = self.param("class_token", zeros, (1, 1, self.width), self.param_dtype)
        positions = self.param("position_embedding", normal, (1, places, self.width), self.param_dtype)
        token = jnp.broadcast_to(token, (x.shape[0], 1, self.width)).astype(x.dtype)
        return jnp.concatenate([token, x], axis=1) + positions.astype(x.dtype)


class Encoder(nn.Module):
    """Transformer blocks one after the other. Submodules `block1`, `block2`, ..."""

    depth: int
    norm: ModuleMaker
    attention: ModuleMaker
    mlp: ModuleMaker
    dropout: float = 0.0
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n d"], train: bool, grid: tuple[int, ...] | None
    ) -> tuple[Float[Array, "b n d"], Mapping[str, Float[Array, "b h w d"]]]:
        """What the last block gives; with a grid, the shape of a map, also every block's map by the block's name."""
        block = nn.remat(EncoderBlock, static_argnums=(2,)) if self.remat else EncoderBlock
        maps = {}
        for i in range(1, self.depth + 1):
            x = block(self.norm, self.attention, self.mlp, self.dropout, name=f"block{i}")(x, train)
            if grid is not None:
                maps[f"block{i}"] = image = x[:, 1:].reshape(grid)
                if i < self.depth:  # the next block reads this very map: who looks into the network follows it
                    x = jnp.concatenate([x[:, :1], image.reshape(x[:, 1:].shape)], axis=1)
        return x, maps


class EncoderBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). Submodules `norm1`, `attention`, `norm2` and `mlp`."""

    norm: ModuleMaker
    attention: ModuleMaker
    mlp: ModuleMaker
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], train: bool) -> Float[Array, "b n d"]:
        branch = self.attention(name="attention")(self.norm(name="norm1")(x))
        x = x + nn.Dropout(self.dropout)(branch, deterministic=not train)
        return x + self.mlp(name="mlp")(self.norm(name="norm2")(x), train)


class MLP(nn.Module):
    """Two dense layers over channels with GELU between, each followed by dropout. Submodules `dense1`, `dense2`."""

    hidden: int
    dropout: float = 0.0
    features: int = 0
    """Of the result; 0 for as many as the input has."""
    kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
    bias_init: nn.initializers.Initializer = nn.initializers.normal(1e-6)
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"], train: bool) -> Float[Array, "*batch features"]:
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        dense = functools.partial(Dense, kernel_init=self.kernel_init, bias_init=self.bias_init, **types)
        drop = functools.partial(nn.Dropout(self.dropout), deterministic=not train)
        hidden = drop(nn.gelu(dense(self.hidden, name="dense1")(x), approximate=False))
        return drop(dense(self.features or x.shape[-1], name="dense2")(hidden))


def interpolate_positions(
    positions: Float[Array, "1 places channels"], grid: tuple[int, int]
) -> Float[Array, "1 new_places channels"]:
    """A table of learned positions, fitted to images of grid[0] x grid[1] patches; the class token's stays as it is.

    Bicubic, corners on corners, as torchvision's `interpolate_embeddings`.

    Raises:
      ValueError: the positions are not those of a class token and a square of patches.

    >>> variables = {"params": {"position_embedding": jnp.zeros((1, 1 + 14 * 14, 768))}}
    >>> interpolate_positions(variables["params"]["position_embedding"], (24, 24)).shape
    (1, 577, 768)
    """
    side = math.isqrt(max(0, positions.shape[1] - 1))
    if positions.ndim != 3 or positions.shape[0] != 1 or 1 + side**2 != positions.shape[1] or not side:
        raise ValueError(
            f"expected positions (1, 1 + n * n, channels) of a class token and n * n patches, got {positions.shape}"
        )
    positions = jnp.asarray(positions)
    square = positions[0, 1:].reshape(side, side, -1)
    rows, columns = (jnp.asarray(_cubic(side, size), positions.dtype) for size in grid)
    fitted = jnp.einsum("ph,hwc,qw->pqc", rows, square, columns, precision=lax.Precision.HIGHEST)
    return jnp.concatenate([positions[:, :1], fitted.reshape(1, -1, positions.shape[2])], axis=1)


def _cubic(old: int, new: int) -> np.ndarray:
    """Row i holds the weights of the old points in the new point i; the first and the last are the same in both.

    Keys, 1981, Cubic Convolution Interpolation for Digital Image Processing, equation 4; beyond the border the last
    point is repeated.
    """
    weights = np.zeros((new, old))
    for i in range(new):
        place = i * (old - 1) / (new - 1) if new > 1 else 0.0
        for neighbour in range(math.floor(place) - 1, math.floor(place) + 3):
            weights[i, min(max(neighbour, 0), old - 1)] += _keys(abs(place - neighbour))
    return weights


def _keys(distance: float) -> float:
    if distance <= 1:
        return (CUBIC + 2) * distance**3 - (CUBIC + 3) * distance**2 + 1
    return CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4) if distance < 2 else 0.0
