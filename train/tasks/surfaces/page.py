"""How depth, normals, reflectance and shading are shown: errors beside those of constants, the worst and the best."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from train.report import Results, Run, blocks
from train.report.blocks import section
from train.report.sample import Leading
from train.report.sections import drawn_examples
from train.report.theme import pixels
from train.report.words import grouped, percent
from train.tasks.fitting import Rows
from train.tasks.protocol import HostBatch, HostPrediction
from train.tasks.surfaces.drawing import Shown, panels
from train.tasks.surfaces.measures import degrees_between, error_of
from zoo.dense.normals import WITHIN

SHOWN, PANELS = 6, 9
"""Examples of each section, and at most how many pictures stand side by side."""
LARGEST = 160
"""Pixels a side of an example that is kept: of a larger one every second pixel, or every third, and so on."""
STEPS = 720
"""Of the histogram of angles, of which the median is; a quarter of a degree each."""
ERRORS = {
    "depth": "relative error of depth",
    "normals": "mean angle of normals",
    "reflectance": "local error of reflectance",
    "shading": "local error of shading",
}


class SurfacePage:
    """The page of maps of surfaces. It keeps sums, and the examples with the largest and the smallest errors.

    Args:
      maps: their names; examples are ordered by the error of the first.
      constants: what would be predicted without a look at the image, for each map.
    """

    def __init__(self, maps: Sequence[str], constants: Rows) -> None:
        self.maps, self.constants = tuple(maps), constants
        self.images = 0
        self.sums: Float[np.ndarray, "maps 3"] = np.zeros((len(self.maps), 3))
        """Of each map the summed error of the network, that of the constant, and what they are divided by."""
        self.angles = np.zeros(STEPS, np.int64)
        """Pixels whose normal is so far off."""
        self.worst, self.best = Leading(SHOWN), Leading(SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        rows = batch["index"]
        self.images += len(rows)
        if not len(rows):
            return
        first = []
        for place, (name, constant) in enumerate(zip(self.maps, self.constants, strict=True)):
            true = batch[name]
            total, weight = error_of(name, predicted[name], true)
            same, _ = error_of(name, np.broadcast_to(np.array(constant), true.shape), true)
            self.sums[place] += total.sum(), same.sum(), weight.sum()
            first = first or [total, weight]
        if "normals" in self.maps:
            degrees = degrees_between(predicted["normals"], batch["normals"])
            degrees = degrees[np.isfinite(degrees)]
            steps = np.minimum((degrees * STEPS / 180).astype(int), STEPS - 1)
            self.angles += np.bincount(steps, minlength=STEPS)
        total, weight = first
        measured = np.flatnonzero((weight > 0) & np.isfinite(total))  # of others nothing is known
        errors = total[measured] / weight[measured]

        def kept(chosen: np.ndarray) -> dict[str, np.ndarray]:
            these = measured[chosen]
            every = -(-max(batch["image"].shape[1:3]) // LARGEST)
            fields = {"image": batch["image"], **{f"true {name}": batch[name] for name in self.maps}}
            fields |= {name: predicted[name] for name in self.maps}
            return {**{name: value[these, ::every, ::every] for name, value in fields.items()}, "error": errors[chosen]}

        self.worst.add(-errors, rows[measured], kept)
        self.best.add(errors, rows[measured], kept)

    def merge(self, other: "SurfacePage") -> None:
        """See `Page`."""
        self.images, self.sums = self.images + other.images, self.sums + other.sums
        self.angles = self.angles + other.angles
        self.worst.merge(other.worst)
        self.best.merge(other.best)

    def results(self, run: Run) -> Results:
        """See `Page`; where there was no pixel that is known, it says so."""
        network, constant, weight = self.sums[0]
        first, images = self.maps[0], f"{grouped(self.images)} images"
        detail = f"no pixel that is known in {images}"
        if weight:
            detail = f"a constant: {_said(first, constant / weight)}; {images}"
        worst, picture = self._examples(self.worst, "Worst examples", "the largest error first")
        best, _ = self._examples(self.best, "Best examples", "the smallest error first")
        return Results(
            value=_said(first, network / weight) if weight else "–",
            label=f"test {ERRORS[first]}",
            detail=detail,
            sections=[self._errors(), *([self._angles()] if self.angles.any() else []), worst, best],
            pictures=picture,
            notes=[] if weight else [f"There is no pixel whose {first} is known in the held-out images: no error."],
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: of each map the mean, of depth also the range; the values themselves are in the `.npz` beside it.

        Pixels of a file that the model did not see are not known.
        """
        found: dict[str, Any] = {}
        for name in self.maps:
            values = predicted[name].astype(np.float64)
            values = values[np.isfinite(values).all(axis=-1)]
            if not len(values):
                found[name] = None
            elif name == "depth":
                found[name] = {
                    "mean": float(values.mean()),
                    "nearest": float(values.min()),
                    "furthest": float(values.max()),
                }
            else:
                found[name] = {"mean": values.mean(axis=0).tolist()}
        return found

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the mean of each map."""
        return ", ".join(f"{name} {_mean(name, found)}" for name, found in self.record(predicted).items())

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image beside its maps, with what their colours mean."""
        true = {name: example[name] for name in self.maps} if all(name in example for name in self.maps) else {}
        maps = {name: predicted[name] for name in self.maps}
        shown = Shown(example["image"], true, maps, self.words(predicted))
        return pixels(panels([shown], side=3.2), dpi=150)

    def files(self, predicted: HostPrediction) -> dict[str, bytes]:
        """See `Page`: the maps as a `.npz` of float32, depth in metres."""
        stream = io.BytesIO()
        np.savez_compressed(stream, **{name: predicted[name].astype(np.float32) for name in self.maps})
        return {"npz": stream.getvalue()}

    def _examples(self, leading: Leading, title: str, order: str) -> tuple[str, dict[str, bytes]]:
        """See `drawn_examples`."""
        kept: Sequence[Mapping[str, Any]] = leading.examples()
        first = self.maps[0]
        shown = [
            Shown(
                each["image"],
                {name: each[f"true {name}"] for name in self.maps},
                {name: each[name] for name in self.maps},
                f"example {each['row']}: {_said(first, each['error'])}",
            )
            for each in kept
        ]
        columns = max(1, PANELS // (1 + 2 * len(self.maps)))
        text = f", with the {ERRORS[first]}."
        return drawn_examples(title, shown, lambda theme: panels(shown, columns, theme=theme), order, text)

    def _errors(self) -> str:
        """The error of each map, beside that of the constant."""
        rows = [
            (ERRORS[name], _said(name, network / weight), _said(name, constant / weight), _times(constant, network))
            for name, (network, constant, weight) in zip(self.maps, self.sums, strict=True)
            if weight
        ]
        text = "The constant is what the training examples have on average: what is right without a look at the image."
        return section("Errors", blocks.table(("", "network", "constant", "times smaller"), rows), text=text)

    def _angles(self) -> str:
        """Median, and the shares of normals that are called right."""
        count, upper = self.angles.cumsum(), 180 * np.arange(1, STEPS + 1) / STEPS
        median = float(upper[np.searchsorted(count, count[-1] / 2)])
        rows = []
        for most in WITHIN.values():
            share = count[np.searchsorted(upper, most)] / count[-1]
            rows.append((f"within {most:g}°", float(share), percent(share, 1, 1), ""))
        return section("Angles", blocks.bars(rows), text=f"Half of the normals are off by at most {median:g}°.")


def _said(name: str, error: float) -> str:
    return f"{error:.1f}°" if name == "normals" else percent(error, 1, 1) if error < 1 else f"{100 * error:.0f} %"


def _times(constant: float, network: float) -> str:
    return f"{constant / network:.1f}" if network > 0 else "–"


def _mean(name: str, found: Mapping[str, Any] | None) -> str:
    """What a record says of a map, in words."""
    if found is None:
        return "unknown"
    if name == "depth":
        return f"{found['mean']:.2f} m ({found['nearest']:.2f} to {found['furthest']:.2f})"
    return " ".join(f"{value:.2f}" for value in found["mean"])
