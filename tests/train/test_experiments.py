"""Experiments: what they conclude follows from the runs' own records, and a second call repeats nothing."""

import dataclasses
import json

import numpy as np
import pytest

from train import experiments
from train.experiments import Options, residual
from train.loop import Outcome
from train.recipe import Data, Optimizer, Schedule
from zoo.names import UnknownNameError


def _results(losses, plain_test_errors=(0.1, 0.2)):
    names = ("plain-20", "plain-56", "ResNet-20", "ResNet-56")
    errors = (*plain_test_errors, 0.1, 0.1)
    return {
        name: {"train_loss": loss, "test_error": error} for name, loss, error in zip(names, losses, errors, strict=True)
    }


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((1.0, 2.0, 0.9, 0.8), [True, True, True]),
        ((2.0, 1.0, 0.9, 0.8), [False, True, True]),
        ((1.0, 2.0, 0.8, 0.9), [True, True, False]),
    ],
)
def test_degradation_is_judged_by_the_training_loss(losses, expected):
    assert list(residual.verdict(_results(losses)).values()) == expected
    flipped = residual.verdict(_results(losses, plain_test_errors=(0.2, 0.1)))
    assert list(flipped.values()) == [expected[0], False, expected[2]]


def test_the_last_epoch_is_averaged_by_its_steps(tmp_path):
    (tmp_path / "recipe.json").write_text(
        json.dumps({"total_steps": 20, "steps_per_epoch": 10, "model": {"parameters": 7}})
    )
    (tmp_path / "fingerprint.json").write_text(json.dumps({"seconds": 3.0}))
    records = [
        {"kind": "train", "step": 10, "loss": 9.0, "accuracy": 0.0},
        {"kind": "train", "step": 18, "loss": 1.0, "accuracy": 0.5},
        {"kind": "eval", "step": 20, "accuracy": 0.25},
        {"kind": "train", "step": 20, "loss": 2.0, "accuracy": 1.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    result = residual.result(tmp_path)
    assert result["train_loss"] == pytest.approx((8 * 1.0 + 2 * 2.0) / 10)
    assert result["train_error"] == pytest.approx(1 - (8 * 0.5 + 2 * 1.0) / 10)
    assert (result["test_error"], result["parameters"], result["seconds"]) == (0.75, 7, 3.0)


def test_the_experiment_leaves_table_figure_and_verdict_and_repeats_no_finished_run(tmp_path, monkeypatch, capsys):
    random = np.random.default_rng(0)
    archive = tmp_path / "tiny.npz"
    np.savez(archive, image=random.integers(0, 256, (40, 4, 4, 1), np.uint8), label=np.arange(40, dtype=np.int32) % 2)
    quick = dataclasses.replace(
        residual.QUICK,
        data=Data(source=f"npz:{archive}", batch_size=8, eval_batch_size=8),
        augment=dataclasses.replace(residual.QUICK.augment, mean=(), std=()),
        optimizer=Optimizer(learning_rate=0.01),
        schedule=Schedule("constant"),
        epochs=2,
        eval_every=1,
    )
    monkeypatch.setattr(residual, "QUICK", quick)
    monkeypatch.setattr(residual, "ARMS", dict.fromkeys(residual.ARMS, "mlp"))
    options = Options(workdir=tmp_path / "out")
    residual.run(options)
    table = (options.workdir / "residual.md").read_text()
    assert table.count("\n") == 2 + len(residual.ARMS)
    assert "8.75 %" in table  # the paper's ResNet-20
    assert (options.workdir / "residual.png").stat().st_size > 1000
    first = (options.workdir / "plain-20" / "fingerprint.json").stat().st_mtime_ns
    residual.run(options)
    assert (options.workdir / "plain-20" / "fingerprint.json").stat().st_mtime_ns == first
    assert "finished before" in capsys.readouterr().out


def test_an_interrupted_experiment_is_no_success(tmp_path, monkeypatch):
    for code, expected in ((130, 130), (0, 1)):  # Ctrl-C, and a signal of the system
        monkeypatch.setattr(residual, "fit", lambda *_, code=code, **__: Outcome(3, {}, None, code))
        assert residual.run(Options(workdir=tmp_path)) == expected


def test_both_scales_differ_between_arms_in_the_model_alone():
    for scale in ("quick", "paper"):
        recipes = [residual.recipe_of(arm, Options(scale=scale)) for arm in residual.ARMS]
        assert len({dataclasses.replace(r, name="same", model=recipes[0].model) for r in recipes}) == 1
        assert len({r.model.name for r in recipes}) == 4


def test_a_mistyped_experiment_names_the_nearest():
    with pytest.raises(UnknownNameError, match="residual"):
        experiments.run(["residuals"])
