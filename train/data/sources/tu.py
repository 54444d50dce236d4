"""Graphs with a class each, as the collection of TU Dortmund lays them out: MUTAG, PROTEINS, COLLAB and your own.

Morris et al., 2020, TUDataset: A Collection of Benchmark Datasets for Learning with Graphs, whose text files are
NAME_A.txt (a line an edge: two nodes, counted from 1 over all graphs), NAME_graph_indicator.txt (the graph of each
node), NAME_graph_labels.txt, and perhaps NAME_node_labels.txt and NAME_node_attributes.txt. Lecture row L78.
"""

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Num

from train.config import DataError
from train.data.fields import Facts, Field, Kind
from train.data.graph_fields import EDGES, NODES, both_ways, graph_spec
from train.data.select import held_out_count, no_held_out_count, stratified_split
from train.data.source import Example, Source, Subset

LABEL = "label"
_FOLD = re.compile(r"(?P<path>.+)@(?P<fold>\d+)/(?P<folds>\d+)")


class GraphSource(Source):
    """Graphs in memory, each of its own size; a batch is padded to the largest of all.

    Args:
      name: for messages.
      nodes: features of each graph, (nodes, features).
      edges: of each graph, (edges, 2), sender and receiver.
      labels: of each graph.
      classes: what they mean.
    """

    def __init__(
        self,
        name: str,
        nodes: list[Float[np.ndarray, "_ features"]],
        edges: list[Int[np.ndarray, "_ 2"]],
        labels: Int[np.ndarray, " graphs"],
        classes: tuple[str, ...],
    ) -> None:
        self.name, self.facts, self.labels = name, Facts(classes), labels
        self._fields = {NODES: nodes, EDGES: edges, LABEL: labels}
        most_nodes, most_edges = (max(1, *map(len, each)) for each in (nodes, edges))
        label = Field(Kind.LABEL, (), "int32")
        self.spec = {**graph_spec(most_nodes, most_edges, nodes[0].shape[1]), LABEL: label}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Example:
        return {name: self.peek(row, name) for name in self.spec}

    def peek(self, row: int, field: str) -> Any:
        """One field of a graph."""
        return self._fields[field][row]


def tu(path: str, split: Literal["train", "test"], held_out: int = 0) -> Source:
    """The graphs of one split, see `tu_splits`."""
    return tu_splits(path, held_out)[split]


def tu_splits(path: str, held_out: int = 0) -> dict[str, Source]:
    """The graphs of a data set, "train" and "test".

    A node's features are its attributes and then a column for each node label, 1 in that of its own; where the files
    have neither, a column for each degree that there is, as Xu et al., 2019, section 7, have it. Edges go both ways,
    each once, without self loops; labels and attributes of edges are not read. Classes are the graph labels in order.

    Args:
      path: FOLDER/NAME of FOLDER/NAME_A.txt or of FOLDER/NAME/NAME_A.txt; behind it perhaps @FOLD/FOLDS, such as @1/10:
        the test is that part of so many, which are drawn by class with a fixed seed.
      held_out: graphs of the test where no fold says which they are, drawn alike; 0: a fifth.

    Raises:
      DataError: a file is missing or holds something else, they do not fit each other, or there is no such fold.
    """
    found = _FOLD.fullmatch(path)
    place = Path(found["path"] if found else path).expanduser()
    whole = _source(f"tu:{path}", place / place.name if place.is_dir() else place)
    if found:
        no_held_out_count(held_out, whole.name)
        train, test = _fold(whole, int(found["fold"]), int(found["folds"]))
    else:
        train, test = stratified_split(whole.labels, held_out_count(len(whole), held_out, whole.name))
    return {"train": Subset(whole, train), "test": Subset(whole, test)}


