"""Graphs in TU Dortmund's text files: what a loop over the lines makes of them; splits, and files that do not fit."""

import dataclasses

import networkx
import numpy as np
import pytest

from tests.train import harness
from train.config import Data, DataError, Model
from train.data import load, load_both
from train.data.sources.tu import tu_splits
from train.recipes import graphs
from train.tasks import make_task
from train.tasks.graphs.drawing import small_drawing

SIZES = np.random.default_rng(0).integers(3, 7, 20)
"""Nodes of each graph."""
RINGS = np.arange(20) % 2 == 0
"""Which graphs are rings; the others are stars. Their classes are 1 and -1."""


def written(folder, name="RINGS", **others):
    """A folder of files; of others by their part, None leaves one out."""
    graph_of = np.repeat(np.arange(1, 21), SIZES)
    first, lines = np.cumsum(SIZES) - SIZES + 1, []
    for start, size, ring in zip(first, SIZES, RINGS, strict=True):
        pairs = [(i, (i + 1) % size) if ring else (0, i + 1) for i in range(size if ring else size - 1)]
        lines += [f"{start + a}, {start + b}" for pair in pairs for a, b in (pair, pair[::-1])]
    random = np.random.default_rng(1)
    files = {
        "A": lines,
        "graph_indicator": graph_of,
        "graph_labels": np.where(RINGS, 1, -1),
        "node_labels": 3 + 2 * random.integers(0, 3, len(graph_of)),
        "node_attributes": [f"{a:.3f}, {b:.3f}" for a, b in random.normal(size=(len(graph_of), 2))],
        "edge_labels": np.zeros(len(lines), int),
    } | others
    (folder / name).mkdir()
    for part, values in files.items():
        if values is not None:
            (folder / name / f"{name}_{part}.txt").write_text("\n".join(map(str, values)) + "\n")
    return folder / name


def read(place, part):
    return [line.split(",") for line in (place / f"RINGS_{part}.txt").read_text().splitlines()]


def every(place):
    """All graphs, in the order of the files, and the classes."""
    (whole,) = {id(source.source): source.source for source in tu_splits(str(place)).values()}.values()
    return [whole[row] for row in range(len(whole))], whole.facts.classes


def test_graphs_are_those_that_a_loop_over_the_lines_makes(tmp_path):
    place = written(tmp_path)
    examples, classes = every(place)
    assert classes == ("-1", "1")
    graph_of = [int(line[0]) for line in read(place, "graph_indicator")]
    for number, example in enumerate(examples, start=1):
        members = [node for node, graph in enumerate(graph_of, start=1) if graph == number]
        whole = networkx.Graph([tuple(map(int, pair)) for pair in read(place, "A")]).subgraph(members)
        matrix = np.zeros((len(members), len(members)))
        np.add.at(matrix, tuple(example["edges"].T), 1)
        np.testing.assert_array_equal(matrix, networkx.to_numpy_array(whole, nodelist=members))
        attributes = [[float(value) for value in read(place, "node_attributes")[node - 1]] for node in members]
        labels = [int(read(place, "node_labels")[node - 1][0]) for node in members]
        expected = np.concatenate([attributes, np.array(labels)[:, None] == [3, 5, 7]], axis=1)
        np.testing.assert_allclose(example["nodes"], expected, rtol=1e-6)
        assert classes[example["label"]] == read(place, "graph_labels")[number - 1][0]


