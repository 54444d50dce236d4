"""Names of MobileNet V2's and V3's weights in torchvision, where blocks are counted through the network. Row L48."""

from collections.abc import Iterator

from zoo.convnets.inverted_residual import Plan, parts
from zoo.convnets.mobilenet import MobileNetV2, MobileNetV3
from zoo.weights.blocks import conv_norm, squeeze_excite
from zoo.weights.rules import Family, Rule, batch_norm, convolution, join, linear


def mobilenet_v2(model: MobileNetV2) -> Family:
    """The rules of one MobileNet V2."""
    rules: list[Rule] = []
    for theirs, ours, (*wrapped, _) in _blocks(model.plan()):
        for i, part in enumerate(wrapped):
            rules += conv_norm(f"{theirs}.conv.{i}", f"{ours}/{part}")
        last = len(wrapped)  # the projection has no activation, and stands beside its norm
        rules += convolution(f"{theirs}.conv.{last}", f"{ours}/project/conv")
        rules += batch_norm(f"{theirs}.conv.{last + 1}", f"{ours}/project/norm")
    return Family(join(_ends(model.plan()), rules, linear("classifier.1", "head")))


def mobilenet_v3(model: MobileNetV3) -> Family:
    """The rules of one MobileNet V3."""
    rules: list[Rule] = []
    for theirs, ours, names in _blocks(model.plan()):
        for i, part in enumerate(names):
            rules += (squeeze_excite if part == "se" else conv_norm)(f"{theirs}.block.{i}", f"{ours}/{part}")
    dense = linear("classifier.0", "dense"), linear("classifier.3", "head")
    return Family(join(_ends(model.plan()), rules, *dense), optional=("params/dense/",))  # a backbone has none


def _blocks(plan: Plan) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Each block's name and ours, and its submodules."""
    index, channels = 1, plan.stem
    for stage, blocks in enumerate(plan.stages, start=1):
        for i, block in enumerate(blocks, start=1):
            yield f"features.{index}", f"stage{stage}/block{i}", parts(block, channels)
            index, channels = index + 1, block.features


def _ends(plan: Plan) -> tuple[Rule, ...]:
    blocks = sum(map(len, plan.stages))
    return conv_norm("features.0", "stem") + conv_norm(f"features.{blocks + 1}", "final")
