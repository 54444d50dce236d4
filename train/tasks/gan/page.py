"""How a generator is shown: how near its images are to real ones, a grid of them, ways between them, and their nearest.

The page reads the run's training examples again: what was made is compared with them, and so are they with held-out
ones. Where they cannot be read, the page says so.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.config import DataError, RunError
from train.config.codec import from_dict
from train.data import load
from train.report import Results, Run
from train.report.blocks import bars, section, table
from train.report.sample import Leading, spread
from train.report.sections import themed
from train.report.theme import pixels
from train.report.words import grouped, percent
from train.tasks.gan.drawing import as_bytes, mosaic
from train.tasks.gan.embedding import MOST, as_pixels, evenly
from train.tasks.gan.judge import NearnessJudge
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.frontiers.fidelity import nearest

SHOWN, COLUMNS = 64, 16
"""Images of the grid, and how many stand in a row."""
PATHS, NEIGHBOURS = 8, 16
"""Ways that are shown, and images beside their nearest."""
FRAMES = 8
"""Most evaluations that are shown, spread over the run."""


class Training(NamedTuple):
    """What the page reads of the training examples."""

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int[np.ndarray, " n"]
    features: Float[np.ndarray, "n features"]


class GanPage:
    """The page of a generator. It keeps features, and a few images.

    Args:
      judge: of this page alone.
      names: of the classes.
    """

    def __init__(self, judge: NearnessJudge, names: Sequence[str]) -> None:
        self.judge, self.names = judge, tuple(names)
        self.some = Leading(SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        self.judge.add(batch, predicted)
        rows = batch["index"]
        shown = {"image": batch["image"], "path": as_bytes(predicted["path"])}
        self.some.add(spread(rows), rows, lambda chosen: {name: value[chosen] for name, value in shown.items()})

    def merge(self, other: "GanPage") -> None:
        """See `Page`."""
        self.judge.merge(other.judge)
        self.some.merge(other.some)

    def results(self, run: Run) -> Results:
        """See `Page`; without training examples, what compares with them is left out."""
        scores, count = self.judge.scores(), len(self.judge.made)
        training, notes = None, []
        try:
            training = self._training(run)
        except (RunError, DataError, KeyError, TypeError, ValueError) as error:
            notes = [f"The training examples cannot be read: nothing is compared with them ({error})."]
        if math.isnan(scores["frechet"]):
            few = f"{count} images are too few to measure (more than {self.judge.neighbours}), or not all are finite."
            notes.append(few)
        kept = self.some.examples(by_row=True)
        samples, picture = self._samples(kept)
        sections = [samples, self._paths(kept)]
        if training is not None:
            sections = [self._nearness(training), *sections, self._copies(training, kept), self._classes(training)]
        if run.seen:
            sections.append(self._over_the_run(run))
        quality, variety = (percent(scores[name], 1, 1) for name in ("precision", "recall"))
        return Results(
            value=f"{scores['frechet']:.2f}",
            label="Fréchet distance to held-out images",
            detail=f"precision {quality}, recall {variety}, of {grouped(count)} images that were made",
            sections=sections,
            pictures={"samples.png": picture},
            notes=notes,
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: the discriminator's probability that the image is real."""
        return {"real": float(predicted["real"])}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`."""
        return f"taken for real: {percent(float(predicted['real']), 1, 1)}"

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image, and under it images from one point of the latents to the next."""
        rows = [[example["image"]], list(as_bytes(predicted["path"]))]
        return pixels(mosaic(rows, [self.words(predicted), "made"]), dpi=150)

    def _training(self, run: Run) -> Training:
        """The training examples, at most `MOST`, spread over all."""
        source = load(from_dict(dict(run.card["recipe"])).data, "train")
        found = source.read(evenly(len(source), MOST))
        return Training(found["image"], found["label"], self.judge.features(found["image"]))

    def _nearness(self, training: Training) -> str:
        """The generator beside what is as good, and what is as bad, as can be expected."""
        count = len(self.judge.made)
        same = training.features[np.linspace(0, len(training.features) - 1, count).round().astype(int)]
        rows = [
            ("what was made", self.judge.scores()),
            ("training images", self.judge.of(same)),
            ("a normal distribution of pixels", self.judge.of(self.judge.features(normal(training.images, count)))),
        ]
        text = (
            f"Each is compared with the {grouped(len(self.judge.real))} held-out images on {same.shape[1]} features of "
            "a small classifier. Training images are as near as can be; pixels drawn from the normal distribution with "
            "the mean and the covariance of the training images are no images of anything."
        )
        columns = ("", "Fréchet distance", "precision", "recall")
        lines = [
            (name, f"{found['frechet']:.2f}", percent(found["precision"], 1, 1), percent(found["recall"], 1, 1))
            for name, found in rows
        ]
        return section("How near to real images", table(columns, lines), text=text)

    def _samples(self, kept: Sequence[Mapping[str, Any]]) -> tuple[str, bytes]:
        """Images that were made, and real ones under them."""
        made, real = [each["path"][0] for each in kept], [each["image"] for each in kept]
        columns = min(COLUMNS, len(kept))
        whole = len(kept) - len(kept) % columns
        lines = [made[at : at + columns] for at in range(0, whole, columns)]
        block, light = themed(lambda theme: mosaic(lines, theme=theme), "Images that were made.")
        below = [real[:columns]]
        real_block, _ = themed(lambda theme: mosaic(below, theme=theme), "Held-out images.")
        text = f"{whole} of random points of the latents, none chosen; under them {columns} held-out images."
        return section("Made", block, real_block, text=text), light

    def _paths(self, kept: Sequence[Mapping[str, Any]]) -> str:
        """From one point of the latents to another, in a straight line."""
        lines = [list(each["path"]) for each in kept[:PATHS]]
        block, _ = themed(lambda theme: mosaic(lines, theme=theme), "Images on straight lines between latents.")
        text = "Each row goes from one random point of the latents in equal steps to another."
        return section("From one to another", block, text=text)

    def _copies(self, training: Training, kept: Sequence[Mapping[str, Any]]) -> str:
        """Images beside the training images that are nearest, and how near they are."""
        made = np.stack([each["path"][0] for each in kept[:NEIGHBOURS]])
        found = nearest(as_pixels(made), as_pixels(training.images))
        lines = [list(made), list(training.images[np.asarray(found.place)])]
        block, _ = themed(
            lambda theme: mosaic(lines, ("made", "nearest"), theme=theme), "Images and the nearest training images."
        )
        rows = []
        for name, features in (("what was made", self.judge.made), ("held-out images", self.judge.real)):
            distance = np.asarray(nearest(features, training.features).distance)
            low, middle, high = np.quantile(distance, (0.05, 0.5, 0.95))
            rows.append((name, f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}"))
        text = (
            "Under each image the training image with the least squared difference of pixels. The table has distances "
            "of features to the nearest training image: of images that were learned by heart they would be near zero, "
            "and far below those of held-out images."
        )
        columns = ("distance to the nearest", "of 5 % below", "of half below", "of 95 % below")
        return section("Made or learned by heart", block, table(columns, rows), text=text)

    def _classes(self, training: Training) -> str:
        """Which share of what was made is of each class, by its nearest training image."""
        labels = training.labels[np.asarray(nearest(self.judge.made, training.features).place)]
        made, real = (np.bincount(each, minlength=len(self.names)) for each in (labels, training.labels))
        rows = [
            (
                name,
                number / len(labels),
                percent(number, len(labels), 1),
                f"{percent(of, len(training.labels), 1)} real",
            )
            for name, number, of in zip(self.names, made, real, strict=True)
        ]
        text = "The class of an image is that of the training image with the nearest features."
        return section("Of each class", bars(rows), text=text)

    def _over_the_run(self, run: Run) -> str:
        """What was made of the same points after some of the evaluations."""
        seen = sorted(run.seen, key=lambda each: each[0])
        shown = [seen[i] for i in np.unique(np.linspace(0, len(seen) - 1, FRAMES).round().astype(int))]
        lines = [list(as_bytes(arrays["sample"])) for _, arrays in shown]
        said = [f"step {grouped(step)}" for step, _ in shown]
        block, _ = themed(lambda theme: mosaic(lines, said, theme=theme), "What was made over the run.")
        return section("Over the run", block, text="Of the same points of the latents each time.")


def normal(images: UInt8[np.ndarray, "n *shape"], count: int) -> Float[np.ndarray, "count pixels"]:
    """Pixels from the normal distribution with the images' mean and covariance, cut off at 0 and 1.

    A sum of the centred images, each times a normal number over sqrt(n - 1), has their covariance.
    """
    rows = as_pixels(images)
    mean = rows.mean(axis=0)
    weights = np.random.default_rng(0).standard_normal((count, len(rows)), np.float32) / np.sqrt(max(len(rows) - 1, 1))
    return np.clip(mean + weights @ (rows - mean), 0, 1).astype(np.float32)
