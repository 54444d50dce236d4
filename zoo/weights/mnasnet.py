"""Names of MnasNet's weights in torchvision. Lecture row L48.

torchvision keeps the version of its architecture in a state dict's metadata alone. Files of version 1, whose stem
was as wide in all sizes, are told from others by their shapes. Metadata is not written here: before torchvision
loads such a file, put it in an OrderedDict with `_metadata = {"": {"version": 2}}`.
"""

from zoo.convnets.mnasnet import MnasNet
from zoo.weights.blocks import conv_norm
from zoo.weights.rules import Family, join, linear

THEIRS, OURS = "layers.{stage+6}.{block}.layers", "stage{stage}/block{block+1}"


def mnasnet(model: MnasNet) -> Family:
    """The rules of one MnasNet: the index of the last layers depends on the number of stages."""
    return Family(
        join(
            conv_norm("layers", "stem", 0),
            conv_norm("layers", "stage1/block1/depthwise", 3),
            conv_norm("layers", "stage1/block1/project", 6),
            conv_norm(THEIRS, f"{OURS}/expand", 0),
            conv_norm(THEIRS, f"{OURS}/depthwise", 3),
            conv_norm(THEIRS, f"{OURS}/project", 6),
            conv_norm("layers", "final", 7 + len(model.rows)),
            linear("classifier.1", "head"),
        )
    )
