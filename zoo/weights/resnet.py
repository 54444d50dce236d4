"""Names of ImageNet residual networks' weights in torchvision and timm. Lecture rows L39-L46."""

from zoo.weights.blocks import squeeze_excite
from zoo.weights.rules import Family, batch_norm, convolution, join, linear, linear_as_convolution

RESNET = Family(
    join(
        convolution("conv1", "stem/conv"),
        batch_norm("bn1", "stem/norm"),
        convolution("layer{stage}.{block}.conv{n}", "stage{stage}/block{block+1}/conv{n}"),
        batch_norm("layer{stage}.{block}.bn{n}", "stage{stage}/block{block+1}/norm{n}"),
        convolution("layer{stage}.{block}.downsample.0", "stage{stage}/block{block+1}/shortcut/conv"),
        batch_norm("layer{stage}.{block}.downsample.1", "stage{stage}/block{block+1}/shortcut/norm"),
        linear("fc", "head"),
    )
)
"""torchvision/models/resnet.py."""

TIMM_RESNET = Family(
    join(
        RESNET.rules,
        squeeze_excite("layer{stage}.{block}.se", "stage{stage}/block{block+1}/se"),
    )
)
"""timm/models/resnet.py, squeeze-and-excitation included."""

TIMM_RESNETV2 = Family(
    join(
        convolution("stem.conv", "stem/conv"),
        convolution("stages.{stage}.blocks.{block}.conv{n}", "stage{stage+1}/block{block+1}/conv{n}"),
        batch_norm("stages.{stage}.blocks.{block}.norm{n}", "stage{stage+1}/block{block+1}/norm{n}"),
        convolution("stages.{stage}.blocks.{block}.downsample.conv", "stage{stage+1}/block{block+1}/shortcut/conv"),
        batch_norm("norm", "final_norm"),
        linear_as_convolution("head.fc", "head"),
    )
)
"""timm/models/resnetv2.py: full pre-activation with batch normalisation."""
