"""A class for each node of a graph, or for each graph. Lecture row L78."""

import dataclasses
from typing import ClassVar

from train.config.task import Task
from train.config.tasks.classification import Classification


@dataclasses.dataclass(frozen=True)
class NodeClassification(Task):
    """Softmax cross entropy of the nodes that are for training, in a graph that shows all of them."""

    kind: ClassVar[str] = "node_classification"


@dataclasses.dataclass(frozen=True)
class GraphClassification(Classification):
    """Softmax cross entropy of one label a graph."""

    kind: ClassVar[str] = "graph_classification"
