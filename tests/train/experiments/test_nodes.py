"""The experiment on nodes: rules of stopping against plain loops, many seeds against the engine, given numbers."""

import dataclasses
import importlib

import jax
import numpy as np
import pytest

from tests.train import harness
from tests.train.data import planetoid_files
from train.config import DataError, Model
from train.data import load
from train.engine.console import Console
from train.experiments import SeededOptions
from train.experiments.geometric import nodes
from train.experiments.geometric.stopping import (
    Decision,
    Rule,
    Validated,
    above_the_last,
    begun,
    no_better_for,
    watched,
)
from train.experiments.study import Result

planetoid = importlib.import_module("train.data.sources.planetoid")


def histories(count=40, length=60):
    """Losses that fall and most rise again, what decay adds, and accuracies in steps, so that some are equal."""
    random = np.random.default_rng(0)
    times, lowest = np.linspace(-1, 1, length), random.uniform(-0.8, 1.4, (count, 1))
    losses = random.uniform(0.5, 2, (count, 1)) * (times - lowest) ** 2
    losses += 0.01 * random.normal(size=losses.shape)
    decays = np.broadcast_to(random.uniform(0, 0.3, (count, 1)) * times, losses.shape)
    accuracies = np.round(np.exp(-losses) + 0.02 * random.normal(size=losses.shape), 1)
    return tuple(each.astype(np.float32) for each in (losses, decays, accuracies))


def by_kipf(losses, decays, _, window=5):
    """Epochs done, and the one that counts, as a loop over the list of losses has it."""
    losses = losses + decays
    for epoch in range(len(losses)):
        if epoch > window and losses[epoch] > np.mean(losses[epoch - window : epoch], dtype=np.float32):
            return epoch + 1, epoch + 1
    return len(losses), len(losses)


def by_velickovic(losses, _, accuracies, patience=8):
    best_loss, best_accuracy, waited, taken = np.inf, 0.0, 0, 0
    for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True)):
        if accuracy >= best_accuracy or loss <= best_loss:
            if accuracy >= best_accuracy and loss <= best_loss:
                taken = epoch + 1
            best_accuracy, best_loss = max(accuracy, best_accuracy), min(loss, best_loss)
            waited = 0
        else:
            waited += 1
            if waited == patience:
                return epoch + 1, taken
    return len(losses), taken


@pytest.mark.parametrize(
    ("rule", "by_loop"), [(above_the_last(5), by_kipf), (no_better_for(8), by_velickovic)], ids=["GCN", "GAT"]
)
def test_a_rule_stops_when_the_authors_loop_does_and_takes_the_same_epoch(rule, by_loop):
    given = histories()

    def run(*history):
        def epoch(run, seen):
            return watched(rule, run, Validated(*seen), 100.0 * seen[0]), None

        return jax.lax.scan(epoch, begun(rule), (np.arange(len(history[0])), *history))[0]

    found = jax.jit(jax.vmap(run))(*given)
    expected = np.array([by_loop(*each) for each in zip(*given, strict=True)])
    np.testing.assert_array_equal(np.stack([found.epochs, found.taken], axis=1), expected)
    np.testing.assert_array_equal(found.result, 100.0 * (expected[:, 1] - 1))
    assert 5 < found.stopped.sum() < len(expected)


def test_a_loss_and_an_accuracy_as_good_as_ever_count():
    rule = no_better_for(2)
    run = begun(rule)
    for epoch in range(3):
        run = watched(rule, run, Validated(*map(jax.numpy.array, (epoch, 1.0, 0.0, 0.5))), jax.numpy.array(0.0))
    assert (int(run.taken), bool(run.stopped)) == (3, False)


MODEL = Model("gcn_tiny", options=("dropout=0.0",))  # which draws other numbers of sparse features than of dense ones
NEVER = Rule(0, lambda memory, seen: Decision(memory, jax.numpy.array(True), jax.numpy.array(False)))
"""Every epoch counts, and none is the last."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With small files in place of Cora's."""
    monkeypatch.setattr(planetoid, "VALIDATED", 6)
    monkeypatch.setattr(nodes, "AT_ONCE", 8)
    planetoid_files.write(tmp_path, "small")
    return tmp_path


def tiny(arm):
    data = dataclasses.replace(arm.recipe.data, source="planetoid:small")
    return arm._replace(recipe=dataclasses.replace(arm.recipe, model=MODEL, data=data, epochs=12))


def test_without_dropout_every_seed_comes_to_what_a_run_of_the_engine_comes_to(engine, folder):
    arm = tiny(nodes.arms("cora", str(folder))[nodes.GCN])._replace(rule=NEVER)
    found = nodes.trained(arm, range(2, 4), Console(quiet=True))
    with engine():
        for place, seed in enumerate((2, 3)):
            recipe = dataclasses.replace(arm.recipe, seed=seed, eval_every=12)
            outcome = harness.run(recipe, folder / f"run{seed}")
            assert found.metrics["accuracy"][place] == pytest.approx(outcome.metrics["accuracy"], abs=1e-6)
    assert found.metrics["epochs"] == [12, 12]  # not 16, which the calls of the device come to


def test_without_edges_every_node_is_alone(folder):
    arms = nodes.arms("cora", str(folder))
    assert [arm.sees_edges for arm in arms.values()] == [False, True, True, True]
    source = load(tiny(arms[nodes.GCN]).recipe.data, "train")
    assert not nodes.one_graph(source.arrays(), sees_edges=False)["edges_valid"].any()
    assert nodes.one_graph(source.arrays())["edges_valid"].all()


def results(**accuracy):
    of = {name: Result({"accuracy": [accuracy[name] / 100] * 2, "epochs": [200.0, 100.0]}) for name in accuracy}
    names = {"blind": nodes.BLIND, "gcn": nodes.GCN, "sage": nodes.SAGE, "gat": nodes.GAT}
    return {names[name]: result for name, result in of.items()}


def test_claims_hold_of_the_published_numbers_and_not_of_worse_ones():
    good = {
        "cora": results(blind=55.1, gcn=81.5, sage=79.0, gat=83.0),
        "citeseer": results(blind=46.5, gcn=70.3, sage=68.0, gat=72.5),
    }
    claims = nodes.claims(good)
    assert len(claims) == 5
    assert all(claims.values())
    worse = {**good, "cora": results(blind=79.0, gcn=80.4, sage=79.0, gat=81.4)}
    assert [said for said, holds in nodes.claims(worse).items() if not holds] == [
        "GCN reaches 80.5 % on Cora",
        "GAT reaches 81.5 % on Cora",
        "citations tell more than words alone, Cora",
    ]
    table = nodes.table(good)
    assert "| GCN | 81.5 ± 0.0 | 70.3 ± 0.0 |" in table
    assert "| GAT, published | 83.0 ± 0.7 | 72.5 ± 0.7 |" in table
    assert len(nodes.drawn(good).axes) == 1


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected Planetoid's files, ind\.cora\.x, .* found none"):
        nodes.run(SeededOptions(workdir=tmp_path, data_dir=str(tmp_path)))
