"""Cardinality: more groups of a bottleneck at equal parameters. Lecture rows L44-L46.

    python -m train experiment cardinality                  29 layers on part of CIFAR-10
    python -m train experiment cardinality --scale paper    the lecture's table: six networks of ImageNet, 90 epochs

Xie, Girshick, Dollár, Tu and He, 2017, Aggregated Residual Transformations for Deep Neural Networks, Tables 2 to 4.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.experiments import Options
from train.experiments.convnets.comparison import compare, variations
from train.experiments.study import Results, Study
from train.recipes import cifar10, imagenet

SMALL = {"1 x 16d": (1, 16), "2 x 10d": (2, 10), "4 x 6d": (4, 6)}
"""Groups, and channels of each in the first stage: a quarter of Table 2's, whose parameters are equal as well."""

PAPER_ARMS = {
    "ResNet-101 1 x 64d": ("resnet101", "22.0 / 6.0 %"),
    "ResNeXt-101 32 x 4d": ("resnext101_32x4d", "21.2 / 5.6 %"),
    "ResNet-200": ("preact_resnet200", "21.7 / 5.8 %"),
    "ResNet-101 1 x 100d": ("resnet101_1x100d", "21.3 / 5.7 %"),
    "ResNeXt-101 2 x 64d": ("resnext101_2x64d", "20.7 / 5.5 %"),
    "ResNeXt-101 64 x 4d": ("resnext101_64x4d", "20.4 / 5.3 %"),
}
"""Table 4: each network, its name in the catalog, and its top-1 and top-5 errors."""

QUICK = Recipe(
    name="cardinality-quick",
    model=Model("cifar_resnext29_8x64d", options=("stem_width=16", "widening=1")),
    data=Data(source="tfds:cifar10", limit=6400, batch_size=64, eval_batch_size=1000),
    augment=Augment(flip=True, mean=cifar10.AUGMENT.mean, std=cifar10.AUGMENT.std),
    optimizer=Optimizer(learning_rate=0.1, weight_decay=5e-4, nesterov=True),
    schedule=Schedule("one_cycle", warmup=0.25),
    epochs=3,
    eval_every=3,
    log_every=10,
)
"""300 steps on 6400 images and their mirror images."""

PAPER = imagenet.CLASSIC


def recipes_of(options: Options) -> dict[str, Recipe]:
    """Every network's recipe, by its name in the table."""
    if options.scale == "quick":
        base = QUICK
        models = {
            name: dataclasses.replace(
                base.model, options=(*base.model.options, f"cardinality={groups}", f"group_width={width}")
            )
            for name, (groups, width) in SMALL.items()
        }
    else:
        base = PAPER
        models = {name: dataclasses.replace(base.model, name=model) for name, (model, _) in PAPER_ARMS.items()}
    return variations("cardinality", base, models, options)


def study(options: Options) -> Study:
    """The networks, and what is said of them."""
    quick = options.scale == "quick"
    published = {} if quick else {name: errors for name, (_, errors) in PAPER_ARMS.items()}
    claims = quick_claims if quick else paper_claims
    return compare("cardinality", recipes_of(options), published, claims, options)


def run(options: Options) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def quick_claims(results: Results) -> dict[str, bool]:
    """That groups are no worse, at equal parameters."""
    counts = [result.parameters for result in results.values()]
    loss = {name: result.mean("train_loss") for name, result in results.items()}
    return {
        "the parameters are equal to 2 %": max(counts) <= 1.02 * min(counts),
        "4 groups have no higher training loss than one": loss["4 x 6d"] <= loss["1 x 16d"],
    }


def paper_claims(results: Results) -> dict[str, bool]:
    """What the table says of test errors."""
    error = {name: result.error("accuracy") for name, result in results.items()}
    wider = error["ResNet-101 1 x 100d"]
    return {
        "at equal complexity 32 groups have a lower error than one": error["ResNeXt-101 32 x 4d"]
        < error["ResNet-101 1 x 64d"],
        "at twice the complexity 64 groups have a lower error than a wider network": error["ResNeXt-101 64 x 4d"]
        < wider,
        "and than a deeper one": error["ResNeXt-101 64 x 4d"] < error["ResNet-200"],
        "32 groups at half the complexity have a lower error than ResNet-200": error["ResNeXt-101 32 x 4d"]
        < error["ResNet-200"],
    }
