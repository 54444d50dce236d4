"""Cora, Citeseer and Pubmed as Planetoid's files have them: papers, the words in them, and who cites whom.

Yang, Cohen and Salakhutdinov, 2016, Revisiting Semi-Supervised Learning with Graph Embeddings, whose files and split
these are: 20 nodes a class to learn from, 500 to validate, 1000 to test. Lecture row L78.
"""

import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from train.config import DataError
from train.data.graph_fields import TEST, TRAINING, VALIDATION, both_ways, of_nodes
from train.data.source import ArraySource

VALIDATED = 500
"""Nodes to validate on: those after the ones to learn from."""
CLASSES = {
    "cora": (
        "theory",
        "reinforcement learning",
        "genetic algorithms",
        "neural networks",
        "probabilistic methods",
        "case based",
        "rule learning",
    ),
    "citeseer": ("AI", "ML", "IR", "DB", "agents", "HCI"),
}
"""Sen et al., 2008, Collective Classification in Network Data: the files only number them, in an order that the number
of papers in each tells. Those of others are called by number."""


def planetoid(path: str, data_dir: str | None = None) -> ArraySource:
    """One graph: `path` is a folder and the name of the data set in it, such as FOLDER/cora for FOLDER/ind.cora.x.

    Features are words, each row divided by its sum. Edges go both ways, once, and there are no self loops. Nodes that
    the files know nothing of, of which Citeseer has 15, have features of 0, the label -1 and no part.

    Args:
      path: of the files, without what is before and after the name.
      data_dir: the folder that a path is relative to.

    Raises:
      DataError: a file is missing, holds something else, or they do not fit each other.
    """
    place = Path(data_dir or ".").expanduser() / Path(path).expanduser()
    folder, name = place.parent, place.name
    x, tx, allx = (_matrix(folder / f"ind.{name}.{part}") for part in ("x", "tx", "allx"))
    ty, ally = (_array(folder / f"ind.{name}.{part}") for part in ("ty", "ally"))
    test = _test_rows(folder / f"ind.{name}.test.index")
    count = int(max(test.max() + 1, len(allx)))
    if len(tx) != len(test) or len(ty) != len(test) or len(ally) != len(allx) or test.min() < len(allx):
        sizes = f"allx {len(allx)}, ally {len(ally)}, tx {len(tx)}, ty {len(ty)}, test.index {len(test)}"
        raise DataError(f"{place}: expected test nodes after the others, and as many labels as features, got {sizes}")
    if len(x) + VALIDATED > len(allx) or tx.shape[1] != allx.shape[1] or ty.shape[1] != ally.shape[1]:
        raise DataError(f"{place}: expected {VALIDATED} nodes to validate on, and features and classes of one number")
    features = np.zeros((count, allx.shape[1]), np.float32)
    features[: len(allx)], features[test] = allx, tx
    labels = np.full(count, -1, np.int32)
    labels[: len(allx)], labels[test] = _numbers(ally), _numbers(ty)
    parts = {TRAINING: np.arange(len(x)), VALIDATION: np.arange(len(x), len(x) + VALIDATED), TEST: test}
    classes = CLASSES.get(name.lower(), tuple(map(str, range(ally.shape[1]))))
    if len(classes) != ally.shape[1]:
        raise DataError(f"{place}: expected labels of {len(classes)} classes, found {ally.shape[1]}")
    edges = both_ways(_pairs(folder / f"ind.{name}.graph", count))
    return of_nodes(f"planetoid:{name}", _row_normalised(features), edges, labels, parts, classes)


def _row_normalised(features: Float[np.ndarray, "nodes features"]) -> Float[np.ndarray, "nodes features"]:
    sums = features.sum(axis=1, keepdims=True)
    return features / np.where(sums == 0, 1, sums)


def _numbers(one_hot: Int[np.ndarray, "nodes classes"]) -> Int[np.ndarray, " nodes"]:
    """The class of each row; -1 of a row that has none."""
    return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), -1)