def _fold(source: GraphSource, fold: int, folds: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import StratifiedKFold

    fewest = int(np.bincount(source.labels).min())
    if not (1 <= fold <= folds and 2 <= folds <= fewest):
        raise DataError(
            f"{source.name}: expected a fold of 1..FOLDS, of 2 folds to {fewest}, as many as the smallest class has "
            f"graphs, got {fold}/{folds}"
        )
    parts = StratifiedKFold(folds, shuffle=True, random_state=0).split(source.labels, source.labels)
    return list(parts)[fold - 1]


def _source(name: str, place: Path) -> GraphSource:
    graph_of, labels = (_whole(place, part)[:, 0] for part in ("graph_indicator", "graph_labels"))
    if graph_of.min() < 1 or graph_of.max() > len(labels):
        raise DataError(
            f"{place}_graph_indicator.txt: expected graphs 1 to {len(labels)}, as many as there are graph labels, "
            f"found {graph_of.min()} to {graph_of.max()}"
        )
    sizes = np.bincount(graph_of - 1, minlength=len(labels))
    if not sizes.all():
        empty = int(sizes.argmin()) + 1
        raise DataError(f"{place}_graph_indicator.txt: expected nodes of each graph, found none of {empty}")
    pairs = _whole(place, "A")
    if pairs.shape[1] != 2 or pairs.min() < 1 or pairs.max() > len(graph_of):
        raise DataError(
            f"{place}_A.txt: expected two nodes of 1 to {len(graph_of)} a line, found {pairs.shape[1]} numbers of "
            f"{pairs.min()} to {pairs.max()}"
        )
    if (across := graph_of[pairs[:, 0] - 1] != graph_of[pairs[:, 1] - 1]).any():
        line = int(across.argmax())
        raise DataError(f"{place}_A.txt: expected edges within a graph, found one across in line {line + 1}")
    order = np.argsort(graph_of, kind="stable")  # nodes of one graph after those of another
    rank = np.argsort(order)
    edges = both_ways(rank[pairs - 1])
    features = _features(place, len(graph_of), np.bincount(edges[:, 1], minlength=len(graph_of))[rank])[order]
    starts = np.cumsum(sizes) - sizes
    cuts = np.searchsorted(edges[:, 1], starts[1:])  # edges are in order of the receiver
    classes, numbers = np.unique(labels, return_inverse=True)
    return GraphSource(
        name,
        np.split(features, starts[1:]),
        [part - start for part, start in zip(np.split(edges, cuts), starts.astype(np.int32), strict=True)],
        numbers.astype(np.int32),
        tuple(map(str, classes)),
    )


def _features(place: Path, count: int, degrees: Int[np.ndarray, " nodes"]) -> Float[np.ndarray, "nodes features"]:
    """Of each node, as the files number them."""
    found = []
    if Path(f"{place}_node_attributes.txt").exists():
        found.append(_numbers(place, "node_attributes"))
    if Path(f"{place}_node_labels.txt").exists():
        found += [_hot(column) for column in _whole(place, "node_labels").T]
    found = found or [_hot(degrees)]
    if wrong := [len(each) for each in found if len(each) != count]:
        raise DataError(f"{place}: expected attributes and labels of {count} nodes, found {wrong[0]}")
    return np.concatenate(found, axis=1).astype(np.float32)


def _hot(values: Int[np.ndarray, " nodes"]) -> Float[np.ndarray, "nodes values"]:
    """A column a value."""
    return (values[:, None] == np.unique(values)).astype(np.float32)


def _whole(place: Path, part: str) -> Int[np.ndarray, "lines columns"]:
    found = _numbers(place, part)
    if (found != np.rint(found)).any():
        raise DataError(f"{place}_{part}.txt: expected whole numbers, found {found[found != np.rint(found)][0]}")
    return found.astype(np.int64)


def _numbers(place: Path, part: str) -> Num[np.ndarray, "lines columns"]:
    """The numbers of a file, a row a line, between commas."""
    file = Path(f"{place}_{part}.txt")
    try:
        text = file.read_text(encoding="ascii")
        found = np.array([line.split(",") for line in text.splitlines() if line.strip()], np.float64)
    except OSError as error:
        raise DataError(f"{file}: expected a file of numbers that can be read: {error.strerror}") from error
    except ValueError as error:  # a line with more numbers than another, or with none
        raise DataError(f"{file}: expected as many numbers in each line, between commas: {error}") from error
    if found.ndim != 2 or not np.isfinite(found).all():
        raise DataError(f"{file}: expected finite numbers, between commas, found {'others' if found.size else 'none'}")
    return found