def test_the_order_of_nodes_in_the_files_does_not_matter(tmp_path):
    """Nodes of one graph may stand apart; their order within it stays."""
    expected, _ = every(written(tmp_path))
    place, order = tmp_path / "RINGS", np.argsort(np.random.default_rng(2).random(SIZES.sum()), kind="stable")
    order = order[np.argsort(np.arange(len(order)) % 2, kind="stable")]
    graph_of = np.repeat(np.arange(20), SIZES)
    for graph in range(20):  # nodes of a graph in ascending order, at the places that the shuffle gave to it
        order[np.flatnonzero(graph_of[order] == graph)] = np.flatnonzero(graph_of == graph)
    new = np.argsort(order) + 1
    edges = [", ".join(str(new[int(node) - 1]) for node in pair) for pair in read(place, "A")]
    (place / "RINGS_A.txt").write_text("\n".join(edges))
    for part in ("graph_indicator", "node_labels", "node_attributes"):
        lines = (place / f"RINGS_{part}.txt").read_text().splitlines()
        (place / f"RINGS_{part}.txt").write_text("\n".join(lines[old] for old in order))
    found, _ = every(place)
    for one, other in zip(found, expected, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_without_labels_and_attributes_a_node_says_its_degree(tmp_path):
    examples, _ = every(written(tmp_path, node_labels=None, node_attributes=None))
    degrees = sorted({1, 2, *(SIZES[~RINGS] - 1)})
    for example, ring, size in zip(examples, RINGS, SIZES, strict=True):
        expected = [2] * size if ring else [size - 1] + [1] * (size - 1)
        np.testing.assert_array_equal(example["nodes"], np.array(expected)[:, None] == degrees)


def test_each_graph_is_tested_in_one_fold(tmp_path):
    place, rows = written(tmp_path), []
    for fold in range(1, 6):
        splits = tu_splits(f"{place}@{fold}/5")
        rows += list(splits["test"]._rows)
        assert sorted([*splits["train"]._rows, *splits["test"]._rows]) == list(range(20))
        assert np.bincount([splits["test"][row]["label"] for row in range(4)]).tolist() == [2, 2]
    assert sorted(rows) == list(range(20))


def test_a_fifth_is_held_out_or_as_many_as_one_asks_for(tmp_path):
    place = written(tmp_path)
    for asked, expected in ((0, 4), (6, 6)):
        train, test = load_both(Data(f"tu:{place / 'RINGS'}", held_out=asked))
        assert (len(train), len(test)) == (20 - expected, expected)
    with pytest.raises(DataError, match=r"data\.held_out: .* has a test of its own"):
        load(Data(f"tu:{place}@1/5", held_out=6), "train")


def changed(part, line, to):
    """A file with another line."""

    def others(place):
        lines = (place / f"RINGS_{part}.txt").read_text().splitlines()
        lines[line] = to
        (place / f"RINGS_{part}.txt").write_text("\n".join(lines))

    return others


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda place: (place / "RINGS_A.txt").unlink(), "RINGS_A.txt: expected a file of numbers that can be read"),
        (changed("A", 3, "1, 2, 3"), "RINGS_A.txt: expected as many numbers in each line, between commas"),
        (changed("A", 0, "0, 2"), r"RINGS_A.txt: expected two nodes of 1 to \d+ a line, found 2 numbers of 0 to"),
        (changed("A", 5, "1, 60"), "RINGS_A.txt: expected edges within a graph, found one across in line 6"),
        (changed("graph_labels", 0, "1.5"), r"graph_labels.txt: expected whole numbers, found 1\.5"),
        (changed("graph_labels", 0, "nan"), "graph_labels.txt: expected finite numbers, between commas, found others"),
        (lambda place: (place / "RINGS_graph_labels.txt").write_text(""), "expected finite numbers, .* found none"),
        (
            changed("graph_indicator", -1, "21"),
            "expected graphs 1 to 20, as many as there are graph labels, found 1 ",
        ),
        (changed("graph_labels", 0, "1\n1"), "graph_indicator.txt: expected nodes of each graph, found none of 21"),
        (changed("node_labels", 0, "3\n3"), r"expected attributes and labels of \d+ nodes, found \d+"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, change, said):
    place = written(tmp_path)
    change(place)
    with pytest.raises(DataError, match=said):
        tu_splits(str(place))


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "1/11"])
def test_a_fold_that_there_is_not_is_refused(tmp_path, fold):
    with pytest.raises(DataError, match=f"expected a fold of 1..FOLDS, of 2 folds to 10, .* got {fold}"):
        tu_splits(f"{written(tmp_path)}@{fold}")


def test_a_drawing_has_a_dot_a_node_and_lines_between_them():
    edges = np.array([[0, 1], [1, 0]])
    for nodes, colours in ((np.eye(3, dtype=np.float32), 3), (np.zeros((3, 3), np.float32), 1)):
        picture = small_drawing(nodes, edges).reshape(-1, 3)
        assert len(np.unique(picture, axis=0)) == colours + 2  # the ground, and a line
    assert (small_drawing(np.zeros((0, 3)), edges[:0]) == 255).all()


def test_an_edge_from_a_later_node_to_an_earlier_one_is_drawn():
    nodes = np.eye(2, dtype=np.float32)
    one_way, none = (small_drawing(nodes, np.array(edges, np.int32).reshape(-1, 2)) for edges in ([[1, 0]], []))
    assert (one_way == 150).all(axis=2).any()
    assert not (none == 150).all(axis=2).any()


def test_the_page_draws_graphs_that_have_no_picture(tmp_path):
    source = load(Data(f"tu:{written(tmp_path)}"), "test")
    task = make_task(graphs.SUPERPIXELS.task, source, None)
    assert task.fields == ("nodes", "edges", "label")
    page, batch = task.page(), source.read([0, 1, 2, 3])
    right = np.eye(2)[batch["label"]]
    page.add({**batch, "index": np.arange(4)}, {"logits": np.where(np.arange(4)[:, None] < 3, right, -right)})
    (wrong,) = page.wrong.examples()
    assert (wrong["row"], wrong["nodes_valid"].sum()) == (3, len(source[3]["nodes"]))
    shown = page._shown(**wrong)
    np.testing.assert_array_equal(shown.image, small_drawing(source[3]["nodes"], source[3]["edges"]))
    assert page.picture({name: array[0] for name, array in batch.items()}, {"logits": right[0]}).dtype == np.uint8


@pytest.mark.slow  # a run
def test_a_run_tells_rings_from_stars(engine, tmp_path):
    data = Data(f"tu:{written(tmp_path, node_labels=None, node_attributes=None)}", batch_size=8, eval_batch_size=4)
    recipe = dataclasses.replace(
        graphs.SUPERPIXELS, model=Model("graph_gcn_tiny"), data=data, epochs=40, eval_every=40, log_every=2
    )
    with engine():
        outcome = harness.run(recipe, tmp_path / "run")
    assert outcome.metrics["accuracy"] == 1
