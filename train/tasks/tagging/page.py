"""How tagging is shown: accuracy of the steps, confusion of the classes, and what single sequences were read as."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from train.report import Results, Run, figures
from train.report.blocks import section
from train.report.picture import example_picture
from train.report.sample import Leading, pictured, spread
from train.report.sections import Example, examples, sheet, themed
from train.report.words import grouped, percent
from train.tasks.protocol import HostBatch, HostPrediction

WORST_SHOWN, SOME_SHOWN = 12, 12


class TagPage:
    """The page of a task with a class a step. It keeps counts, the worst sequences, and some that are spread evenly.

    Args:
      names: one a class.
      ignore: the tag of steps that do not count.
    """

    def __init__(self, names: Sequence[str], ignore: int = -1) -> None:
        self.names, self.ignore = tuple(names), ignore
        self.counts: Int[np.ndarray, "classes classes"] = np.zeros((len(self.names), len(self.names)), np.int64)
        """Steps of the class of the row that were taken for that of the column."""
        self.sequences = self.whole = 0
        self.worst, self.some = Leading(WORST_SHOWN), Leading(SOME_SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        true, guess, rows = batch["tags"], predicted["tags"], batch["index"]
        if not len(true):
            return
        known = true != self.ignore
        np.add.at(self.counts, (true[known], guess[known]), 1)
        wrong, counted = (known & (true != guess)).sum(axis=1), known.any(axis=1)
        self.sequences += int(counted.sum())
        self.whole += int((wrong[counted] == 0).sum())
        said = {"tags": true, "guess": guess, "wrong": wrong}
        bad, every = np.flatnonzero(wrong), np.arange(len(true))
        self.worst.add(-wrong[bad].astype(np.float64), rows[bad], pictured(batch["image"], bad, **said))
        self.some.add(spread(rows), rows, pictured(batch["image"], every, **said))

    def merge(self, other: "TagPage") -> None:
        """See `Page`."""
        self.counts = self.counts + other.counts
        self.sequences, self.whole = self.sequences + other.sequences, self.whole + other.whole
        self.worst.merge(other.worst)
        self.some.merge(other.some)

    def results(self, run: Run) -> Results:
        """See `Page`.

        Raises:
          ValueError: there was no example.
        """
        if not len(self.some):
            raise ValueError("expected predictions of at least one example")
        right, count = int(self.counts.trace()), int(self.counts.sum())
        whole = percent(self.whole, self.sequences) if self.sequences else "–"
        block, confusion = themed(
            lambda theme: figures.confusion_matrix(self.counts, self.names, theme), "Confusion matrix of the steps."
        )
        worst = [self._shown(**kept) for kept in self.worst.examples()]
        some = [self._shown(**kept) for kept in self.some.examples(by_row=True)]
        return Results(
            value=percent(right, count) if count else "–",
            label="test accuracy of the steps",
            detail=f"{grouped(count - right)} wrong of {grouped(count)} steps; "
            f"{whole} of {grouped(self.sequences)} sequences without an error",
            sections=[
                section("Classes", block, text="Rows are true classes of steps, columns predicted ones."),
                examples("Worst sequences", worst, "most wrong steps first", wrong=True),
                examples("Examples", some, "spread evenly over the test set"),
            ],
            pictures={"confusion.png": confusion, "predictions.png": sheet(worst, some)},
            notes=[] if count else ["No step of the held-out sequences has a class."],
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: the sequence as runs of [class, steps]."""
        return {"runs": [[name, steps] for name, steps in self._runs(predicted["tags"])]}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the classes in their order, each run of steps once."""
        return self._read(predicted["tags"])

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image over what it was read as."""
        return example_picture(example["image"], caption=self.words(predicted))

    def _shown(self, row: int, image: np.ndarray, tags: np.ndarray, guess: np.ndarray, wrong: int) -> Example:
        steps = "1 step" if wrong == 1 else f"{int(wrong)} steps"
        return Example(row, image, (self._read(guess), f"true {self._read(tags)}", f"{steps} wrong"))

    def _read(self, tags: Int[np.ndarray, " time"]) -> str:
        return " ".join(name for name, _ in self._runs(tags))

    def _runs(self, tags: Int[np.ndarray, " time"]) -> list[tuple[str, int]]:
        """Neighbouring steps of one class together; those that have none are left out."""
        runs = ((int(tag), len(list(run))) for tag, run in groupby(tags))
        return [(self.names[tag], steps) for tag, steps in runs if tag != self.ignore]
