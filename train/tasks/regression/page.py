"""How regression is shown: errors in the value's unit, predicted against true values, the largest errors."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report import Results, Run, figures
from train.report.blocks import section
from train.report.picture import example_picture
from train.report.sample import Kept, Leading, pictured, spread
from train.report.sections import Example, examples, sheet, themed
from train.report.words import grouped
from train.tasks.protocol import HostBatch, HostPrediction

WORST_SHOWN, EXAMPLES_SHOWN = 24, 12
PAIRS = 50_000
"""Most predictions of which the value itself is kept, spread evenly: for the figure and the median."""


class ValuePage:
    """The page of a task with a number an example; `unit` is what the number is measured in.

    It keeps sums, the largest errors, and predictions that are spread evenly.
    """

    def __init__(self, unit: str = "") -> None:
        self.unit = unit
        self.count = 0
        self.largest = 0.0
        self.sums = _Sums()
        self.worst, self.some, self.pairs = Leading(WORST_SHOWN), Leading(EXAMPLES_SHOWN), Leading(PAIRS)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`.

        Raises:
          ValueError: there is not one number an example.
        """
        targets, values = batch["target"].astype(np.float64), predicted["value"].astype(np.float64)
        if targets.ndim != 1 or targets.shape != values.shape:
            raise ValueError(f"expected targets (n,) and values (n,), got {targets.shape} and {values.shape}")
        self.count += len(targets)
        finite = np.flatnonzero(np.isfinite(values - targets))
        if not len(finite):
            return
        shown = self.kept(batch, finite, {"target": targets, "value": values})
        targets, values, rows = targets[finite], values[finite], batch["index"][finite]
        self.sums.add(targets, values)
        self.largest = max(self.largest, float(np.abs(targets).max()))
        self.worst.add(-np.abs(values - targets), rows, shown)
        self.some.add(spread(rows), rows, shown)
        self.pairs.add(spread(rows), rows, lambda chosen: {"target": targets[chosen], "value": values[chosen]})

    def kept(self, batch: HostBatch, among: Int[np.ndarray, " m"], said: dict[str, np.ndarray]) -> Kept:
        """What is kept of some of a batch's examples, see `pictured`."""
        return pictured(batch["image"], among, **said)

    def merge(self, other: "ValuePage") -> None:
        """See `Page`."""
        self.count += other.count
        self.largest = max(self.largest, other.largest)
        self.sums.merge(other.sums)
        for mine, theirs in ((self.worst, other.worst), (self.some, other.some), (self.pairs, other.pairs)):
            mine.merge(theirs)

    def results(self, run: Run) -> Results:
        """See `Page`.

        Raises:
          ValueError: there was no example.
        """
        if not self.count:
            raise ValueError("expected predictions of at least one example")
        unit, broken = f" {self.unit}" if self.unit else "", self.count - self.sums.count
        pairs = [(pair["target"], pair["value"]) for pair in self.pairs.examples(by_row=True)]
        targets, values = np.array(pairs, np.float64).reshape(-1, 2).T
        measures, exact = "", f"{self.sums.absolute / max(self.sums.count, 1):.3g}{unit}"
        if self.sums.count:
            root, median = math.sqrt(self.sums.squared / self.sums.count), np.median(np.abs(values - targets))
            measures = f"root mean square {root:.3g}{unit}, median {median:.3g}{unit}"
            measures += f", R² {1 - self.sums.squared / self.sums.spread:.3f}" if self.sums.spread > 0 else ""
        block, residuals = themed(
            lambda theme: figures.residuals(targets, values, self.unit, theme),
            "Predicted against true values, and the distribution of their differences.",
        )
        part = f" {grouped(len(pairs))} of {grouped(self.sums.count)} examples, spread evenly, as in the median."
        part = part if len(pairs) < self.sums.count else ""
        shown, pictures = self.shown()
        return Results(
            value=exact if self.sums.count else "not finite",
            label="test mean absolute error" + ("" if unit else ", in units of the target"),
            detail=f"{grouped(self.count)} examples, {measures}",
            sections=[
                section(
                    "Predicted and true values",
                    block,
                    text=f"On the dashed lines a prediction is exact.{part}",
                ),
                *shown,
            ],
            pictures={"residuals.png": residuals, **pictures},
            notes=[f"Outputs that are not finite, left out: {grouped(broken)}."] if broken else [],
        )

    def shown(self) -> tuple[list[str], dict[str, bytes]]:
        """Sections with examples, and pictures of them as files."""
        worst = [self._shown(**kept) for kept in self.worst.examples()]
        some = [self._shown(**kept) for kept in self.some.examples(by_row=True)]
        sections = [
            examples("Largest errors", worst, "largest first", wrong=True),
            examples("Examples", some, "spread evenly over the test set"),
        ]
        return sections, {"predictions.png": sheet(worst[:EXAMPLES_SHOWN], some)}

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: the value."""
        return {"value": float(predicted["value"])}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the value in its unit."""
        return f"{float(predicted['value']):.4g} {self.unit}".rstrip()

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image over the value."""
        return example_picture(example["image"], caption=self.words(predicted))

    def _shown(self, row: int, image: np.ndarray, target: float, value: float) -> Example:
        return Example(row, image, self.caption(target, value))

    def caption(self, target: float, value: float) -> tuple[str, ...]:
        """What is said of an example that is shown: the value that was predicted, and more lines."""
        digits = max(0, 2 - math.floor(math.log10(self.largest or 1)))  # three that count
        return f"{value:.{digits}f}", f"true {target:.{digits}f}", f"off by {value - target:+.{digits}f}"


class _Sums:
    """What the errors are computed of, added up in double precision.

    Chan, Golub and LeVeque, 1983, Algorithms for computing the sample variance: how the spread of parts adds up.
    """

    def __init__(self) -> None:
        self.count = 0
        self.absolute = self.squared = 0.0
        """Of the errors."""
        self.mean = self.spread = 0.0
        """Of the targets: their mean, and the sum of squares of what they differ from it."""

    def add(self, targets: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"]) -> None:
        part, errors = _Sums(), values - targets
        part.count, part.mean = len(targets), float(targets.mean())
        part.absolute, part.squared = float(np.abs(errors).sum()), float(np.square(errors).sum())
        part.spread = float(np.square(targets - part.mean).sum())
        self.merge(part)

    def merge(self, other: "_Sums") -> None:
        count, apart = self.count + other.count, other.mean - self.mean
        if not other.count:
            return
        self.spread += other.spread + apart**2 * self.count * other.count / count
        self.mean += apart * other.count / count
        self.absolute, self.squared, self.count = self.absolute + other.absolute, self.squared + other.squared, count
