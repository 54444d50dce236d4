"""Names of Swin transformers' weights in torchvision, which counts stages and mergings alike. Lecture row L48."""

import math
from collections.abc import Mapping

import numpy as np

from zoo.convnets.swin import relative_rows
from zoo.weights.rules import Family, Rule, convolution, join, layer_norm, linear


def block_of_swin(theirs: str, ours: str) -> tuple[Rule, ...]:
    """SwinTransformerBlock, of images and of clips."""
    return join(
        layer_norm(f"{theirs}.norm{{n}}", f"{ours}/norm{{n}}"),
        linear(f"{theirs}.attn.qkv", f"{ours}/attention/in_proj"),
        linear(f"{theirs}.attn.proj", f"{ours}/attention/out_proj"),
        (Rule(f"{theirs}.attn.relative_position_bias_table", f"params/{ours}/positions/table"),),
        linear(f"{theirs}.mlp.0", f"{ours}/mlp/dense1"),
        linear(f"{theirs}.mlp.3", f"{ours}/mlp/dense2"),
    )


def _stage(stage: int) -> tuple[Rule, ...]:
    return join(
        layer_norm(f"features.{2 * stage - 2}.norm", f"stage{stage}/merge/norm"),
        linear(f"features.{2 * stage - 2}.reduction", f"stage{stage}/merge/dense"),
        block_of_swin(f"features.{2 * stage - 1}.{{block}}", f"stage{stage}/block{{block+1}}"),
    )


def _indices(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What torchvision keeps beside each table of (2 window - 1)^2 rows as a buffer."""
    table, index = ".relative_position_bias_table", ".relative_position_index"
    tables = {name.removesuffix(table): array for name, array in arrays.items() if name.endswith(table)}
    return {
        f"{name}{index}": relative_rows(((math.isqrt(len(array)) + 1) // 2,) * 2).ravel()
        for name, array in tables.items()
    }


FAMILY = Family(
    join(
        convolution("features.0.0", "stem/conv"),
        layer_norm("features.0.2", "stem/norm"),
        *map(_stage, (1, 2, 3, 4)),
        layer_norm("norm", "final_norm"),
        linear("head", "head"),
    ),
    ignored=(r".*\.relative_position_index",),  # follows from the window's size
    derived=_indices,
)
"""torchvision/models/swin_transformer.py."""
