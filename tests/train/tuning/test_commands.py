"""The command to copy says the recipe again, whatever it differs in: read back by the command line itself."""

import dataclasses
import shlex

import pytest

from train import cli
from train.config import Augment, Data, Model, Optimizer, Schedule
from train.config.tasks.sphere import SphereClassification
from train.engine.loop import Outcome
from train.recipes import get
from train.tuning.commands import fit_command

BASE = get("digits")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": Optimizer(learning_rate=0.1 + 0.2, clip_norm=1e-30, nesterov=False, ema=0.999)},
        {"optimizer": Optimizer("adamw", decay_all=True, b2=1 - 1e-9), "steps": 77, "exact": False},
        {"optimizer": Optimizer(decay_only=("layer1/*", "!*/bias"))},
        {"model": Model("cifar_resnet8", options=("widening=3", "unit=full_preactivation"))},
        {"model": Model("mlp", options=("hidden=(16, 8)", "activation=tanh"), dtype="bfloat16")},
        {"model": Model("lenet5")},
        {"task": SphereClassification(dims=5), "model": Model("cifar_resnet8")},
        {"data": Data("npz:a b.npz", classes=("1", "the 2"), rotate=(-45.0, 45.0), batch_size=16)},
        {"data": Data("npz:it's $HOME.npz", data_dir="-d", classes=("-1", "a=b"), rotate=(-1e-05, 45.0))},
        {"augment": Augment(), "schedule": Schedule("step", milestones=(0.25, 0.5, 0.75)), "seed": 3},
    ],
)
def test_the_command_trains_the_recipe(changes, monkeypatch):
    seen = []
    monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: seen.append(recipe) or Outcome(1, {}, "f"))
    monkeypatch.setattr("train.store.workdir.take_free_folder", lambda root, name: root / name)
    recipe = dataclasses.replace(BASE, **changes)
    words = shlex.split(fit_command(BASE, recipe))
    assert words[:5] == ["python", "-m", "train", "fit", "digits"]
    assert cli.main(words[3:]) == 0
    assert seen == [recipe]
