"""How many objects are found by the first proposals of an image.

Hosang, Benenson, Dollár and Schiele, 2016, What Makes for Effective Detection Proposals?, section 4: recall, and its
mean over overlaps from 0.5 on, "average recall".
"""

import numpy as np
from jaxtyping import Float, Int

from train.config import Metric
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.detection import iou

COUNTS = (1, 10, 100, 1000)
OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALL = {
    count: Metric(f"recall_{count}", f"Objects found by {count:,} proposals at IoU 0.5", percent=True)
    for count in COUNTS
}
AVERAGE = {
    count: Metric(f"average_recall_{count}", f"Average recall of {count:,} proposals at IoU 0.5 to 0.95", percent=True)
    for count in COUNTS
}
"""By how many proposals an image are looked at."""


class ProposalRecall:
    """Recall of proposals, whatever their class: "boxes", the best first, with "valid".

    It keeps two tables of numbers, however many images it sees. Crowds and difficult objects are not looked for.

    Args:
      most: proposals of an image that are looked at.
    """

    def __init__(self, most: int = COUNTS[-1]) -> None:
        self.objects = 0
        self.first: Int[np.ndarray, "overlaps most"] = np.zeros((len(OVERLAPS), most), np.int64)
        """How many objects are first found by each place in the order, at each overlap."""

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Judge`."""
        most = self.first.shape[1]
        real = batch["boxes_valid"].copy()
        for name in ("is_difficult", "is_crowd"):
            real &= ~batch.get(name, np.zeros_like(real))
        self.objects += int(real.sum())
        for image in range(len(real)):
            proposals = predicted["boxes"][image][predicted["valid"][image]][:most].astype(np.float64)
            if not len(proposals) or not real[image].any():
                continue
            overlaps = iou(proposals, batch["boxes"][image][real[image]].astype(np.float64))
            for row, least in enumerate(OVERLAPS - 1e-9):
                finds = overlaps >= least
                self.first[row] += np.bincount(finds.argmax(axis=0)[finds.any(axis=0)], minlength=most)

    def merge(self, other: "ProposalRecall") -> None:
        """See `Judge`."""
        self.objects += other.objects
        self.first = self.first + other.first

    def curve(self, overlap: float = 0.5) -> Float[np.ndarray, "most"]:
        """The share of the objects that the first 1, 2, ... proposals find; nan where there is no object."""
        return self._recall()[int(np.argmin(np.abs(OVERLAPS - overlap)))]

    def scores(self) -> dict[str, float]:
        """See `Judge`."""
        recall, last = self._recall(), self.first.shape[1] - 1
        return {RECALL[count].name: float(recall[0, min(count - 1, last)]) for count in COUNTS} | {
            AVERAGE[count].name: float(recall[:, min(count - 1, last)].mean()) for count in COUNTS
        }

    def _recall(self) -> Float[np.ndarray, "overlaps most"]:
        return self.first.cumsum(axis=1) / (self.objects or np.nan)
