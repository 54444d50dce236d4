"""How a task on the sphere is shown: where some held-out examples lie after each evaluation, drawn. Lecture L94."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from train.report import Results, Run
from train.report.blocks import section
from train.tasks.protocol import HostBatch, HostPrediction, Page

FRAMES = 24
"""Most evaluations that the picture shows, spread over the run."""


@dataclasses.dataclass
class SpherePage:
    """The page of what is predicted, with a globe before it."""

    page: Page
    marks: Float[np.ndarray, "marks dims"]
    """What the globe marks: prototypes, or the poles of the bounds."""
    names: Sequence[str]
    """One a mark."""
    unit: str = ""
    """Of the values, if there are any."""
    field: str = "label"
    """What colours the examples: their label, or their target. Of both, the place shows the target."""

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        self.page.add(batch, predicted)

    def merge(self, other: "SpherePage") -> None:
        """See `Page`."""
        self.page.merge(other.page)

    def results(self, run: Run) -> Results:
        """See `Page`: the globe first, if anything was followed."""
        results = self.page.results(run)
        if not run.seen:
            return results
        from zoo.hyperspheres.globe import script_source

        sphere = section("On the sphere", self._globe(run))
        return dataclasses.replace(results, sections=[sphere, *results.sections], script=script_source())

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`."""
        return self.page.record(predicted)

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`."""
        return self.page.words(predicted)

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`."""
        return self.page.picture(example, predicted)

    def _globe(self, run: Run) -> str:
        """The run's evaluations as one moving picture in HTML."""
        from zoo.hyperspheres.globe import globe

        seen = sorted(run.seen, key=lambda each: each[0])
        shown = [seen[i] for i in np.unique(np.linspace(0, len(seen) - 1, FRAMES).round().astype(int))]
        frames = np.stack([arrays["embedding"] for _, arrays in shown]).astype(np.float32)
        of_labels, colours = self.field == "label", run.followed[self.field][: frames.shape[1]]
        return globe(
            self.marks,
            frames,
            colours if of_labels else None,
            class_names=self.names,
            titles=[_title(run, step) for step, _ in shown],
            values=None if of_labels else colours,
            unit=self.unit,
        )


def _title(run: Run, step: int) -> str:
    """When it was, and how good the run was then."""
    record: Mapping[str, Any] = next(
        (line for line in run.records if line["kind"] == "eval" and line["step"] == step), {"step": step}
    )
    when = f"epoch {record['epoch']:.4g}" if "epoch" in record else f"step {step}"
    best = run.metrics[0]
    if best.name not in record:
        return when
    value = record[best.name]
    return f"{when}: {value:.1%}" if best.percent else f"{when}: {best.name} {value:.3g}"
