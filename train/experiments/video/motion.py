"""What is seen in one frame, in flow, in both and by a 3D network. Lecture rows L49-L51.

    python -m train experiment motion                  moving digits, small networks
    python -m train experiment motion --scale paper    twice as long, with three seeds

Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks for Action Recognition in Videos, Table 4: on UCF-101 a
spatial stream, a temporal one, and the mean of their probabilities. Here the two things that tell classes apart are
kept apart: where `motion` is the class no frame says more than chance, and where it is `both` digit and direction, each
alone leaves three or four classes open. Streams are ResNet-8; "mean" trains nothing, but averages the probabilities of
the two streams; "learned" trains both under one classifier. What it comes to is in `zoo/video/README.md`.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.config import Recipe, RunError
from train.engine.console import Console
from train.engine.seeds import folder_for
from train.experiments import SeededOptions
from train.experiments.bars import grouped_bars
from train.experiments.study import Result, Results, Study
from train.experiments.tables import grid
from train.experiments.video.held_out import accuracy, chances_of
from train.recipes.video import R3D, SPATIAL, TEMPORAL, TWO_STREAM

FRAME, FLOW, MEAN, LEARNED, CLIP = "one frame", "flow", "frame and flow, mean", "frame and flow, learned", "3D network"
NETWORKS = {FRAME: SPATIAL, FLOW: TEMPORAL, LEARNED: TWO_STREAM, CLIP: R3D}
MOTION, BOTH = "motion", "both"
CHANCE = {MOTION: 1 / 10, BOTH: 1 / 12}
ALONE = {MOTION: 1 / 10, BOTH: 1 / 4}
"""The most that one frame can be right, were digits read without a mistake."""
SEEDS = {"quick": 1, "paper": 3}
PUBLISHED = {FRAME: "73.0", FLOW: "83.7", MEAN: "86.9"}
"""Accuracy on UCF-101 in percent: Tables 1, 2 and 4 of the paper, with what ImageNet taught the spatial stream."""


def arm_of(network: str, what: str) -> str:
    """What a network on some clips is called."""
    return f"{what}: {network}"


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Every network on clips of both sorts: they differ in network, and in what it is given."""
    arms = {}
    for what in (MOTION, BOTH):
        for network, recipe in NETWORKS.items():
            epochs = recipe.epochs * (2 if options.scale == "paper" else 1)
            arms[arm_of(network, what)] = dataclasses.replace(
                recipe,
                name=f"motion-{options.scale}-{what}-{recipe.name}",
                data=dataclasses.replace(recipe.data, source=f"moving_clips:{what}"),
                epochs=epochs,
                eval_every=epochs,
            )
    return arms


@dataclasses.dataclass(frozen=True)
class Fused(Study):
    """A study that also averages what its streams say of each video."""

    def train(self, workdir: Path, console: Console) -> dict[str, Result]:
        """See `Study`; with the mean of both streams as an arm that trains nothing."""
        results = super().train(workdir, console)
        for what in (MOTION, BOTH):
            streams = [self.arms[arm_of(network, what)] for network in (FRAME, FLOW)]
            found = []
            for seed in range(self.first, self.first + self.seeds):
                kept = [_kept(dataclasses.replace(recipe, seed=seed), workdir) for recipe in streams]
                found.append(accuracy(np.mean([chances for chances, _ in kept], axis=0), kept[0][1]))
            parts = [results[arm_of(network, what)] for network in (FRAME, FLOW)]
            results[arm_of(MEAN, what)] = Result({"accuracy": found}, parameters=sum(each.parameters for each in parts))
        return results


def study(options: SeededOptions) -> Fused:
    """Every arm, and what is said of them."""
    count = options.count(SEEDS)
    return Fused("motion", recipes_of(options), count, claims, table, figure, options.seed, measure=measure)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def measure(path: Path) -> Mapping[str, float]:
    """Writes down what a run says of each held-out video, for the mean of two."""
    chances, labels = chances_of(path)
    np.savez(path / "held_out.npz", chances=chances, labels=labels)
    return {}


def _kept(recipe: Recipe, workdir: Path) -> tuple[np.ndarray, np.ndarray]:
    file = folder_for(recipe, workdir / recipe.name / f"seed-{recipe.seed}") / "held_out.npz"
    if not file.is_file():
        raise RunError(f"{file}: expected what the run says of each held-out video; remove {file.parent.parent}")
    with np.load(file) as arrays:
        return arrays["chances"], arrays["labels"]


def claims(results: Results) -> dict[str, bool]:
    """The lecture's statements, of the means over the seeds; nan is not ahead of anything."""
    of = {arm: result.mean("accuracy") for arm, result in results.items()}
    spatial, chance = of[arm_of(FRAME, MOTION)], CHANCE[MOTION]
    found = {
        "where motion alone tells, one frame is at chance (within 6 points)": abs(spatial - chance) <= 0.06,
        "and flow is at three times chance or more": of[arm_of(FLOW, MOTION)] >= 3 * chance,
        "and so is the 3D network": of[arm_of(CLIP, MOTION)] >= 3 * chance,
    }
    alone = max(of[arm_of(FRAME, BOTH)], of[arm_of(FLOW, BOTH)])
    found["where both tell, one frame does not say more than the digit"] = of[arm_of(FRAME, BOTH)] <= (
        ALONE[BOTH] + 0.06
    )
    found["and the mean of both streams is ahead of either"] = of[arm_of(MEAN, BOTH)] > alone
    return found


def table(results: Results) -> str:
    """Accuracy in percent; under it the paper's."""
    networks = (FRAME, FLOW, MEAN, LEARNED, CLIP)
    rows = {
        network: [*(results[arm_of(network, what)].percent("accuracy") for what in (MOTION, BOTH))]
        for network in networks
    }
    rows["chance"] = [f"{100 * CHANCE[what]:.1f}" for what in (MOTION, BOTH)]
    rows["the most of one frame"] = [f"{100 * ALONE[what]:.1f}" for what in (MOTION, BOTH)]
    ours = grid("accuracy (%), ours", ["the class is the motion", "the class is digit and direction"], rows)
    theirs = {network: [value] for network, value in PUBLISHED.items()}
    return f"{ours}\n{grid('the paper', ['UCF-101 (%)'], theirs)}"


def figure(results: Results) -> Any:
    """A group of bars a sort of clips, with the spread over the seeds."""
    series = {
        network: [
            (
                results[arm_of(network, what)].mean("accuracy", 100),
                results[arm_of(network, what)].spread("accuracy", 100),
            )
            for what in (MOTION, BOTH)
        ]
        for network in (FRAME, FLOW, MEAN, LEARNED, CLIP)
    }
    return grouped_bars(["motion", "digit and direction"], series, size=(7.5, 3.4))
