"""Names of Swin transformers' weights in torchvision, which counts stages and mergings alike. Lecture row L48."""

from zoo.weights.rules import Family, Rule, convolution, join, layer_norm, linear


def _stage(stage: int) -> tuple[Rule, ...]:
    theirs, ours = f"features.{2 * stage - 1}.{{block}}", f"stage{stage}/block{{block+1}}"
    return join(
        layer_norm(f"features.{2 * stage - 2}.norm", f"stage{stage}/merge/norm"),
        linear(f"features.{2 * stage - 2}.reduction", f"stage{stage}/merge/dense"),
        layer_norm(f"{theirs}.norm{{n}}", f"{ours}/norm{{n}}"),
        linear(f"{theirs}.attn.qkv", f"{ours}/attention/in_proj"),
        linear(f"{theirs}.attn.proj", f"{ours}/attention/out_proj"),
        (Rule(f"{theirs}.attn.relative_position_bias_table", f"params/{ours}/positions/table"),),
        linear(f"{theirs}.mlp.0", f"{ours}/mlp/dense1"),
        linear(f"{theirs}.mlp.3", f"{ours}/mlp/dense2"),
    )


FAMILY = Family(
    join(
        convolution("features.0.0", "stem/conv"),
        layer_norm("features.0.2", "stem/norm"),
        *map(_stage, (1, 2, 3, 4)),
        layer_norm("norm", "final_norm"),
        linear("head", "head"),
    ),
    ignored=(r".*\.relative_position_index",),  # follows from the window's size
)
"""torchvision/models/swin_transformer.py."""
