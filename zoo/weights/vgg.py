"""Names of VGG's weights in torchvision, where layers are counted through the whole network. Lecture rows L37, L48."""

from zoo.convnets.vgg import DEPTHS, VGG
from zoo.weights.rules import Family, Rule, batch_norm, convolution, join, linear


def vgg(model: VGG) -> Family:
    """The rules of one VGG: a layer's index depends on how many come before it."""
    rules: list[Rule] = []
    index = 0
    for stage, count in enumerate(DEPTHS[model.depth], start=1):
        for i in range(1, count + 1):
            rules += convolution(f"features.{index}", f"stage{stage}/conv{i}")
            if model.batch_norm:
                rules += batch_norm(f"features.{index + 1}", f"stage{stage}/norm{i}")
            index += 3 if model.batch_norm else 2  # with the ReLU
        index += 1  # the pooling
    dense = (linear("classifier.0", "dense1"), linear("classifier.3", "dense2"), linear("classifier.6", "head"))
    return Family(join(rules, *dense), optional=("params/dense1/", "params/dense2/"))  # a backbone has none
