"""Classes of nodes and of graphs: numbers against scikit-learn's, which node counts where, pages, and whole runs."""

import dataclasses
import importlib

import jax
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from tests.train import harness
from tests.train.data import planetoid_files
from train.config import Data, Model, RecipeError
from train.config.tasks.classification import Classification
from train.config.tasks.graphs import GraphClassification, NodeClassification
from train.data import load
from train.data.fields import Facts, Field, Kind
from train.data.graph_fields import TEST, TRAINING, VALIDATION, graph_spec
from train.recipes import graphs
from train.tasks import make_task
from train.tasks.nodes.drawing import placed, projected
from train.tasks.nodes.page import NodePage
from train.tasks.nodes.task import NodeClassification as NodeTask
from train.use.predict import predict_images
from train.use.predictor import PredictError

planetoid = importlib.import_module("train.data.sources.planetoid")
superpixels = importlib.import_module("train.data.sources.superpixels")

NAMES = ("a", "b", "c")
TASK = NodeTask(NAMES, validates=True)
random = np.random.default_rng(0)
LOGITS = 2 * random.normal(size=(2, 12, 3)).astype(np.float32)
LABELS = random.integers(0, 3, (2, 12)).astype(np.int32)
LABELS[0, 5] = -1  # a test node whose class nobody knows
LABELS[0, 4] = LOGITS[0, 4].argmax()  # one that is right
PARTS = np.array([[1, 1, 2, 2, 3, 3, 3, 3, 0, 0, 3, 3], [1, 2, 2, 3, 3, 3, 0, 0, 0, 3, 3, 3]], np.int32)
VALID = np.arange(12) < np.array([11, 12])[:, None]
BATCH = {
    "labels": LABELS,
    "parts": PARTS,
    "nodes_valid": VALID,
    "nodes": np.zeros((2, 12, 4), np.float32),
    "edges": np.array([[[0, 1], [4, 6]], [[1, 2], [0, 0]]], np.int32),
    "edges_valid": np.ones((2, 2), bool),
    "mask": np.array([True, False]),
    "index": np.arange(2),
}


def of(part):
    """Logits and labels of the nodes that count."""
    counts = (part == PARTS) & VALID & (LABELS >= 0) & BATCH["mask"][:, None]
    return LOGITS[counts].astype(np.float64), LABELS[counts]


def scored(part):
    logits, labels = of(part)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return log_loss(labels, shares, labels=range(3)), accuracy_score(labels, logits.argmax(axis=1))


def test_training_counts_the_nodes_to_learn_from_and_evaluation_the_others_as_scikit_learn_does():
    np.testing.assert_allclose(jax.jit(TASK.objective)(LOGITS, BATCH).value(), scored(TRAINING)[0], rtol=1e-5)
    scores = TASK.scores(jax.device_get(jax.jit(TASK.totals)(LOGITS, BATCH)))
    expected = dict(zip(("loss", "accuracy"), scored(TEST), strict=True))
    expected |= dict(zip(("val_loss", "val_accuracy"), scored(VALIDATION), strict=True))
    assert scores == pytest.approx(expected, rel=1e-5)
    assert {metric.name for metric in TASK.metrics} == set(scores)
    assert TASK.metrics[0].name == "val_accuracy"  # ranks checkpoints
    _, aux = TASK.loss(lambda params, *inputs: (LOGITS, {}), {}, BATCH, None)
    assert TASK.scores(jax.device_get(aux.totals)) == pytest.approx(
        dict(zip(("loss", "accuracy"), scored(TRAINING), strict=True)), rel=1e-5
    )


def test_a_node_whose_outputs_are_not_finite_is_wrong():
    broken = LOGITS.copy()
    _, labels = of(TEST)
    right = np.argwhere((PARTS == TEST) & VALID & BATCH["mask"][:, None] & (LOGITS.argmax(axis=-1) == LABELS))[0]
    broken[(*right, (LABELS[tuple(right)] + 1) % 3)] = -np.inf
    scores = TASK.scores(jax.device_get(jax.jit(TASK.totals)(broken, BATCH)))
    assert scores["accuracy"] == pytest.approx(scored(TEST)[1] - 1 / len(labels))


def test_without_nodes_to_validate_on_the_test_ranks():
    task = NodeTask.fit(NodeClassification(), load(Data("karate"), "train"))
    assert (task.class_names, task.validates) == (("Mr. Hi", "Officer"), False)
    assert [metric.name for metric in task.metrics] == ["accuracy", "loss"]
    assert set(task.scores(jax.device_get(task.totals(LOGITS[..., :2], BATCH)))) == {"accuracy", "loss"}


