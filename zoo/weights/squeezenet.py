"""Names of SqueezeNet's weights in torchvision and in the package ndf. Lecture row L48.

Those of ndf are for images of blue, green and red from 0 to 255, less (103.939, 116.779, 123.68).
"""

from collections.abc import Iterator

from zoo.catalog.pretrained import NORMALISATIONS
from zoo.convnets.squeezenet import VERSIONS, SqueezeNet
from zoo.weights.inputs import Inputs
from zoo.weights.rules import Family, Rule, convolution, join

LAYERS = ("squeeze", "expand1x1", "expand3x3")
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_MEAN, _STD = NORMALISATIONS["imagenet"]
_CAFFE_INPUTS = Inputs(
    "stem/conv",
    channels=(2, 1, 0),
    scale=tuple(255 * std for std in reversed(_STD)),
    shift=tuple(255 * mean - less for mean, less in zip(reversed(_MEAN), _CAFFE_MEAN, strict=True)),
)
CAFFE_LAYERS = ("squeeze1x1", "expand1x1", "expand3x3")


def torchvision(model: SqueezeNet) -> Family:
    """torchvision's, where layers are counted through the whole network."""
    rules: list[Rule] = []
    index = 2
    for fires in _fires(model):
        index += 1  # the pooling
        for ours in fires:
            rules += join(*(convolution(f"features.{index}.{layer}", f"{ours}/{layer}") for layer in LAYERS))
            index += 1
    return Family(join(convolution("features.0", "stem/conv"), rules, convolution("classifier.1", "head")))


def ndf(model: SqueezeNet) -> Family:
    """ndf's, with Caffe's names: fire modules are counted from 2, and kernels lie as ours do."""
    names = {"conv1": "stem/conv", "conv10": "head"}
    for n, ours in enumerate((ours for fires in _fires(model) for ours in fires), start=2):
        names |= {f"fire{n}/{theirs}": f"{ours}/{layer}" for theirs, layer in zip(CAFFE_LAYERS, LAYERS, strict=True)}
    parts = ("kernel", "bias")
    rules = tuple(Rule(f"{name}.{p}", f"params/{ours}/{p}") for name, ours in names.items() for p in parts)
    return Family(rules, inputs=_CAFFE_INPUTS)


def _fires(model: SqueezeNet) -> Iterator[list[str]]:
    """Our paths of the fire modules of each stage."""
    for stage, fires in enumerate(VERSIONS[model.version].stages, start=1):
        yield [f"stage{stage}/fire{i}" for i in range(1, len(fires) + 1)]
