"""How optical flow is shown: its error beside that of no motion, and the worst and the best pairs in colour."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from train.data.flow_files import flo_bytes
from train.report import Results, Run, blocks
from train.report.blocks import section
from train.report.sample import Leading
from train.report.sections import drawn_examples
from train.report.theme import pixels
from train.report.words import grouped, percent
from train.tasks.flow.drawing import Shown, panels
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.dense.flow_colour import length_of
from zoo.dense.flow_metrics import OUTLIER_PIXELS, OUTLIER_SHARE

SHOWN, COLUMNS = 8, 2
"""Pairs of each section, and how many stand side by side."""
LARGEST = 160
"""Pixels a side of a pair that is kept: of a larger one every second pixel, or every third, and so on."""
STEPS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Lengths of the true flow, in pixels, between which errors are told apart."""


class FlowPage:
    """The page of optical flow. It keeps sums, and the pairs with the largest and the smallest errors."""

    def __init__(self) -> None:
        self.pairs = 0
        self.pixels = np.zeros(len(STEPS) + 1, np.int64)
        """How many whose flow is known, by its length."""
        self.error, self.still = np.zeros(len(STEPS) + 1), np.zeros(len(STEPS) + 1)
        """Sums of the end-point errors of these, and of those of no motion."""
        self.outliers = 0
        self.worst, self.best = Leading(SHOWN), Leading(SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        true, guess, rows = batch["flow"], predicted["flow"], batch["index"]
        known = np.isfinite(true).all(axis=-1)
        length = length_of(np.where(known[..., None], true, 0))
        error = length_of(np.where(known[..., None], guess - true, 0))
        self.pairs += len(true)
        bins = np.searchsorted(STEPS, length[known], side="right")
        self.pixels += np.bincount(bins, minlength=len(STEPS) + 1)
        for sums, values in ((self.error, error), (self.still, length)):
            sums += np.bincount(bins, values[known].astype(np.float64), minlength=len(STEPS) + 1)
        self.outliers += int(np.sum(known & (error > OUTLIER_PIXELS) & (error > OUTLIER_SHARE * length)))
        count = known.sum(axis=(1, 2))
        measured = np.flatnonzero((count > 0) & np.isfinite(error).all(axis=(1, 2)))  # of others nothing is known
        means = error[measured].sum(axis=(1, 2)) / count[measured]

        def kept(chosen: np.ndarray) -> dict[str, np.ndarray]:
            these = measured[chosen]
            every = -(-max(true.shape[1:3]) // LARGEST)
            maps = {"image": batch["image"], "true": true, "predicted": guess}
            return {**{name: value[these, ::every, ::every] for name, value in maps.items()}, "epe": means[chosen]}

        self.worst.add(-means, rows[measured], kept)
        self.best.add(means, rows[measured], kept)

    def merge(self, other: "FlowPage") -> None:
        """See `Page`."""
        self.pairs, self.outliers = self.pairs + other.pairs, self.outliers + other.outliers
        self.pixels, self.error, self.still = (
            self.pixels + other.pixels,
            self.error + other.error,
            self.still + other.still,
        )
        self.worst.merge(other.worst)
        self.best.merge(other.best)

    def results(self, run: Run) -> Results:
        """See `Page`; where no pixel's flow was known, it says so."""
        count, pairs = int(self.pixels.sum()), f"{grouped(self.pairs)} pairs"
        detail = f"no pixel whose flow is known in {pairs}"
        if count:
            still, outliers = self.still.sum() / count, percent(self.outliers, count)
            detail = f"no motion at all: {still:.2f} px; {outliers} outliers of {grouped(count)} pixels in {pairs}"
        worst, picture = self._examples(self.worst, "Worst pairs", "the largest mean error first")
        best, _ = self._examples(self.best, "Best pairs", "the smallest mean error first")
        return Results(
            value=f"{self.error.sum() / count:.2f} px" if count else "–",
            label="test end-point error",
            detail=detail,
            sections=[self._lengths(), worst, best],
            pictures=picture,
            notes=[] if count else ["There is no pixel whose flow is known in the held-out pairs: no error."],
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: how far pixels move, on average and at most; their vectors are in the `.flo` beside it."""
        flow = predicted["flow"]
        known = np.isfinite(flow).all(axis=-1)
        if not known.any():
            return {"mean": None, "longest": None, "motion": None}
        length = length_of(flow[known])
        return {
            "mean": float(length.mean()),
            "longest": float(length.max()),
            "motion": [float(mean) for mean in flow[known].mean(axis=0)],
        }

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: how far pixels move."""
        found = self.record(predicted)
        if found["mean"] is None:
            return "no flow is known"
        return f"{found['mean']:.2f} pixels on average, at most {found['longest']:.2f}"

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the first image beside the flow in colour, with the wheel."""
        shown = Shown(example["image"], example.get("flow"), predicted["flow"], self.words(predicted))
        return pixels(panels([shown], side=3.2), dpi=150)

    def files(self, predicted: HostPrediction) -> dict[str, bytes]:
        """See `Page`: the flow as a `.flo`."""
        return {"flo": flo_bytes(predicted["flow"])}

    def _examples(self, leading: Leading, title: str, order: str) -> tuple[str, dict[str, bytes]]:
        """See `drawn_examples`."""
        kept: Sequence[Mapping[str, Any]] = leading.examples()
        shown = [
            Shown(each["image"], each["true"], each["predicted"], f"pair {each['row']}: {each['epe']:.2f} px")
            for each in kept
        ]
        text = ". Grey has no flow that is known."
        return drawn_examples(title, shown, lambda theme: panels(shown, COLUMNS, theme=theme), order, text)

    def _lengths(self) -> str:
        """Mean error by how far pixels really move."""
        bounds = (0.0, *STEPS)
        names = [f"{low:g} to {high:g}" for low, high in zip(bounds, STEPS, strict=False)] + [f"{STEPS[-1]:g} and more"]
        rows = [
            (name, f"{error / count:.2f}", f"{still / count:.2f}", grouped(count))
            for name, count, error, still in zip(names, self.pixels, self.error, self.still, strict=True)
            if count
        ]
        columns = ("pixels of motion", "mean error", "error of no motion", "pixels")
        text = "End-point error by the length of the true flow, in pixels."
        return section("Errors", blocks.table(columns, rows), text=text)
