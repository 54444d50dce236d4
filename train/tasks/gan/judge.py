"""How near made images are to held-out ones, on the features of `embedding.py`."""

import math

import numpy as np
from jaxtyping import Float

from train.config import Metric
from train.tasks.fitting import Rows
from train.tasks.gan.embedding import as_pixels, embed
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.frontiers.fidelity import frechet_distance, precision_recall

FRECHET = Metric("frechet", "Fréchet distance", higher_is_better=False)
PRECISION = Metric("precision", "Precision", percent=True)
RECALL = Metric("recall", "Recall", percent=True)
NEARNESS = (FRECHET, PRECISION, RECALL)


class NearnessJudge:
    """The Fréchet distance, precision and recall of as many made images as there are real ones. It keeps features.

    Args:
      kernel: of the embedding.
      bias: of the embedding.
      neighbours: of precision and recall.
    """

    def __init__(self, kernel: Rows, bias: tuple[float, ...], neighbours: int) -> None:
        self.kernel, self.bias, self.neighbours = kernel, bias, neighbours
        self._real: list[np.ndarray] = []
        self._made: list[np.ndarray] = []

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Judge`."""
        self._real.append(self.features(batch["image"]))
        self._made.append(self.features(predicted["sample"]))

    def merge(self, other: "NearnessJudge") -> None:
        """See `Judge`."""
        self._real += other._real
        self._made += other._made

    def scores(self) -> dict[str, float]:
        """See `Judge`: nan where there are too few images, or one is not finite."""
        return self.of(self.made)

    def of(self, made: Float[np.ndarray, "m features"]) -> dict[str, float]:
        """The same of the features of other images than those that were made, against the same real ones."""
        real = self.real
        if min(len(real), len(made)) <= self.neighbours or not np.isfinite(made).all():
            return dict.fromkeys((metric.name for metric in NEARNESS), math.nan)
        precision, recall = precision_recall(real, made, self.neighbours)
        distance = frechet_distance(real, made)
        return {"frechet": float(distance), "precision": float(precision), "recall": float(recall)}

    @property
    def real(self) -> Float[np.ndarray, "n features"]:
        """Features of the real images."""
        return _joined(self._real, len(self.bias))

    @property
    def made(self) -> Float[np.ndarray, "n features"]:
        """Features of the images that were made."""
        return _joined(self._made, len(self.bias))

    def features(self, images: np.ndarray) -> Float[np.ndarray, "n features"]:
        """Of images of bytes, or of pixels from 0 to 1."""
        return embed(as_pixels(images), self.kernel, self.bias)


def _joined(parts: list[np.ndarray], width: int) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)