def test_examples_have_to_be_graphs_whose_nodes_have_classes():
    with pytest.raises(RecipeError, match="node_classification needs graphs with labels and parts of their nodes"):
        NodeTask.fit(NodeClassification(), load(Data("digits", limit=20), "test"))
    spec, label = graph_spec(12, 2, 4), Field(Kind.LABEL, (None,), "int32", (12,))
    fields = {**spec, "labels": label, "parts": label._replace(kind=Kind.PLAIN)}
    TASK.check(fields, Facts(NAMES))
    for name, wrong, message in (
        ("labels", label._replace(most=(7,)), "expected labels with a label a node"),
        ("edges", spec["edges"]._replace(kind=Kind.PLAIN), "expected edges of graphs"),
        ("nodes", spec["nodes"]._replace(most=()), "expected nodes with features, padded to one number"),
    ):
        with pytest.raises(RecipeError, match=message):
            TASK.check({**fields, name: wrong}, Facts(NAMES))
    with pytest.raises(RecipeError, match="expected examples with nodes, edges"):
        make_task(GraphClassification(), load(Data("digits", limit=20), "test"), None).check({"label": label}, Facts())


def real(batch, logits):
    """The batch and the outputs without examples that fill it up, as pages are given them."""
    return {name: array[batch["mask"]] for name, array in batch.items()}, {"logits": logits[batch["mask"]]}


def test_page_counts_test_nodes_and_draws_the_first_graph():
    whole = {**BATCH, "mask": np.ones(2, bool)}
    page, apart = NodePage(NAMES), [NodePage(NAMES), NodePage(NAMES)]
    page.add(*real(whole, LOGITS))
    for part, mask in zip(apart, np.eye(2, dtype=bool), strict=True):
        part.add(*real({**whole, "mask": mask}, LOGITS))
    apart[1].merge(apart[0])
    counts = (PARTS == TEST) & VALID & (LABELS >= 0)
    assert page.counts.sum() == counts.sum()
    assert page.counts.trace() == (counts & (LOGITS.argmax(axis=-1) == LABELS)).sum()
    np.testing.assert_array_equal(apart[1].counts, page.counts)
    np.testing.assert_array_equal(apart[1].validated, page.validated)
    assert apart[1].first[0] == page.first[0] == 0
    assert len(page.first[1]["labels"]) == 11
    results = page.results(None)
    assert f"of {counts.sum()} nodes" in results.detail
    assert set(results.pictures) == {"graph.png", "confusion.png"}
    one = {"logits": LOGITS[1]}
    assert page.record(one)["classes"] == [NAMES[label] for label in LOGITS[1].argmax(axis=1)]
    assert page.words(one).startswith(f"a {(LOGITS[1].argmax(axis=1) == 0).sum()}, b ")
    assert page.picture({name: array[1] for name, array in BATCH.items()}, one).dtype == np.uint8
    with pytest.raises(ValueError, match="at least one graph"):
        NodePage(NAMES).results(None)


