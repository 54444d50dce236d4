"""Names of ConvNeXt's weights in torchvision, which counts stages and what lies between alike. Lecture row L48."""

from zoo.weights.rules import Family, Rule, convolution, join, layer_norm, linear


def _stage(stage: int) -> tuple[Rule, ...]:
    theirs, ours = f"features.{2 * stage - 1}.{{block}}", f"stage{stage}/block{{block+1}}"
    return join(
        layer_norm(f"features.{2 * stage - 2}.0", f"stage{stage}/downsample/norm"),
        convolution(f"features.{2 * stage - 2}.1", f"stage{stage}/downsample/conv"),
        convolution(f"{theirs}.block.0", f"{ours}/conv"),
        layer_norm(f"{theirs}.block.2", f"{ours}/norm"),
        linear(f"{theirs}.block.3", f"{ours}/dense1"),
        linear(f"{theirs}.block.5", f"{ours}/dense2"),
        (Rule(f"{theirs}.layer_scale", f"params/{ours}/layer_scale/scale", (1, 2, 0)),),
    )


FAMILY = Family(
    join(
        convolution("features.0.0", "stem/conv"),
        layer_norm("features.0.1", "stem/norm"),
        *map(_stage, (1, 2, 3, 4)),
        layer_norm("classifier.0", "final_norm"),
        linear("classifier.2", "head"),
    )
)
"""torchvision/models/convnext.py."""
