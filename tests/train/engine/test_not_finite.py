"""A loss that is not a number: named by its step and rows, or skipped and counted, and never saved."""

import re
import signal
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train.harness import BATCH, STEPS_PER_EPOCH, begin, lines, recipe, run, saved, signal_at
from train import cli
from train.config import Data, Optimizer
from train.data import load, make_pipeline
from train.engine.feed import MemoryFeed
from train.engine.loop import NonFiniteError
from train.engine.state import fingerprint
from train.tasks.classification.task import Classification

pytestmark = pytest.mark.usefixtures("runs")


POISON = 13
"""A training row whose loss is not a number."""


@pytest.fixture
def poisoned(monkeypatch):
    objective = Classification.objective

    def poisoned(self, outputs, batch):
        loss = objective(self, outputs, batch)
        return loss._replace(total=loss.total + jnp.sum(jnp.where(batch["index"] == POISON, jnp.nan, 0.0)))

    monkeypatch.setattr(Classification, "objective", poisoned)


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step_with_its_rows(poisoned, data, tmp_path):
    source = load(Data(f"npz:{data}"), "train")
    pipeline = make_pipeline(source, BATCH, seed=0)
    step = next(step for step in range(STEPS_PER_EPOCH) if POISON in pipeline.indices(step))
    rows = " ".join(map(str, pipeline.indices(step)))
    assert 2 < step < 7
    good = step // 2 * 2
    message = rf"step {step + 1}: .* not finite; rows of its batch of 8: {rows}; last good checkpoint: step {good} in"
    with pytest.raises(NonFiniteError, match=message):
        run(recipe(data, checkpoint_every=2), tmp_path / "run")
    assert saved(tmp_path / "run").steps()[-1] == good


def test_with_skip_the_run_goes_on_without_those_updates_and_counts_them(poisoned, data, tmp_path, monkeypatch):
    changed = recipe(data, on_nan="skip")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = run(changed, tmp_path / "run")
    assert [re.search(r"update skipped \((\d) so far", str(warning.message))[1] for warning in caught] == [
        "1",
        "2",
        "3",
    ]
    variables = saved(tmp_path / "run").load_variables()[1]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))
    assert lines(tmp_path / "run", "train")[-1]["skipped"] == 3  # once an epoch
    signal_at(monkeypatch, MemoryFeed, "advance", signal.SIGTERM, call=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(changed, tmp_path / "again")
        assert run(changed, tmp_path / "again", resume=True).fingerprint == outcome.fingerprint
    assert lines(tmp_path / "again", "train")[-1]["skipped"] == 3


@pytest.mark.filterwarnings("ignore:step .* update skipped")
def test_a_skipped_step_leaves_an_accumulation_that_the_last_step_applies(poisoned, data, tmp_path):
    accumulating = Optimizer("adam", accumulate=2)
    run(recipe(data, optimizer=accumulating, on_nan="skip", epochs=1, checkpoint_every=1), tmp_path / "run")
    after_three_updates, at_the_end = (saved(tmp_path / "run").load_variables(step)[1]["params"] for step in (7, 8))
    assert fingerprint(after_three_updates) != fingerprint(at_the_end)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("learning_rate", "on_nan", "message"),
    [
        (1e39, "skip", "error: step 1: after the update, not finite: params/"),
        pytest.param(1e38, "stop", "error: step 2: loss or gradient is not finite", marks=pytest.mark.slow),
    ],
)
def test_nothing_that_is_not_finite_is_ever_saved(learning_rate, on_nan, message, data, tmp_path, capsys):
    wild = Optimizer("sgd", learning_rate=learning_rate, ema=0.9)
    path = begin(recipe(data, optimizer=wild, on_nan=on_nan, checkpoint_every=1), tmp_path / "run")
    assert cli.main(["resume", str(path)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    for step in saved(path).steps():
        _, variables, average = saved(path).load_variables(step)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((variables, average)))
