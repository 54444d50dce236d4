"""Experiments: what they conclude follows from the runs' own records, and a second call repeats nothing."""

import dataclasses
import json

import pytest

from train import experiments
from train.experiments import Options, arms, residual
from train.recipe import Recipe
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
    result = arms.result_of(tmp_path)
    assert result["train_loss"] == pytest.approx((8 * 1.0 + 2 * 2.0) / 10)
    assert result["train_error"] == pytest.approx(1 - (8 * 0.5 + 2 * 1.0) / 10)
    assert (result["test_error"], result["parameters"], result["seconds"]) == (0.75, 7, 3.0)


def test_the_figure_has_plain_networks_left_and_residual_ones_right(tmp_path):
    results = {arm: {} for arm in residual.ARMS}
    for i, arm in enumerate(residual.ARMS):
        (tmp_path / arm).mkdir()
        records = [{"kind": "train", "step": step, "loss": i + 1 / step} for step in (1, 2)]
        (tmp_path / arm / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    panels = residual.figure(tmp_path, results).axes
    drawn = {line.get_label(): (panel.get_title(), list(line.get_ydata())) for panel in panels for line in panel.lines}
    assert drawn == {
        "plain-20": ("plain", [1.0, 0.5]),
        "plain-56": ("plain", [2.0, 1.5]),
        "ResNet-20": ("residual", [3.0, 2.5]),
        "ResNet-56": ("residual", [4.0, 3.5]),
    }


def test_both_scales_differ_between_arms_in_the_model_alone():
    for scale in ("quick", "paper"):
        recipes = residual.recipes_of(Options(scale=scale)).values()
        assert len({dataclasses.replace(r, name="same", model=Recipe().model) for r in recipes}) == 1
        assert len({r.model.name for r in recipes}) == 4


def test_a_mistyped_experiment_names_the_nearest():
    with pytest.raises(UnknownNameError, match="residual"):
        experiments.run(["residuals"])
