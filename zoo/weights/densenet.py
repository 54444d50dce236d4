"""Names of DenseNets' weights in torchvision and in HazyResearch/ukb-cardiac-mri. Lecture rows L47, L48."""

from zoo.weights.rules import Family, batch_norm, convolution, join, linear

LAYER = "features.denseblock{stage}.denselayer{layer}"

DENSENET = Family(
    join(
        convolution("features.conv0", "stem/conv"),
        batch_norm("features.norm0", "stem/norm"),
        convolution(f"{LAYER}.conv{{n}}", "stage{stage}/layer{layer}/conv{n}"),
        batch_norm(f"{LAYER}.norm{{n}}", "stage{stage}/layer{layer}/norm{n}"),
        convolution("features.transition{n}.conv", "transition{n}/conv"),
        batch_norm("features.transition{n}.norm", "transition{n}/norm"),
        batch_norm("features.norm5", "final_norm"),
        linear("classifier", "head"),
        # The published files are older than torchvision's code.
        convolution(f"{LAYER}.conv.{{n}}", "stage{stage}/layer{layer}/conv{n}"),
        batch_norm(f"{LAYER}.norm.{{n}}", "stage{stage}/layer{layer}/norm{n}"),
    )
)
"""torchvision/models/densenet.py."""

HAZY_DENSENET = Family(
    join(
        convolution("conv1", "stem/conv"),
        convolution("block{stage}.layer.{layer}.conv{n}", "stage{stage}/layer{layer+1}/conv{n}"),
        batch_norm("block{stage}.layer.{layer}.bn{n}", "stage{stage}/layer{layer+1}/norm{n}"),
        convolution("trans{n}.conv1", "transition{n}/conv"),
        batch_norm("trans{n}.bn1", "transition{n}/norm"),
        batch_norm("bn1", "final_norm"),
        linear("fc", "head"),
    )
)
"""HazyResearch/ukb-cardiac-mri: networks for 32 x 32 images."""
