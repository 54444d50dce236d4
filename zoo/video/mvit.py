"""MViT: a vision transformer for clips whose tokens get fewer, and their channels more, from stage to stage.

Fan et al., 2021, Multiscale Vision Transformers; Li et al., 2022, MViTv2: Improved Multiscale Vision Transformers for
Classification and Detection; as in torchvision/models/video/mvit.py. Lecture row L51.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.stochastic_depth import drop_path
from zoo.convnets.torch_layers import bias_uniform
from zoo.convnets.vision_transformer import MLP
from zoo.nn import linear_uniform, max_pool
from zoo.nn.checks import CLIP_AXES, check_classes, check_images
from zoo.nn.dense import Dense
from zoo.nn.network import ModuleMaker, Network
from zoo.video.pooling_attention import Places, PoolingAttention, pooled, pooled_tokens

EPSILON = 1e-6
"""Of all layer normalisations."""

WINDOW, STRIDES, PADDING = (3, 7, 7), (2, 4, 4), (1, 3, 3)
"""Of the convolution that makes tokens."""

normal = nn.initializers.normal(0.02)
"""Of dense layers and positions: torch's truncated normal, whose bounds of ±2 cut off nothing."""


class BlockPlan(NamedTuple):
    """What one block does with tokens."""

    heads: int
    features: int
    """Channels of its result."""
    query_strides: tuple[int, int, int] | None
    """Of the pooling of queries, and so of the result; None where there is none, not even at a stride of 1."""
    key_strides: tuple[int, int, int]
    """Of the pooling of keys and values."""