def _test_rows(path: Path) -> Int[np.ndarray, " test"]:
    try:
        rows = np.array([int(line) for line in path.read_text(encoding="ascii").split()], np.int64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a number of a node a line ({error})") from error
    if not len(rows) or rows.min() < 0 or len(np.unique(rows)) < len(rows):
        raise DataError(f"{path}: expected different numbers of nodes, from 0 on")
    return rows


def _pairs(path: Path, count: int) -> Int[np.ndarray, "pairs 2"]:
    """The pairs of a dictionary of neighbours."""
    neighbours = load(path)
    if not isinstance(neighbours, dict):
        raise DataError(f"{path}: expected a dictionary of neighbours, found {type(neighbours).__name__}")
    try:
        pairs = np.array([(node, other) for node, others in neighbours.items() for other in others], np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: expected numbers of nodes ({error})") from error
    pairs = pairs.reshape(-1, 2)
    if len(pairs) and not 0 <= pairs.min() <= pairs.max() < count:
        raise DataError(f"{path}: expected nodes 0 to {count - 1}, found {pairs.min()} to {pairs.max()}")
    return pairs


def _matrix(path: Path) -> Float[np.ndarray, "rows columns"]:
    """A sparse matrix of the file, as a dense one."""
    found = load(path)
    if not isinstance(found, _Csr):
        raise DataError(f"{path}: expected a sparse matrix by rows, found {type(found).__name__}")
    try:
        return found.dense()
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{path}: expected a sparse matrix by rows, found one that is damaged ({error})") from error


def _array(path: Path) -> Int[np.ndarray, "rows classes"]:
    found = load(path)
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "iufb":
        raise DataError(f"{path}: expected an array with a column a class, found {type(found).__name__}")
    return found


class _Csr:
    """What a pickle says of a `scipy.sparse.csr_matrix`, of whatever version: its arrays."""

    def dense(self) -> Float[np.ndarray, "rows columns"]:
        rows, columns = getattr(self, "_shape", None) or self.shape
        starts, places = (np.asarray(each, np.int64) for each in (self.indptr, self.indices))
        lengths = np.diff(starts)
        fits = len(lengths) == rows and starts[0] == 0 and starts[-1] == len(places) == len(self.data)
        if not fits or (lengths < 0).any() or (len(places) and not 0 <= places.min() <= places.max() < columns):
            raise ValueError("its rows do not fit its values")
        matrix = np.zeros((rows, columns), np.float32)
        np.add.at(matrix, (np.repeat(np.arange(rows), lengths), places), self.data)
        return matrix


def _dtype(kind: str, align: object = False, copy: object = False) -> np.dtype:
    """numpy's, of flags that old files write as numbers."""
    return np.dtype(kind, align=bool(align), copy=bool(copy))


def _bytes(text: str, _: str) -> bytes:
    """What Python 3 writes of bytes for Python 2."""
    return text.encode("latin1")


_ALLOWED = {
    ("_codecs", "encode"): _bytes,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
    ("scipy.sparse.csr", "csr_matrix"): _Csr,
    ("scipy.sparse._csr", "csr_matrix"): _Csr,
    ("collections", "defaultdict"): collections.defaultdict,
    ("__builtin__", "list"): list,
    ("builtins", "list"): list,
}
"""What the pickles may make, by the names that Python 2 and 3 and the versions of the libraries gave it."""


class _Unpickler(pickle.Unpickler):
    """Reads arrays, sparse matrices and dictionaries of lists, and refuses all else: a pickle can run any program."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]


def load(path: Path) -> Any:
    """What a pickle of Planetoid holds; of sparse matrices their arrays.

    Raises:
      DataError: there is no such file, it is no pickle, or one that asks for more than numbers.
    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # a damaged pickle raises anything
        raise DataError(f"{path}: expected a pickle of arrays alone ({error})") from error
