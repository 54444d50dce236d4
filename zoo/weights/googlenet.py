"""Names of GoogLeNet's weights in torchvision. Lecture row L48."""

from zoo.weights.blocks import basic_conv
from zoo.weights.rules import Family, join, linear

BRANCHES = {
    "branch1": "conv1x1",
    "branch2.0": "reduce3x3",
    "branch2.1": "conv3x3",
    "branch3.0": "reduce5x5",
    "branch3.1": "conv5x5",
    "branch4.1": "project",
}

FAMILY = Family(
    join(
        basic_conv("conv1", "stem"),
        basic_conv("conv2", "stage1/reduce3x3"),
        basic_conv("conv3", "stage1/conv3x3"),
        *(
            basic_conv(
                f"inception{{stage+1}}{{letter:[a-e]}}.{theirs}", f"stage{{stage}}/inception_{{letter:[a-e]}}/{ours}"
            )
            for theirs, ours in BRANCHES.items()
        ),
        linear("fc", "head"),
        basic_conv("aux{n}.conv", "aux{n}/conv1x1"),
        linear("aux{n}.fc1", "aux{n}/dense"),
        linear("aux{n}.fc2", "aux{n}/head"),
    ),
    optional=("params/aux1/", "params/aux2/", "batch_stats/aux1/", "batch_stats/aux2/"),
)
