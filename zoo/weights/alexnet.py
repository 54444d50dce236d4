"""Names of AlexNet's weights in torchvision. Lecture rows L37, L48."""

from zoo.weights.rules import Family, convolution, join, linear

FAMILY = Family(
    join(
        convolution("features.0", "stage1/conv1"),
        convolution("features.3", "stage2/conv1"),
        convolution("features.6", "stage3/conv1"),
        convolution("features.8", "stage3/conv2"),
        convolution("features.10", "stage3/conv3"),
        linear("classifier.1", "dense1"),
        linear("classifier.4", "dense2"),
        linear("classifier.6", "head"),
    )
)
