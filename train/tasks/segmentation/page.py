"""How segmentation is shown: intersection over union by class, confusion, and label maps over their images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report import Results, Run, blocks, figures
from train.report.blocks import section
from train.report.figures import NUMBERED_CLASSES
from train.report.sample import Leading, spread
from train.report.sections import drawn_examples, themed
from train.report.theme import pixels
from train.report.words import grouped, percent
from train.tasks.protocol import HostBatch, HostPrediction
from train.tasks.segmentation.drawing import Palette, Shown, panels
from train.tasks.segmentation.label_png import label_png
from train.tasks.segmentation.task import LABELS, mean_of_known
from zoo.dense import accuracy, intersection_over_union

SHOWN, COLUMNS = 12, 3
"""Examples of each section, and how many stand side by side."""
LARGEST = 160
"""Pixels a side of an example that is kept: of a larger one every second pixel, or every third, and so on."""
LEGEND = 2
"""Lines of the legend under a prediction: pictures of frames of a video have one size, whatever is predicted."""
WORDS = 5
"""Classes that a line names."""


class LabelMapPage:
    """The page of a task with a class a pixel. It keeps counts, the worst and the best examples, and some
    that are spread evenly.

    Args:
      names: one a label.
      background: the label that is not drawn, if any.
      ignore: the label of pixels that do not count.
    """

    def __init__(self, names: Sequence[str], background: int | None, ignore: int) -> None:
        self.palette = Palette(tuple(names), background, ignore)
        self.counts: Int[np.ndarray, "classes classes"] = np.zeros((len(names), len(names)), np.int64)
        """Pixels of the class of the row that were taken for that of the column."""
        self.images = 0
        self.worst, self.best, self.some = Leading(SHOWN), Leading(SHOWN), Leading(SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        true, guess, rows = batch["label_map"], predicted["label_map"], batch["index"]
        if not len(true):
            return
        counts = np.stack([self._confusion(*pair) for pair in zip(true, guess, strict=True)])
        self.counts += counts.sum(axis=0)
        self.images += len(true)
        ious = np.array([mean_of_known(values) for values in intersection_over_union(counts)])
        measured = np.flatnonzero(~np.isnan(ious))  # of an image that is all ignored nothing is known

        def kept(chosen: np.ndarray) -> dict[str, np.ndarray]:
            these = measured[chosen]
            every = -(-max(true.shape[1:]) // LARGEST)
            maps = {"image": batch["image"], "true": true, "predicted": guess}
            return {**{name: value[these, ::every, ::every] for name, value in maps.items()}, "iou": ious[these]}

        self.worst.add(ious[measured], rows[measured], kept)
        self.best.add(-ious[measured], rows[measured], kept)
        self.some.add(spread(rows[measured]), rows[measured], kept)

    def merge(self, other: "LabelMapPage") -> None:
        """See `Page`."""
        self.counts, self.images = self.counts + other.counts, self.images + other.images
        self.worst.merge(other.worst)
        self.best.merge(other.best)
        self.some.merge(other.some)

    def results(self, run: Run) -> Results:
        """See `Page`; where there was no pixel that counts, it says so."""
        ious = intersection_over_union(self.counts)
        classes, confusion = self._classes(ious)
        some, examples = self._examples(self.some.examples(by_row=True), "Examples", "spread evenly over the test set")
        worst, _ = self._examples(self.worst.examples(), "Worst examples", "the smallest mean IoU first")
        best, _ = self._examples(self.best.examples(), "Best examples", "the largest mean IoU first")
        count, images = int(self.counts.sum()), f"{grouped(self.images)} images"
        detail = f"no pixel that counts in {images}"
        if count:
            right = f"{percent(accuracy(self.counts), 1)} of {grouped(count)} pixels in {images} are right"
            detail = f"of {int((~np.isnan(ious)).sum())} classes; {right}"
        return Results(
            value=percent(mean_of_known(ious), 1) if count else "–",
            label="test mean IoU",
            detail=detail,
            sections=[classes, some, worst, best],
            pictures={"confusion.png": confusion, **examples},
            notes=[] if count else ["There is no pixel that counts in the held-out images: no mean IoU."],
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: the share of each class, and the label map, row by row, as runs of [label, pixels].

        Pixels labelled "ignore" are those of a file that the model did not see.
        """
        labels = predicted["label_map"]
        height, width = labels.shape
        flat = labels.ravel()
        starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
        lengths = np.diff(starts, append=flat.size)
        runs = [[int(flat[start]), int(length)] for start, length in zip(starts, lengths, strict=True)]
        names, ignore = list(self.palette.names), self.palette.ignore
        size = {"height": height, "width": width}
        return {"shares": dict(self._shares(labels)), **size, "names": names, "ignore": ignore, "runs": runs}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the classes, by their share of the image."""
        shares = self._shares(predicted["label_map"])
        named = (
            shares
            if self.palette.background is None
            else [(name, share) for name, share in shares if name != self.palette.names[self.palette.background]]
        )
        listed = ", ".join(f"{name} {100 * share:.1f} %" for name, share in named[:WORDS])
        more = f", {len(named) - WORDS} more" if len(named) > WORDS else ""
        return f"{listed}{more}" if named else "background alone"

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image beside the label map over it."""
        shown = Shown(example["image"], example.get("label_map"), predicted["label_map"], self.words(predicted))
        return pixels(panels([shown], self.palette, side=3.2, legend_lines=LEGEND), dpi=150)

    def files(self, predicted: HostPrediction) -> dict[str, bytes]:
        """See `Page`: the label map as a PNG of the numbers of the classes."""
        names, background, ignore = self.palette
        return {LABELS: label_png(predicted["label_map"], len(names), background, ignore)}

    def _confusion(
        self, true: Int[np.ndarray, "height width"], guess: Int[np.ndarray, "height width"]
    ) -> Int[np.ndarray, "classes classes"]:
        counted, classes = true != self.palette.ignore, len(self.palette.names)
        pairs = classes * true[counted].astype(np.int64) + guess[counted]
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def _shares(self, labels: Int[np.ndarray, "height width"]) -> list[tuple[str, float]]:
        """Each class that is there, and its share of what is known, the largest first."""
        known = labels[labels != self.palette.ignore]
        counts = np.bincount(known, minlength=len(self.palette.names))
        order = [label for label in np.argsort(-counts, kind="stable") if counts[label]]
        return [(self.palette.names[label], float(counts[label] / known.size)) for label in order]

    def _examples(self, kept: Sequence[Mapping[str, Any]], title: str, order: str) -> tuple[str, dict[str, bytes]]:
        """See `drawn_examples`."""
        shown = [
            Shown(
                each["image"], each["true"], each["predicted"], f"example {each['row']}: {percent(each['iou'], 1, 1)}"
            )
            for each in kept
        ]
        text = ", with the mean IoU of the classes in each. Grey pixels do not count."
        return drawn_examples(
            title, shown, lambda theme: panels(shown, self.palette, COLUMNS, theme=theme), order, text
        )

    def _classes(self, ious: Float[np.ndarray, "classes"]) -> tuple[str, bytes]:
        """IoU of each class as bars, and the confusion matrix in percent of each row, also as a PNG."""
        names, support = self.palette.names, self.counts.sum(axis=1)
        rows = [
            (name, None, "–", "none") if np.isnan(iou) else (name, iou, percent(iou, 1, 1), f"{grouped(count)} pixels")
            for name, iou, count in zip(names, ious, support, strict=True)
        ]
        text = "Intersection over union: pixels that are a class and predicted as it, over those that are either."
        bars = section("Classes", blocks.bars(rows), text=text)
        shares = np.rint(100 * self.counts / np.maximum(support, 1)[:, None]).astype(np.int64)
        chart, light = themed(lambda theme: figures.confusion_matrix(shares, names, theme), "Confusion matrix.")
        matrix = blocks.matrix(shares, names) if len(names) <= NUMBERED_CLASSES else chart
        text = "Rows are true classes, columns predicted ones, in percent of the row's pixels."
        return bars + section("Confusion matrix", matrix, text=text), light
