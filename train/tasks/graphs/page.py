"""How classes of graphs are shown: as those of images are, with a picture of what each was made of, or of itself."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, UInt8

from train.data.graph_fields import EDGES, NODES
from train.data.sources.superpixels import PICTURE
from train.report.picture import example_picture
from train.report.sample import Kept, pictured
from train.report.sections import Example
from train.tasks.classification.page import ClassPage
from train.tasks.graphs.drawing import small_drawing
from train.tasks.protocol import HostBatch, HostPrediction

_PARTS = (NODES, EDGES, f"{NODES}_valid", f"{EDGES}_valid")


class GraphPage(ClassPage):
    """See `ClassPage`. Graphs without a picture are kept as they are, and drawn when the page is written."""

    def kept(self, batch: HostBatch, among: Int[np.ndarray, " m"], said: dict[str, np.ndarray]) -> Kept:
        """What is kept of some of a batch's graphs, see `pictured`."""
        if PICTURE in batch:
            return pictured(batch[PICTURE], among, **said)
        kept = {**{name: batch[name] for name in _PARTS}, **said}
        return lambda chosen: {name: array[among[chosen]] for name, array in kept.items()}

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: what the graph was made of, or the graph, and the leading classes as bars."""
        return example_picture(_seen(example), self.bars(predicted))

    def _shown(self, row: int, label: int, guess: int, sure: float, **graph: np.ndarray) -> Example:
        return super()._shown(row, graph["image"] if "image" in graph else _seen(graph), label, guess, sure)


def _seen(example: Mapping[str, np.ndarray]) -> UInt8[np.ndarray, "height width channels"]:
    if PICTURE in example:
        return example[PICTURE]
    nodes, edges = (example[name][example[f"{name}_valid"]] for name in (NODES, EDGES))
    return small_drawing(nodes, edges)
