"""A network that learned a colour where a digit was meant, and how to see that it did. Lecture row L99.

    python -m train experiment shortcut                  coloured digits
    python -m train experiment shortcut --scale paper    twice as long, with three seeds

Correlation against understanding, as experiment `context` has it of videos. Of the training images the ground nearly
always has the colour of the class (`coloured_digits:own`): a network need not look at the digit. It is as good as any
on test images of the same kind, which is why that test says nothing. Interventions do: the same digits on the ground of
another class, on grey, and the ground without a digit. Another network learns from grounds that say nothing.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from train import data
from train.config import Data, Recipe
from train.experiments import SeededOptions
from train.experiments.bars import grouped_bars
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.experiments.trained_runs import classifier_of
from train.recipes.digits import DIGITS
from zoo.frontiers import effect

SHORTCUT, NONE = "colour goes with the class", "any colour"
GROUNDS = {SHORTCUT: "own", NONE: "any"}
"""What each network learns from."""
TESTS = {
    "own": "its colour",
    "other": "another's",
    "grey": "grey",
    "empty": "no digit",
}
"""The grounds of test images, and what they are in the table."""
SAME = "same_answer"
"""The share of digits whose answer is the same on their own and on another class's colour."""
SEEDS = {"quick": 1, "paper": 3}
EPOCHS = 20


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """The same network and digits on both kinds of grounds."""
    epochs = EPOCHS * (2 if options.scale == "paper" else 1)
    return {
        arm: dataclasses.replace(
            DIGITS,
            name=f"shortcut-{options.scale}-{ground}",
            data=Data(f"coloured_digits:{ground}", batch_size=64, eval_batch_size=360),
            epochs=epochs,
            eval_every=epochs,
        )
        for arm, ground in GROUNDS.items()
    }


def study(options: SeededOptions) -> Study:
    """Both arms, tested on every ground, and what is said of them."""
    count = options.count(SEEDS)
    return Study("shortcut", recipes_of(options), count, claims, table, figure, options.seed, measure=measure)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def measure(path: Path) -> Mapping[str, float]:
    """Accuracies of a run on the same digits on every ground, and how often their colour changes the answer."""
    classifier, _, labels = classifier_of(path)
    logits = {ground: jax.jit(classifier)(pixels_of(ground)) for ground in TESTS}
    found = {ground: effect(logits["own"], each, labels) for ground, each in logits.items()}
    return {
        **{f"accuracy_{ground}": float(each.changed_accuracy) for ground, each in found.items()},
        SAME: float(found["other"].same_answer),
    }


def pixels_of(ground: str) -> np.ndarray:
    """The test images on a ground, from 0 to 1."""
    images = data.load(Data(f"coloured_digits:{ground}"), "test").arrays()["image"]
    return images.astype(np.float32) / np.float32(255)


def claims(results: Results) -> dict[str, bool]:
    """What a test of the same kind hides, of the means over the seeds; nan is not ahead of anything."""
    of = {arm: {g: result.mean(f"accuracy_{g}") for g in TESTS} for arm, result in results.items()}
    fooled, better = of[SHORTCUT], of[NONE]
    same = {arm: result.mean(SAME) for arm, result in results.items()}
    return {
        "on images of the same kind the network with the shortcut is right as often": fooled["own"]
        >= better["own"] - 0.01,
        "on another class's colour it loses 20 points or more": fooled["own"] - fooled["other"] >= 0.2,
        "the colour alone tells it the class more often than not": fooled["empty"] > 0.5,
        "a network whose grounds said nothing loses less than 5 points": better["own"] - better["other"] < 0.05,
        "and its answers change less often with the colour": same[NONE] > same[SHORTCUT],
    }


def table(results: Results) -> str:
    """Accuracy in percent on each ground, and how often the answer stays on another."""
    rows = {
        arm: [*(result.percent(f"accuracy_{ground}") for ground in TESTS), result.percent(SAME)]
        for arm, result in results.items()
    }
    columns = [f"on {name}" if name != TESTS["empty"] else name for name in TESTS.values()]
    return grid("learned from: accuracy (%)", [*columns, "same answer on another's"], rows)


def figure(results: Results) -> Any:
    """A group of bars a ground, with the spread over the seeds."""
    names = [f"accuracy_{ground}" for ground in TESTS]
    series = {
        arm: [(result.mean(name, 100), result.spread(name, 100)) for name in names] for arm, result in results.items()
    }
    return grouped_bars(list(TESTS.values()), series)
