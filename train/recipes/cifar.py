"""The deep networks of the lecture on CIFAR-10 and CIFAR-100, as published. Lecture rows L43, L44, L47, L48.

python -m train prepare cifar100                           once
python -m train fit cifar10_preact_resnet164_paper
python -m train fit cifar10_preact_resnet110_paper --model.options unit=relu_only_preactivation
python -m train fit cifar100_resnext29_paper

Each is `cifar10_..._paper` and `cifar100_..._paper`; test errors of the papers, in percent, with flips and crops:

| recipe | CIFAR-10 | CIFAR-100 | source |
|---|--:|--:|---|
| resnet110 | 6.61 | | He et al., 2016, Identity Mappings, Table 2 |
| preact_resnet110 | 6.37 | | the same; four more units, by `--model.options unit=...`, are in L43 |
| preact_resnet164 | 5.46 | 24.33 | the same, Tables 2 and 4 |
| preact_resnet1001 | 4.62 | 22.71 | the same; 64 images a step, CIFAR-100 128 |
| resnext29 | 3.65 | 17.77 | Xie et al., 2017, Table 7, 8x64d |
| densenet_bc_100_12 | 4.51 | 22.27 | Huang et al., 2017, Table 2 |
| wide_resnet28_10 | 4.00 | 19.25 | Zagoruyko and Komodakis, 2016, Table 5 |

They take days without an accelerator. What differs from the papers: a warm-up that is linear, where the first ran
400 steps at a tenth of the rate; 64 images a step in ResNet-1001 for CIFAR-100 too; and black, not mirrored pixels
around the images of the last.
"""

import dataclasses
from collections.abc import Iterator

from train.config import Model, Optimizer, Recipe, Schedule
from train.recipes import cifar10

_STATISTICS = {
    "cifar10": (cifar10.AUGMENT.mean, cifar10.AUGMENT.std),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
"""Mean and standard deviation of the training images' channels."""

_SGD = Optimizer(learning_rate=0.1, momentum=0.9, nesterov=True, decay_all=True)

IDENTITY_MAPPINGS = dataclasses.replace(
    cifar10.RESNET110,
    name="preact_resnet110",
    model=Model("cifar_preact_resnet110"),
)
"""64k steps of 128 images, the rate divided by ten at 32k and 48k."""

BASES = (
    dataclasses.replace(cifar10.RESNET110, name="resnet110"),
    IDENTITY_MAPPINGS,
    dataclasses.replace(IDENTITY_MAPPINGS, name="preact_resnet164", model=Model("cifar_preact_resnet164")),
    dataclasses.replace(
        IDENTITY_MAPPINGS,
        name="preact_resnet1001",
        model=Model("cifar_preact_resnet1001", remat=True),
        data=dataclasses.replace(cifar10.DATA, batch_size=64),
        steps=128_000,  # as many epochs
        schedule=Schedule("step", warmup=0.003125, milestones=(0.5, 0.75)),
    ),
    Recipe(
        name="resnext29",
        model=Model("cifar_resnext29_8x64d"),
        data=cifar10.DATA,
        optimizer=dataclasses.replace(_SGD, weight_decay=5e-4),
        schedule=Schedule("step", milestones=(0.5, 0.75)),  # 150 and 225
        epochs=300,
    ),
    Recipe(
        name="densenet_bc_100_12",
        model=Model("cifar_densenet_bc_100_12"),
        data=dataclasses.replace(cifar10.DATA, batch_size=64),
        optimizer=dataclasses.replace(_SGD, weight_decay=1e-4),
        schedule=Schedule("step", milestones=(0.5, 0.75)),
        epochs=300,
    ),
    Recipe(
        name="wide_resnet28_10",
        model=Model("cifar_wide_resnet28_10"),
        data=cifar10.DATA,
        optimizer=dataclasses.replace(_SGD, weight_decay=5e-4),
        schedule=Schedule("step", milestones=(0.3, 0.6, 0.8), factor=0.2),  # 60, 120 and 160
        epochs=200,
    ),
)


def on(data_set: str, recipe: Recipe) -> Recipe:
    """The recipe for "cifar10" or "cifar100"."""
    mean, std = _STATISTICS[data_set]
    return dataclasses.replace(
        recipe,
        name=f"{data_set}_{recipe.name}_paper",
        data=dataclasses.replace(recipe.data, source=f"tfds:{data_set}"),
        augment=dataclasses.replace(cifar10.AUGMENT, mean=mean, std=std),
    )


def _recipes() -> Iterator[Recipe]:
    for data_set in _STATISTICS:
        for base in BASES:
            recipe = on(data_set, base)
            if recipe.name != cifar10.RESNET110.name:  # stands there
                yield recipe


RECIPES = tuple(_recipes())
