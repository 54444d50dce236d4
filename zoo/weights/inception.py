"""Names of Inception v3's weights in torchvision. Lecture row L48."""

from zoo.weights.blocks import basic_conv
from zoo.weights.rules import Family, join, linear

FAMILY = Family(
    join(
        basic_conv("Conv2d_1a_3x3", "stem/conv1a"),
        basic_conv("Conv2d_2a_3x3", "stem/conv2a"),
        basic_conv("Conv2d_2b_3x3", "stem/conv2b"),
        basic_conv("Conv2d_3b_1x1", "stage1/conv3b"),
        basic_conv("Conv2d_4a_3x3", "stage1/conv4a"),
        basic_conv(
            r"Mixed_{stage+3}{letter:[a-e]}.{layer:branch\w+}", r"stage{stage}/mixed_{letter:[a-e]}/{layer:branch\w+}"
        ),
        linear("fc", "head"),
        basic_conv("AuxLogits.conv0", "aux1/conv1x1"),
        basic_conv("AuxLogits.conv1", "aux1/conv5x5"),
        linear("AuxLogits.fc", "aux1/head"),
    ),
    optional=("params/aux1/", "batch_stats/aux1/"),
)
