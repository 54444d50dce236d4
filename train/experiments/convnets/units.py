"""The five residual units: what stands on the way of the sum makes deep networks harder to train. Lecture row L43.

    python -m train experiment units                  56 layers, part of the data at 16 x 16 pixels
    python -m train experiment units --scale paper    110 and 164 layers, 64k steps of all of it, as published

He, Zhang, Ren and Sun, 2016, Identity Mappings in Deep Residual Networks, Table 2 and Figure 6: of the unit that
normalises after the addition they say that the training loss falls slowly from the beginning.
"""

import dataclasses

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.experiments import Options
from train.experiments.convnets.comparison import compare, variations
from train.experiments.study import Results, Study
from train.recipes import cifar10

UNITS = {
    "original": "original",
    "BN after addition": "bn_after_addition",
    "ReLU before addition": "relu_before_addition",
    "ReLU-only pre-activation": "relu_only_preactivation",
    "full pre-activation": "full_preactivation",
}
"""The lecture's name of each unit, and ours."""

PAPER_TEST_ERROR = {
    "original": (6.61, 5.93),
    "BN after addition": (8.17, 6.50),
    "ReLU before addition": (7.84, 6.14),
    "ReLU-only pre-activation": (6.71, 5.91),
    "full pre-activation": (6.37, 5.46),
}
"""In percent: of ResNet-110 and ResNet-164."""

QUICK = Recipe(
    name="units-quick",
    model=Model("cifar_resnet56"),
    data=Data(
        source="tfds:cifar10", limit=640, batch_size=32, eval_batch_size=1000, crop=16, smallest_area=1.0, resize=16
    ),
    augment=Augment(flip=True, mean=cifar10.AUGMENT.mean, std=cifar10.AUGMENT.std),
    optimizer=Optimizer(learning_rate=0.03, nesterov=True, weight_decay=1e-4),
    schedule=Schedule("cosine", warmup=0.1),
    epochs=20,
    eval_every=20,
    log_every=10,
)
"""400 steps on 640 images and their mirror images."""

PAPER = cifar10.RESNET110


def recipes_of(options: Options) -> dict[str, Recipe]:
    """Every network's recipe, by its name in the table."""
    if options.scale == "quick":
        models = {name: dataclasses.replace(QUICK.model, options=(f"unit={unit}",)) for name, unit in UNITS.items()}
    else:
        models = {
            f"ResNet-{depth}, {name}": Model(f"cifar_resnet{depth}", options=(f"unit={unit}",))
            for depth in (110, 164)
            for name, unit in UNITS.items()
        }
    base = QUICK if options.scale == "quick" else PAPER
    return variations("units", base, models, options)


def study(options: Options) -> Study:
    """The networks, and what is said of them."""
    if options.scale == "quick":
        published = {name: f"{errors[0]:.2f} % (ResNet-110)" for name, errors in PAPER_TEST_ERROR.items()}
        return compare("units", recipes_of(options), published, quick_claims, options)
    published = {
        f"ResNet-{depth}, {name}": f"{errors[i]:.2f} %"
        for i, depth in enumerate((110, 164))
        for name, errors in PAPER_TEST_ERROR.items()
    }
    return compare("units", recipes_of(options), published, paper_claims, options)


def run(options: Options) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def quick_claims(results: Results) -> dict[str, bool]:
    """What shows in the first steps: the training loss."""
    loss = {name: result.mean("train_loss") for name, result in results.items()}
    return {
        "BN after addition has a higher training loss than the original": loss["BN after addition"] > loss["original"],
        "ReLU before addition has a higher training loss than the original": loss["ReLU before addition"]
        > loss["original"],
        "full pre-activation has a lower training loss than BN after addition": loss["full pre-activation"]
        < loss["BN after addition"],
    }


def paper_claims(results: Results) -> dict[str, bool]:
    """What the table says of test errors."""
    claims = {}
    for depth in (110, 164):
        error = {name: results[f"ResNet-{depth}, {name}"].error("accuracy") for name in UNITS}
        claims[f"ResNet-{depth}: full pre-activation has the lowest test error"] = (
            min(error, key=error.get) == "full pre-activation"
        )
        claims[f"ResNet-{depth}: BN after addition has the highest"] = max(error, key=error.get) == "BN after addition"
    return claims