class MViT(Network):
    """Overlapping patches made tokens, a class token before them, blocks of pooling attention, and a classifier.

    MViT-B 16x4 of the first paper as it stands; the fields make the others. The first block of each stage but the first
    halves height and width. A first version's positions are for clips of one size; those of the second are relative,
    and interpolated.
    """

    num_classes: int = 400
    """Outputs; 0 gives the class token instead of logits."""
    version: int = 1
    """Of the paper. In 2 positions are relative, queries are added to what attention gives, every block pools its
    queries, and channels get more in a stage's first attention, and not in the last dense layer before it."""
    depths: tuple[int, ...] = (1, 2, 11, 2)
    """Blocks of each stage."""
    width: int = 96
    """Channels of the first stage; each next has twice as many."""
    heads: int = 1
    """Of the first stage; each next has twice as many."""
    key_stride: int = 8
    """Along height and width, of the pooling of keys and values in the first stage; in each next half as large."""
    dropout: float = 0.5
    """The share of the class token that is dropped in training; needs the random stream "dropout"."""
    drop_path: float = 0.2
    """The share of clips that skip the last block in training, evenly less for those before; stream "dropout"."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch time height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        The maps are the tokens of patches before positions are added, and what the last block of each stage gives;
        pre_logits is the class token behind the last norm.

        Raises:
          ValueError: clips of the wrong rank or of no size; of another size than the parameters have positions for; a
            version that is neither 1 nor 2.
        """
        check_images(clips, "MViT", 1, CLIP_AXES, "clips")
        check_classes(self.num_classes)
        if self.version not in (1, 2):
            raise ValueError(f"expected version 1 or 2 of MViT, got {self.version}")
        norm = functools.partial(nn.LayerNorm, epsilon=EPSILON, **self.types)
        dense = functools.partial(Dense, kernel_init=normal, **self.types)
        second = self.version == 2
        attention = functools.partial(
            PoolingAttention,
            norm=norm,
            dense=dense,
            conv=self.conv_maker(use_bias=False, kernel_init=linear_uniform),
            relative=second,
            add_query=second,
            param_dtype=self.param_dtype,
        )
        mlp = functools.partial(MLP, kernel_init=normal, bias_init=nn.initializers.zeros_init(), **self.types)

        inits = {"kernel_init": linear_uniform, "bias_init": bias_uniform(clips.shape[-1] * 3 * 7 * 7)}
        conv = self.conv_maker(**inits)(self.width, WINDOW, strides=STRIDES, padding=PADDING, name="stem")
        named = {"stem": (x := conv(clips))}
        places = x.shape[1:4]
        x = self._placed(x.reshape(x.shape[0], -1, self.width), places)
        block = self.rematerialised(MViTBlock, static_argnums=(2, 3))
        plans = self._plans()
        ends = [sum(self.depths[: i + 1]) for i in range(len(self.depths))]
        for i, plan in enumerate(plans, start=1):
            rate = self.drop_path * (i - 1) / max(1, len(plans) - 1)
            x = block(plan, second, norm, dense, attention, mlp, rate, name=f"block{i}")(x, places, train)
            places = pooled(places, plan.query_strides)
            if i in ends:
                named[f"stage{ends.index(i) + 1}"] = x[:, 1:].reshape(x.shape[0], *places, x.shape[-1])
        x = norm(name="final_norm")(x)
        # The classifier is cheap, and wants more digits than bfloat16 has.
        named["pre_logits"] = x = x[:, 0].astype(self.wide)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            options = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": normal}
            named["logits"] = x = nn.Dense(self.num_classes, **options, name="head")(x)
        return named if features else x

    def _plans(self) -> list[BlockPlan]:
        """One a block."""
        plans = []
        for stage, depth in enumerate(self.depths):
            width, stride = 2**stage * self.width, max(1, self.key_stride // 2**stage)
            for i in range(depth):
                halves = stage > 0 and i == 0
                query = (1, 2, 2) if halves else (1, 1, 1) if self.version == 2 else None
                last = self.version == 1 and i == depth - 1 and stage < len(self.depths) - 1
                plans.append(BlockPlan(2**stage * self.heads, 2 * width if last else width, query, (1, stride, stride)))
        return plans

    def _placed(self, x: Float[Array, "b n d"], places: Places) -> Float[Array, "b n+1 d"]:
        """The class token before the others; in version 1 with positions added, of frames and of places in a frame."""
        token = self._table("class_token", 0)
        batch = x.shape[0]
        if self.version == 1:
            space = self._table("spatial_positions", places[1] * places[2])
            time = self._table("temporal_positions", places[0])
            x = x + (time[:, None] + space).reshape(-1, self.width).astype(x.dtype)
            token = token + self._table("class_position", 0)
        return jnp.concatenate([jnp.broadcast_to(token.astype(x.dtype), (batch, 1, self.width)), x], axis=1)

    def _table(self, name: str, rows: int) -> Float[Array, "*rows d"]:
        """A parameter: one vector a row, or a single one of no rows.

        Raises:
          ValueError: there are parameters, for another number of rows.
        """
        shape = (rows, self.width) if rows else (self.width,)
        if self.has_variable("params", name):  # flax would speak of the initialiser
            known = nn.unbox(self.get_variable("params", name)).shape
            if known != shape:
                raise ValueError(
                    f"MViT has {known[0]} {name}, got {rows} places: give clips of the size that the parameters are for"
                )
        return self.param(name, normal, shape, self.param_dtype)


class MViTBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), where x is pooled as queries are, and gets the new channels.

    Submodules `norm1`, `attention`, `norm2`, `mlp` and, where channels get more, `project`.
    """

    plan: BlockPlan
    widen_in_attention: bool
    """Whether new channels come in the attention, or in the dense layers behind it."""
    norm: ModuleMaker
    dense: ModuleMaker
    attention: ModuleMaker
    mlp: ModuleMaker
    drop_path: float = 0.0
    """The share of clips that skip each branch in training."""

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], places: Places, train: bool) -> Float[Array, "b m e"]:
        plan, inputs = self.plan, x.shape[-1]
        project = self.dense(plan.features, name="project") if plan.features != inputs else None
        normed = self.norm(name="norm1")(x)
        inner = plan.features if self.widen_in_attention else inputs
        attention = self.attention(inner, plan.heads, plan.query_strides, plan.key_strides, name="attention")
        branch = attention(normed, places)
        x = project(normed) if project and self.widen_in_attention else x
        x = skipped(x, places, plan.query_strides) + drop_path(branch, self.drop_path, train)
        normed = self.norm(name="norm2")(x)
        x = project(normed) if project and not self.widen_in_attention else x
        branch = self.mlp(4 * inner, features=plan.features, name="mlp")(normed, train)
        return x + drop_path(branch, self.drop_path, train)


def skipped(x: Float[Array, "b n d"], places: Places, strides: Places | None) -> Float[Array, "b m d"]:
    """Tokens where queries are pooled: the largest of each window; the class token as it is."""
    if strides is None or max(strides) == 1:
        return x
    window = tuple(step + 1 if step > 1 else 1 for step in strides)
    padding = tuple(size // 2 for size in window)
    return pooled_tokens(x, places, lambda maps: max_pool(maps, window, strides, padding))
