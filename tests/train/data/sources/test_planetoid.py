"""Planetoid's files: real ones have the published sizes, small ones come back as they were written, bad are named."""

import importlib
import pickle

import numpy as np
import pytest

from tests.shared import shared
from tests.train.data import planetoid_files as given
from train.config import Data, DataError
from train.data import load, load_both
from train.data.graph_fields import TEST, TRAINING, UNUSED, VALIDATION

planetoid = importlib.import_module("train.data.sources.planetoid")  # beside a function of that name


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setattr(planetoid, "VALIDATED", 6)
    return given.write(tmp_path)


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "words", "classes"),
    [
        # Sen et al., 2008, table 1, for the papers of each class; undirected edges are torch_geometric's.
        ("cora", 2708, 5278, 1433, {"neural networks": 818, "rule learning": 180, "theory": 351, "case based": 298}),
        ("citeseer", 3327, 4552, 3703, {"agents": 596, "AI": 249, "DB": 701, "IR": 668, "ML": 590, "HCI": 508}),
    ],
)
def test_real_sets_have_the_published_sizes_and_split(name, nodes, edges, words, classes):
    source, test = load_both(Data(f"planetoid:{name}", data_dir=str(shared("data", "planetoid"))))
    assert source is test  # one graph, read once
    graph = source[0]
    assert (graph["nodes"].shape, graph["edges"].shape) == ((nodes, words), (2 * edges, 2))
    counts = dict(zip(source.facts.classes, np.bincount(graph["labels"][graph["labels"] >= 0]), strict=True))
    assert classes.items() <= counts.items()
    learned = graph["labels"][graph["parts"] == TRAINING]
    assert np.bincount(learned).tolist() == [20] * len(counts)
    assert [(graph["parts"] == part).sum() for part in (VALIDATION, TEST)] == [500, 1000]
    sums = graph["nodes"].sum(axis=1)
    np.testing.assert_allclose(sums[sums > 0], 1, rtol=1e-5)
    isolated = np.setdiff1d(np.arange(nodes), graph["edges"])
    assert len(isolated) == {"cora": 0, "citeseer": 48}[name]
    assert (graph["labels"] < 0).sum() == {"cora": 0, "citeseer": 15}[name]


def test_small_files_come_back_as_they_were_written(small):
    words, labels, pairs = given.small()
    source = load(Data(f"planetoid:{small}"), "train")
    graph = source[0]
    known = np.arange(len(labels)) != given.MISSING
    np.testing.assert_array_equal(graph["labels"], np.where(known, labels, -1))
    sums = np.maximum(words.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(graph["nodes"], np.where(known[:, None], words / sums, 0), atol=1e-6)
    both = {pair for a, b in pairs if a != b for pair in ((a, b), (b, a))}
    assert len(graph["edges"]) == len(both)
    assert set(map(tuple, graph["edges"].tolist())) == both
    parts = np.full(len(labels), TEST)
    parts[:4], parts[4:10], parts[10:16], parts[given.MISSING] = TRAINING, VALIDATION, UNUSED, UNUSED
    np.testing.assert_array_equal(graph["parts"], parts)
    assert source.facts.classes == ("0", "1")
    again = load(Data("planetoid:small", data_dir=str(small.parent)), "test")[0]
    np.testing.assert_array_equal(again["nodes"], graph["nodes"])


class Harmful:
    def __reduce__(self):
        return open, ("/nowhere", "w")


def replaced(small, part, content):
    small.with_name(f"ind.small.{part}").write_bytes(content)


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("x", pickle.dumps(Harmful(), 2), r"ind\.small\.x: expected a pickle of arrays alone \(it asks for .*open\)"),
        ("graph", pickle.dumps({"a": eval}, 2), r"expected a pickle of arrays alone \(it asks for .*eval\)"),
        ("tx", b"no pickle", "expected a pickle of arrays alone"),
        ("allx", pickle.dumps(np.eye(3), 2), "expected a sparse matrix by rows, found ndarray"),
        ("ally", pickle.dumps([1, 2], 2), "expected an array with a column a class, found list"),
        ("graph", pickle.dumps([(0, 1)], 2), "expected a dictionary of neighbours, found list"),
        ("graph", pickle.dumps({0: [99]}, 2), "expected nodes 0 to 21, found 0 to 99"),
        ("graph", pickle.dumps({0: ["one"]}, 2), "expected numbers of nodes"),
        ("test.index", b"16\nseventeen\n", "expected a number of a node a line"),
        ("test.index", b"16\n16\n17\n19\n20\n", "expected different numbers of nodes"),
        ("test.index", b"16\n17\n", "expected test nodes after the others, and as many labels as features"),
        ("ty", pickle.dumps(np.eye(5, 3), 2), "features and classes of one number"),
    ],
)
def test_a_file_that_holds_something_else_is_named(small, part, content, message):
    replaced(small, part, content)
    with pytest.raises(DataError, match=message):
        load(Data(f"planetoid:{small}"), "train")


def test_a_sparse_matrix_whose_rows_do_not_fit_its_values_is_refused(small):
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(np.eye(4, 6, dtype=np.float32))
    matrix.indices = matrix.indices + 5
    replaced(small, "x", pickle.dumps(matrix, 2))
    with pytest.raises(DataError, match="one that is damaged"):
        load(Data(f"planetoid:{small}"), "train")


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"ind\.cora\.x: cannot be read \(No such file"):
        load(Data("planetoid:cora", data_dir=str(tmp_path)), "train")
