"""How classes of nodes are shown: accuracy and confusion of the test nodes, and the graph in the predicted colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from train.data.graph_fields import EDGES, LABELS, NODES, PARTS, TEST, TRAINING, VALIDATION
from train.report import Results, Run, figures
from train.report.blocks import section
from train.report.sections import themed
from train.report.theme import LIGHT, pixels
from train.report.words import grouped, percent
from train.tasks.nodes.drawing import SPRUNG, graph_drawing
from train.tasks.protocol import HostBatch, HostPrediction

Drawn = Mapping[str, np.ndarray]
"""A graph without its padding: "edges", "logits", "labels", "parts"."""


class NodePage:
    """The page of a task with a class a node. It keeps counts, and the first graph.

    Args:
      class_names: one a class.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        classes = len(self.class_names)
        self.counts: Int[np.ndarray, "classes classes"] = np.zeros((classes, classes), np.int64)
        """Test nodes of the class of the row that were taken for that of the column."""
        self.broken = 0
        """Test nodes whose outputs are not finite."""
        self.validated = np.zeros(2, np.int64)
        """Validation nodes that are right, and all of them."""
        self.first: tuple[int, Drawn] | None = None
        """The row of the first graph, and it."""

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        for place, row in enumerate(batch["index"]):
            graph = _real({name: batch[name][place] for name in batch}, predicted["logits"][place])
            guess, finite = graph["logits"].argmax(axis=1), np.isfinite(graph["logits"]).all(axis=1)
            known, parts = graph["labels"] >= 0, graph["parts"]
            of = known & (parts == TEST)
            np.add.at(self.counts, (graph["labels"][of & finite], guess[of & finite]), 1)
            self.broken += int((of & ~finite).sum())
            checked = known & (parts == VALIDATION)
            self.validated += (checked & finite & (guess == graph["labels"])).sum(), checked.sum()
            if self.first is None or row < self.first[0]:
                self.first = int(row), graph

    def merge(self, other: "NodePage") -> None:
        """See `Page`."""
        self.counts, self.broken = self.counts + other.counts, self.broken + other.broken
        self.validated = self.validated + other.validated
        graphs = [each for each in (self.first, other.first) if each is not None]
        self.first = min(graphs, key=lambda pair: pair[0]) if graphs else None

    def results(self, run: Run) -> Results:
        """See `Page`.

        Raises:
          ValueError: there was no graph.
        """
        if self.first is None:
            raise ValueError("expected predictions of at least one graph")
        right, count = int(self.counts.trace()), int(self.counts.sum()) + self.broken
        block, confusion = themed(
            lambda theme: figures.confusion_matrix(self.counts, self.class_names, theme), "Confusion of the test nodes."
        )
        graph, picture = themed(lambda theme: self._drawing(self.first[1], theme), "The graph, by predicted class.")
        detail = f"{grouped(count - right)} wrong of {grouped(count)} nodes"
        if self.validated[1]:
            detail += f"; {percent(*self.validated)} of {grouped(self.validated[1])} validation nodes"
        return Results(
            value=percent(right, count) if count else "–",
            label="test accuracy of the nodes",
            detail=detail,
            sections=[
                section("The graph", graph, text=self._told(len(self.first[1]["labels"]))),
                section("Classes", block, text="Rows are true classes of test nodes, columns predicted ones."),
            ],
            pictures={"graph.png": picture, "confusion.png": confusion},
            notes=[f"Nodes whose outputs are not finite, counted as wrong: {self.broken}."] if self.broken else [],
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: the class of each node."""
        return {"classes": [self.class_names[label] for label in predicted["logits"].argmax(axis=-1)]}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: how many nodes each class has."""
        counts = np.bincount(predicted["logits"].argmax(axis=-1), minlength=len(self.class_names))
        return ", ".join(f"{name} {count}" for name, count in zip(self.class_names, counts, strict=True))

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the graph in the predicted colours."""
        return pixels(self._drawing(_real(example, predicted["logits"]), LIGHT))

    def _drawing(self, graph: Drawn, theme: Any) -> Any:
        wrong = (graph["labels"] >= 0) & (graph["logits"].argmax(axis=1) != graph["labels"])
        given = graph["parts"] == TRAINING
        return graph_drawing(graph["edges"], graph["logits"], wrong, given, self.class_names, theme)

    def _told(self, count: int) -> str:
        told = "Each node has the colour of the class that is predicted, and a dark ring where that is wrong. "
        told += "Squares were learned from."
        where = " Where a node is put, the edges say." if count <= SPRUNG else (
            " Where a node is put, the network says: these are the two principal components of its logits."
        )  # fmt: skip
        return told + where


def _real(example: Mapping[str, np.ndarray], logits: np.ndarray) -> Drawn:
    """A graph without its padding."""
    nodes, edges = example[f"{NODES}_valid"], example[f"{EDGES}_valid"]
    real = {"labels": example[LABELS][nodes], "parts": example[PARTS][nodes], "logits": logits[nodes]}
    return {"edges": example[EDGES][edges], **real}
