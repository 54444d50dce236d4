"""A graph of one's own: what the arrays say is what the example has, beside networkx; wrong ones are named."""

import dataclasses

import networkx
import numpy as np
import pytest

from tests.train import harness
from train.config import Data, DataError, Model
from train.data import load, load_both
from train.data.graph_fields import TEST, TRAINING, UNUSED, VALIDATION
from train.recipes import graphs

COUNT = 24


def arrays(**others):
    """Two groups of nodes whose edges stay inside, but for two, and a self loop."""
    random, labels = np.random.default_rng(0), np.arange(COUNT) % 2
    pairs = [(a, b) for a in range(COUNT) for b in range(a) if labels[a] == labels[b] and random.random() < 0.4]
    turn = np.arange(COUNT) // 2 % 4
    found = {
        "x": random.normal(size=(COUNT, 5)) + labels[:, None],
        "edges": np.array([*pairs, (0, 1), (3, 6), (4, 4), pairs[0], pairs[1][::-1]]),
        "labels": labels,
        "train": turn == 0,
        "val": turn == 1,
        "test": turn == 2,
    }
    return {name: array for name, array in {**found, **others}.items() if array is not None}


def saved(tmp_path, **others):
    np.savez(tmp_path / "mine.npz", **arrays(**others))
    return f"graph:{tmp_path / 'mine.npz'}"


def test_the_example_is_the_graph_that_networkx_makes_of_the_arrays(tmp_path):
    train, test = load_both(Data(saved(tmp_path)))
    found, given = train[0], arrays()
    expected = networkx.Graph(given["edges"].tolist())
    expected.remove_edges_from(list(networkx.selfloop_edges(expected)))
    matrix = np.zeros((COUNT, COUNT), int)
    np.add.at(matrix, tuple(found["edges"].T), 1)
    np.testing.assert_array_equal(matrix, networkx.to_numpy_array(expected, nodelist=range(COUNT)))
    np.testing.assert_allclose(found["nodes"], given["x"], rtol=1e-6)
    np.testing.assert_array_equal(found["labels"], given["labels"])
    turn = np.arange(COUNT) // 2 % 4
    np.testing.assert_array_equal(found["parts"], np.array([TRAINING, VALIDATION, TEST, UNUSED])[turn])
    assert (train.facts.classes, len(train), len(test)) == (("0", "1"), 1, 1)


def test_directed_edges_stay_as_they_are_each_once(tmp_path):
    found = load(Data(saved(tmp_path, directed=np.True_, class_names=np.array(["a", "b"]))), "train")
    edges = networkx.DiGraph(arrays()["edges"].tolist())
    edges.remove_edge(4, 4)
    assert sorted(map(tuple, found[0]["edges"].tolist())) == sorted(edges.edges)
    assert found.facts.classes == ("a", "b")


LABELS = np.arange(COUNT) % 2
MASK = np.arange(COUNT) < 4


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"edges": None}, "expected arrays x, edges, labels, train, test, found no edges"),
        ({"weights": np.ones(3)}, "expected arrays x, edges, .*, found weights too"),
        ({"x": np.ones(COUNT)}, r"expected x as numbers \(nodes, features\), found float64 \(24,\)"),
        ({"x": np.where(np.eye(COUNT) * LABELS, np.nan, 1)}, "expected finite numbers in x, found none in row 1"),
        (
            {"edges": np.zeros((2, 9), int)},
            r"expected edges as integers \(edges, 2\), found int64 \(2, 9\); of ",
        ),
        ({"edges": np.ones((9, 2))}, r"expected edges as integers \(edges, 2\), found float64"),
        ({"edges": np.array([[0, 1], [3, 24]])}, r"expected edges of nodes 0 to 23, found \[3, 24\] in row 1"),
        ({"labels": LABELS[:9]}, r"expected labels as 24 integers, one a node, found int64 \(9,\)"),
        ({"labels": LABELS - 2}, r"expected labels in -1\.\.-1, found -2 in row 0"),
        ({"labels": LABELS * 40}, r"expected labels in -1\.\.24, found 40 in row 1"),
        ({"labels": LABELS - 1}, "expected a label of each node to learn from, found -1 of 0"),
        ({"class_names": np.array(["a"])}, r"expected labels in -1\.\.0, found 1 in row 1"),
        ({"train": np.arange(4)}, r"expected train as 24 bools, one a node, found int64 \(4,\)"),
        ({"test": ~MASK & MASK}, "expected nodes in test, found none"),
        ({"train": MASK, "val": ~MASK, "test": MASK}, "expected each node in one of train, val, test, found node 0"),
        ({"directed": np.ones(2, bool)}, r"expected directed as one bool, found bool \(2,\)"),
    ],
)
def test_arrays_that_are_not_of_this_form_are_named(tmp_path, others, said):
    with pytest.raises(DataError, match=said):
        load(Data(saved(tmp_path, **others)), "train")


def test_what_is_no_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=r"mine\.npz: expected a numpy archive \(\.npz\), found nothing"):
        load(Data(f"graph:{tmp_path / 'mine.npz'}"), "train")
    (tmp_path / "mine.npz").write_text("text")
    with pytest.raises(DataError, match="is not a complete npz file of plain arrays"):
        load(Data(f"graph:{tmp_path / 'mine.npz'}"), "train")


def test_a_run_learns_its_nodes(engine, tmp_path):
    data = dataclasses.replace(graphs.KARATE.data, source=saved(tmp_path))
    recipe = dataclasses.replace(graphs.KARATE, model=Model("gcn_tiny"), data=data, epochs=60, eval_every=60)
    with engine():
        outcome = harness.run(recipe, tmp_path / "run")
    assert outcome.metrics["accuracy"] > 0.75
    assert "val_accuracy" in outcome.metrics