def test_nodes_that_are_linked_are_drawn_near_each_other_and_of_large_graphs_those_of_like_outputs():
    edges = np.array([(a, b) for a in range(6) for b in range(6) if a != b and a // 3 == b // 3])
    places = placed(edges, np.zeros((6, 2), np.float32))
    inside = max(np.linalg.norm(places[a] - places[b]) for a, b in edges)
    across = min(np.linalg.norm(places[a] - places[b]) for a in range(3) for b in range(3, 6))
    assert inside < across
    assert places.min() == 0
    assert places.max() == 1
    from sklearn.decomposition import PCA

    logits = random.normal(size=(400, 5)).astype(np.float32)
    expected = PCA(2).fit_transform(logits)
    np.testing.assert_allclose(np.abs(projected(logits)), np.abs(expected), atol=1e-3)


def test_a_page_counts_outputs_that_are_not_finite_as_wrong_and_shows_what_is_known(monkeypatch):
    broken, whole = LOGITS.copy(), {**BATCH, "mask": np.ones(2, bool)}
    broken[0, 4] = np.nan  # a test node
    pages = [NodePage(NAMES), NodePage(NAMES)]
    for page, mask in zip(pages, np.eye(2, dtype=bool), strict=True):
        page.add(*real({**whole, "mask": mask}, broken))
    pages[1].merge(pages[0])
    drawn, drawing = [], importlib.import_module("train.tasks.nodes.page").graph_drawing
    monkeypatch.setattr("train.tasks.nodes.page.graph_drawing", lambda *given: drawn.append(given) or drawing(*given))
    results = pages[1].results(None)
    tested = (PARTS == TEST) & VALID & (LABELS >= 0)
    right = tested & (LOGITS.argmax(axis=-1) == LABELS)
    right[0, 4] = False
    assert results.detail.startswith(f"{(tested & ~right).sum()} wrong of {tested.sum()} nodes")
    assert results.notes == ["Nodes whose outputs are not finite, counted as wrong: 1."]
    edges, _, wrong, given, *_ = drawn[0]
    np.testing.assert_array_equal(edges, BATCH["edges"][0])
    np.testing.assert_array_equal(given, (PARTS[0] == TRAINING)[:11])
    assert not wrong[5]  # nobody knows its class
    others = np.arange(11) != 4
    expected = (LABELS[0] >= 0) & (LOGITS[0].argmax(axis=1) != LABELS[0])
    np.testing.assert_array_equal(wrong[others], expected[:11][others])


def test_every_edge_is_drawn_once_whatever_its_direction():
    from train.report.theme import LIGHT
    from train.tasks.nodes.drawing import graph_drawing

    nobody, first, logits = np.zeros(4, bool), np.arange(4) == 0, np.eye(4, dtype=np.float32)
    edges = np.array([[1, 0], [0, 2], [2, 0], [3, 2]])
    lines, others, learned = graph_drawing(edges, logits, nobody, first, tuple("abcd"), LIGHT).axes[0].collections
    places = placed(edges, logits)
    expected = [places[list(pair)] for pair in ((0, 1), (0, 2), (2, 3))]
    np.testing.assert_allclose(lines.get_segments(), expected)
    np.testing.assert_allclose(others.get_offsets(), places[1:])
    np.testing.assert_allclose(learned.get_offsets(), places[:1])
    assert len(learned.get_paths()[0].vertices) == 5  # a square, and the others are round
    assert len(others.get_paths()[0].vertices) > 5


def test_a_run_on_one_graph_learns_is_ranked_by_validation_and_goes_on_to_the_same_bits(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(planetoid, "VALIDATED", 6)
    file = planetoid_files.write(tmp_path)
    recipe = dataclasses.replace(
        graphs.CORA,
        model=Model("gcn_tiny"),
        data=Data(f"planetoid:{file}", batch_size=1, eval_batch_size=1),
        epochs=30,
        eval_every=10,
        checkpoint_every=10,
        log_every=10,
    )
    with engine():
        outcome = harness.run(recipe, tmp_path / "run")
        with monkeypatch.context() as patch:
            harness.signal_at(patch, harness.MemoryFeed, "advance", harness.signal.SIGINT, call=1)
            assert harness.run(recipe, tmp_path / "parts").fingerprint is None
        assert harness.run(recipe, tmp_path / "parts", resume=True).fingerprint == outcome.fingerprint
    evaluations = harness.lines(tmp_path / "run", "eval")
    assert evaluations[-1]["best_val_accuracy"] == max(line["val_accuracy"] for line in evaluations)
    assert evaluations[-1]["accuracy"] > 0.5
    losses = [line["loss"] for line in harness.lines(tmp_path / "run", "train")]
    assert losses[-1] < losses[0]
    with pytest.raises(PredictError, match="predict reads images alone"):
        predict_images(tmp_path / "run", (tmp_path / "none.png",))


def test_a_run_on_graphs_learns(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(
        superpixels, "rows_of", lambda labels, split: np.flatnonzero(labels < 2)[: 40 if split == "train" else 8]
    )
    recipe = dataclasses.replace(
        graphs.SUPERPIXELS,
        model=Model("graph_gcn_tiny"),
        data=Data("superpixels", batch_size=20, eval_batch_size=8),
        epochs=10,
        eval_every=10,
        log_every=2,
    )
    with engine():
        outcome = harness.run(recipe, tmp_path / "run")
    losses = [line["loss"] for line in harness.lines(tmp_path / "run", "train")]
    assert losses[-1] < losses[0]
    assert {"accuracy", "loss"} <= outcome.metrics.keys()
    assert isinstance(recipe.task, Classification)
