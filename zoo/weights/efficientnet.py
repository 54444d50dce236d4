"""Names of EfficientNets' weights in torchvision, where a block's layers are counted. Lecture row L48."""

from zoo.convnets.efficientnet import EfficientNet
from zoo.convnets.inverted_residual import parts
from zoo.weights.mobilenet import conv_norm, squeeze_excite
from zoo.weights.rules import Family, Rule, join, linear


def efficientnet(model: EfficientNet) -> Family:
    """The rules of one EfficientNet: which layers there are is the same in all blocks of a stage."""
    plan = model.plan()
    rules: list[Rule] = []
    channels = plan.stem
    for stage, blocks in enumerate(plan.stages, start=1):
        theirs, ours = f"features.{stage}.{{block}}.block", f"stage{stage}/block{{block+1}}"
        for i, part in enumerate(parts(blocks[0], channels)):
            rules += (squeeze_excite if part == "se" else conv_norm)(f"{theirs}.{i}", f"{ours}/{part}")
        channels = blocks[-1].features
    ends = conv_norm("features.0", "stem"), conv_norm(f"features.{len(plan.stages) + 1}", "final")
    return Family(join(*ends, rules, linear("classifier.1", "head")))
