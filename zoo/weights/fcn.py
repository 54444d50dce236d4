"""Names of VGG's weights in torchvision for FCN's layers, which VGG's dense ones become. Lecture rows L61, L65."""

from zoo.convnets.vgg import VGG
from zoo.dense.fcn_vgg import FCNVGG
from zoo.weights.rules import Family, join, linear_over_window
from zoo.weights.vgg import vgg


def fcn_vgg(model: FCNVGG) -> Family:
    """The rules of one FCN: a classifier's dense layers are its convolutions, and the classifier scores each place."""
    stages = (rule for rule in vgg(VGG(depth=model.depth)).rules if rule.ours.startswith("params/stage"))
    window = (model.window, model.window)
    dense = (("classifier.0", "fc6", window), ("classifier.3", "fc7", (1, 1)), ("classifier.6", "score_fr", (1, 1)))
    return Family(join(stages, *(linear_over_window(*names) for names in dense)))
