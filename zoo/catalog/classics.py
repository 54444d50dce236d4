"""The catalog's rows of the chapter `zoo.convnets`: networks for 224 x 224 images, from AlexNet to Inception."""

from typing import Any

from zoo.catalog.entry import Entry

KRIZHEVSKY_2014 = "Krizhevsky, 2014, One Weird Trick for Parallelizing Convolutional Neural Networks"
IANDOLA_2016 = (
    "Iandola et al., 2016, SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters and <0.5MB Model Size"
)
SIMONYAN_2015 = "Simonyan et al., 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition"
SZEGEDY_2015 = "Szegedy et al., 2015, Going Deeper with Convolutions"
SZEGEDY_2016 = "Szegedy et al., 2016, Rethinking the Inception Architecture for Computer Vision"

TINY: dict[str, Any] = {"num_classes": 10}


def _row(
    name: str,
    builder: str,
    paper: str,
    lecture: str,
    layouts: tuple[str, ...],
    size: int,
    auxiliary: tuple[str, ...] = (),
    **options: Any,
) -> Entry:
    heads = ("head", *(f"{classifier}/head" for classifier in auxiliary))
    return Entry(
        name,
        f"zoo.convnets.{builder}",
        "classification",
        (size, size, 3),
        paper,
        lecture,
        options,
        layouts,
        heads,
        auxiliary,
    )


def _alexnets() -> list[Entry]:
    arguments = ("alexnet:AlexNet", KRIZHEVSKY_2014, "L37, L48", ("torchvision/alexnet",))
    return [
        _row("alexnet", *arguments, 224),
        _row("alexnet_tiny", *arguments, 64, widths=(4, 4, 8, 8, 4), hidden=16, **TINY),
    ]


def _vggs() -> list[Entry]:
    def row(name: str, size: int = 224, **options: Any) -> Entry:
        return _row(name, "vgg:VGG", SIMONYAN_2015, "L37, L48", ("torchvision/vgg",), size, **options)

    depths = (11, 13, 16, 19)
    return [
        *(row(f"vgg{depth}", depth=depth) for depth in depths),
        *(row(f"vgg{depth}_bn", depth=depth, batch_norm=True) for depth in depths),
        row("vgg_tiny", 32, depth=11, batch_norm=True, widths=(4, 4, 4, 8, 8), hidden=8, **TINY),
    ]


def _squeezenets() -> list[Entry]:
    arguments = ("squeezenet:SqueezeNet", IANDOLA_2016, "L48", ("torchvision/squeezenet", "ndf/squeezenet"))
    return [
        _row("squeezenet1_0", *arguments, 224, version="1.0"),
        _row("squeezenet1_1", *arguments, 224, version="1.1"),
        _row("squeezenet_tiny", *arguments, 32, version="tiny", **TINY),
    ]


def _googlenets() -> list[Entry]:
    arguments = ("googlenet:GoogLeNet", SZEGEDY_2015, "L48", ("torchvision/googlenet",))
    auxiliary = ("aux1", "aux2")
    return [
        _row("googlenet", *arguments, 224, auxiliary),
        _row("googlenet_tiny", *arguments, 32, auxiliary, width=1 / 16, **TINY),
    ]


def _inceptions() -> list[Entry]:
    arguments = ("inception:InceptionV3", SZEGEDY_2016, "L48", ("torchvision/inception",))
    auxiliary = ("aux1",)
    return [
        _row("inception_v3", *arguments, 299, auxiliary),
        _row("inception_v3_tiny", *arguments, 75, auxiliary, width=1 / 32, **TINY),
    ]


ENTRIES = (*_alexnets(), *_vggs(), *_squeezenets(), *_googlenets(), *_inceptions())
