"""A graph of one's own, whose nodes are to be classified: arrays of a numpy archive. Lecture row L78.

np.savez("mine.npz", x=features, edges=pairs, labels=classes, train=some, val=others, test=rest)
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from train.config import DataError
from train.data.graph_fields import TEST, TRAINING, VALIDATION, both_ways, of_nodes
from train.data.source import Arrays, ArraySource
from zoo.arrays import read_npz

PARTS = {"train": TRAINING, "val": VALIDATION, "test": TEST}
"""Masks, and what their nodes are for."""
_NEEDED = ("x", "edges", "labels", "train", "test")
_KNOWN = (*_NEEDED, "val", "directed", "class_names")


def graph_file(path: str) -> ArraySource:
    """One graph of an archive; nothing in it is ever unpickled.

    Arrays: "x" (nodes, features), finite numbers; "edges" (edges, 2), the nodes, counted from 0, that each joins;
    "labels" (nodes,), integers from 0, or -1 of nodes whose class nobody knows; "train" and "test" (nodes,), bools of
    nodes to learn from and of the test, and perhaps "val", nodes to validate on. "class_names" (text) names the labels.
    Edges go both ways, each once, and self loops are left out, for networks add their own; where "directed" is True an
    edge leads from its first node to its second alone.

    Args:
      path: of the archive.

    Raises:
      DataError: there is none, or an array is missing, unknown, or of another shape, type or range than this.
    """
    file = Path(path).expanduser()
    found = _read(file)
    features, edges, labels = found["x"], found["edges"], found["labels"]
    if features.ndim != 2 or features.dtype.kind not in "biuf" or 0 in features.shape:
        raise DataError(f"{file}: expected x as numbers (nodes, features), found {features.dtype} {features.shape}")
    if not np.isfinite(features).all():
        raise DataError(f"{file}: expected finite numbers in x, found none in row {_first(~np.isfinite(features))}")
    count = len(features)
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
        hint = "; of PyTorch Geometric's edge_index take the transpose" if edges.shape[:1] == (2,) else ""
        raise DataError(f"{file}: expected edges as integers (edges, 2), found {edges.dtype} {edges.shape}{hint}")
    if (wrong := (edges < 0) | (edges >= count)).any():
        row = _first(wrong)
        raise DataError(f"{file}: expected edges of nodes 0 to {count - 1}, found {edges[row].tolist()} in row {row}")
    parts = _parts(file, found, count)
    classes = _classes(file, found, count, np.concatenate([parts[TRAINING], parts.get(VALIDATION, parts[TEST])]))
    pairs = _directed(edges) if _is_directed(file, found) else both_ways(edges)
    return of_nodes(f"graph:{path}", features.astype(np.float32), pairs, labels.astype(np.int32), parts, classes)


def _read(file: Path) -> Arrays:
    if not file.is_file():
        raise DataError(f"{file}: expected a numpy archive (.npz), found {'a folder' if file.exists() else 'nothing'}")
    try:
        found = read_npz(file)
    except ValueError as error:
        raise DataError(str(error)) from error
    if missing := [name for name in _NEEDED if name not in found]:
        raise DataError(f"{file}: expected arrays {', '.join(_NEEDED)}, found no {missing[0]}")
    if unknown := sorted(found.keys() - {*_KNOWN}):
        raise DataError(f"{file}: expected arrays {', '.join(_KNOWN)}, found {unknown[0]} too")
    return found


def _parts(file: Path, found: Mapping[str, np.ndarray], count: int) -> dict[int, Int[np.ndarray, "_"]]:
    """The nodes of each part."""
    masks = {name: found[name] for name in PARTS if name in found}
    for name, mask in masks.items():
        if mask.dtype != bool or mask.shape != (count,):
            raise DataError(f"{file}: expected {name} as {count} bools, one a node, found {mask.dtype} {mask.shape}")
        if not mask.any():
            raise DataError(f"{file}: expected nodes in {name}, found none")
    if (twice := np.sum(list(masks.values()), axis=0) > 1).any():
        raise DataError(f"{file}: expected each node in one of {', '.join(masks)}, found node {_first(twice)} in two")
    return {PARTS[name]: np.flatnonzero(mask) for name, mask in masks.items()}


def _classes(file: Path, found: Mapping[str, np.ndarray], count: int, needed: Int[np.ndarray, "_"]) -> tuple[str, ...]:
    """The names of the classes; `needed` are nodes whose label has to be known."""
    labels, names = found["labels"], found.get("class_names")
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise DataError(f"{file}: expected labels as {count} integers, one a node, found {labels.dtype} {labels.shape}")
    if names is None:
        names = np.array([str(label) for label in range(min(int(labels.max()), count) + 1)], str)
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(f"{file}: expected class_names as a list of text, found {names.dtype} {names.shape}")
    if (wrong := (labels < -1) | (labels >= len(names))).any():
        row = _first(wrong)
        raise DataError(f"{file}: expected labels in -1..{len(names) - 1}, found {labels[row]} in row {row}")
    if (unknown := labels[needed] < 0).any():
        raise DataError(f"{file}: expected a label of each node to learn from, found -1 of {needed[_first(unknown)]}")
    return tuple(names.tolist())


def _is_directed(file: Path, found: Mapping[str, np.ndarray]) -> bool:
    directed = found.get("directed", np.False_)
    if directed.shape != () or directed.dtype != bool:
        raise DataError(f"{file}: expected directed as one bool, found {directed.dtype} {directed.shape}")
    return bool(directed)


def _directed(edges: Int[np.ndarray, "edges 2"]) -> Int[np.ndarray, "edges 2"]:
    """Each edge once, without loops, by receiver."""
    edges = edges[edges[:, 0] != edges[:, 1]].astype(np.int32)
    return np.unique(edges[:, ::-1], axis=0)[:, ::-1].copy()


def _first(wrong: Bool[np.ndarray, "rows ..."]) -> int:
    """The first row in which something is wrong."""
    return int(np.argwhere(wrong)[0, 0])
