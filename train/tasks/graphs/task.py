"""A class for a whole graph: softmax cross entropy, as of images. Lecture row L78."""

import dataclasses
from typing import Any, ClassVar, Self

from train.config.tasks.graphs import GraphClassification as Settings
from train.data.fields import Facts, Spec
from train.data.graph_fields import EDGES, NODES
from train.data.source import Source
from train.data.sources.superpixels import PICTURE
from train.tasks.classification.task import Classification
from train.tasks.nodes.task import check_graphs, graph_inputs
from train.tasks.protocol import Batch, Page


@dataclasses.dataclass(frozen=True)
class GraphClassification(Classification):
    """One label a graph: int32 `batch["label"]`. The page shows what the graph was made of, or draws it."""

    pictured: bool = True
    """Whether examples have a picture of what the graph was made of."""

    mixes: ClassVar[tuple[str, ...]] = ()
    frames: ClassVar[tuple[str, ...]] = (NODES,)

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes."""
        known = Classification.fit(settings, source)
        return cls(known.class_names, known.label_smoothing, PICTURE in source.spec)

    @property
    def fields(self) -> tuple[str, ...]:
        """See `Task`."""
        return (NODES, EDGES, "label", *((PICTURE,) if self.pictured else ()))

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`."""
        super().check(spec, facts)
        check_graphs(spec)

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """Nodes, edges, and which of them are real."""
        return graph_inputs(batch)

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.graphs.page import GraphPage

        return GraphPage(self.class_names)
