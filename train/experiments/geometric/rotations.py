"""Digits that are turned: a plain network against its twins of equal size on the group p4. Lecture row L79.

    python -m train experiment rotations                     scikit-learn's digits on 16 x 16 pixels, five seeds
    python -m train experiment rotations --data-set mnist    12,000 digits of MNIST, the paper's networks, 5 epochs
    python -m train experiment rotations --scale paper       all of MNIST, a hundred thousand parameters, 10 epochs

Each network learns from upright digits, and then from digits turned by any angle; either is tested on upright digits,
on digits turned by multiples of 90 degrees, and by any angle.

Cohen and Welling, 2016, Group Equivariant Convolutional Networks, Table 1: test errors on rotated MNIST (12,000 digits
to learn from, 50,000 to test), the mean of ten runs. University of Amsterdam, 2022, Deep Learning 2 tutorials, Group
Equivariant Neural Networks: learned from upright MNIST in 10 epochs and tested on turned digits, a CNN of 103,690
parameters is right in 47.35 %, a p4 network of 102,970 in 90.70 %.
"""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.config import Model, Recipe
from train.experiments import Turning
from train.experiments.bars import grouped_bars
from train.experiments.geometric.held_out import accuracies, upright_and_turned
from train.experiments.study import Results, Study
from train.experiments.tables import grid, smaller
from train.recipes.equivariant import DIGITS_P4CNN, MNIST_P4CNN
from train.store.workdir import Workdir

PLAIN, POOLED, P4 = "Z2CNN", "P4CNN, pooled", "P4CNN"
"""The second forgets after each layer how what it sees is turned."""
UPRIGHT, TURNED = "upright", "turned"
TESTS = {"upright": "accuracy_upright", "by 90 degrees": "accuracy_quarters", "by any angle": "accuracy_any"}
"""What is tested, and what its accuracy is called."""
NETWORKS = {PLAIN: "z2cnn", POOLED: "p4cnn_pooled", P4: "p4cnn"}
WIDE = {PLAIN: 46, POOLED: 46, P4: 22}
"""Channels at paper scale, in place of those of Cohen and Welling: some 101,000 to 104,000 parameters."""
FEW, FEW_EPOCHS = 12_000, 5
"""Digits of MNIST at quick scale, and how often they are learned."""
SEEDS = {"digits": 5, "mnist": 1}
PUBLISHED_ERRORS = {PLAIN: 5.03, POOLED: 3.21, P4: 2.28}
"""In percent, of rotated MNIST."""
TUTORIAL = {PLAIN: 47.35, P4: 90.70}
"""Accuracy in percent, learned upright and tested turned."""
GAPS = {"digits": 20.0, "mnist": TUTORIAL[P4] - TUTORIAL[PLAIN]}
"""By how many points P4CNN is to be ahead then: on MNIST as in the tutorial."""


def arm_of(network: str, learned: str) -> str:
    """The name of an arm.

    >>> arm_of(P4, UPRIGHT)
    'P4CNN, upright'
    """
    return f"{network}, {learned}"


def base_of(options: Turning) -> Recipe:
    """What all arms share."""
    if options.images == "digits":
        return DIGITS_P4CNN
    if options.scale == "paper":
        return MNIST_P4CNN
    few = dataclasses.replace(MNIST_P4CNN.data, limit=FEW)
    return dataclasses.replace(MNIST_P4CNN, data=few, epochs=FEW_EPOCHS)


def recipes_of(options: Turning) -> dict[str, Recipe]:
    """Every network on either kind of digits."""
    base, arms = base_of(options), {}
    wide = options.scale == "paper" and options.images == "mnist"
    for network, name in NETWORKS.items():
        width = (f"width={WIDE[network]}",) if wide else ()
        for learned in (UPRIGHT, TURNED):
            turns = (-180.0, 180.0) if learned == TURNED else ()
            arms[arm_of(network, learned)] = dataclasses.replace(
                base,
                name=f"rotations-{options.scale}-{options.images}-{name}-{learned}",
                model=Model(name, options=(*base.model.options, *width)),
                data=dataclasses.replace(base.data, data_dir=options.data_dir, rotate=turns),
            )
    return arms


def study(options: Turning) -> Study:
    """All arms, each tested on digits of all kinds, and what is said of them."""
    seeds = options.seeds or SEEDS[options.images]
    said = functools.partial(claims, options.images)
    return Study("rotations", recipes_of(options), seeds, said, table, figure, options.seed, measure=measure)


def run(options: Turning) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def measure(path: Path) -> Mapping[str, float]:
    """Accuracies of a run on upright and on turned digits."""
    return accuracies(path, upright_and_turned(Workdir(path).read_recipe().data))


def claims(images: str, results: Results) -> dict[str, bool]:
    """What is exact, the tutorial's gap on MNIST, and the paper's order."""
    upright = {network: results[arm_of(network, UPRIGHT)] for network in NETWORKS}
    errors = {network: results[arm_of(network, TURNED)].error("accuracy_any") for network in NETWORKS}
    ours, plain = (100 * upright[network].mean("accuracy_any") for network in (P4, PLAIN))
    lost = {
        network: abs(result.mean("accuracy_upright") - result.mean("accuracy_quarters"))
        for network, result in upright.items()
    }
    found = {
        "learned upright, P4CNN is as good on digits turned by 90 degrees": lost[P4] < 0.001,
        "and the plain network is not": lost[PLAIN] > 0.1,
        f"by any angle, P4CNN is ahead by {GAPS[images]:.2f} points or more": ours - plain >= GAPS[images],
    }
    if images == "mnist":
        found[f"and right in {TUTORIAL[P4]:.2f} % or more"] = ours >= TUTORIAL[P4]
    return found | {
        "learned turned, the plain network errs most": smaller(max(errors[P4], errors[POOLED]), errors[PLAIN]),
        "and P4CNN least": smaller(errors[P4], min(errors[PLAIN], errors[POOLED])),
    }


def table(results: Results) -> str:
    """Accuracy in percent of every network on digits of every kind, and the published numbers."""
    ours = {arm: [results[arm].percent(metric) for metric in TESTS.values()] for arm in results}
    parameters = ", ".join(f"{network} {results[arm_of(network, UPRIGHT)].parameters:,}" for network in NETWORKS)
    theirs = {
        "Cohen and Welling, error (%)": [f"{value:.2f}" for value in PUBLISHED_ERRORS.values()],
        "tutorial, learned upright, accuracy (%)": [
            f"{TUTORIAL[network]:.2f}" if network in TUTORIAL else "" for network in NETWORKS
        ],
    }
    return (
        f"{grid('accuracy (%): network, learned', [f'tested {name}' for name in TESTS], ours)}\n"
        f"Parameters: {parameters}.\n\n{grid('published, turned digits', list(NETWORKS), theirs)}"
    )


def figure(results: Results) -> Any:
    """A group of bars a test, in it the networks that learned from upright digits, and P4CNN that saw turned ones."""
    arms = [*(arm_of(network, UPRIGHT) for network in NETWORKS), arm_of(P4, TURNED)]
    series = {
        arm: [(results[arm].mean(metric, 100), results[arm].spread(metric, 100)) for metric in TESTS.values()]
        for arm in arms
    }
    return grouped_bars([f"tested {name}" for name in TESTS], series, y="accuracy (%)", size=(8.0, 3.4))
