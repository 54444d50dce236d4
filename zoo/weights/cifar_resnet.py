"""Names of CIFAR residual networks' weights in torch.

Of akamaster/pytorch_resnet_cifar10, and by its second spellings of torchvision's ResNet. Lecture rows L39-L43.
"""

from zoo.weights.rules import Family, batch_norm, convolution, join, linear

FAMILY = Family(
    join(
        convolution("conv1", "stem/conv"),
        batch_norm("bn1", "stem/norm"),
        convolution("layer{stage}.{block}.conv{n}", "stage{stage}/block{block+1}/conv{n}"),
        batch_norm("layer{stage}.{block}.bn{n}", "stage{stage}/block{block+1}/norm{n}"),
        convolution("layer{stage}.{block}.shortcut.0", "stage{stage}/block{block+1}/shortcut/conv"),
        batch_norm("layer{stage}.{block}.shortcut.1", "stage{stage}/block{block+1}/shortcut/norm"),
        batch_norm("bn", "final_norm"),
        linear("linear", "head"),
        convolution("layer{stage}.{block}.downsample.0", "stage{stage}/block{block+1}/shortcut/conv"),
        batch_norm("layer{stage}.{block}.downsample.1", "stage{stage}/block{block+1}/shortcut/norm"),
        linear("fc", "head"),
    )
)
