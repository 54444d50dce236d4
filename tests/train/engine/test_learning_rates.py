"""Learning rates side by side: each comes to what `fit` comes to with it."""

import dataclasses
import math

import jax
import numpy as np
import pytest

import zoo
from train.config import Data, Model, Optimizer, Recipe, RecipeError, Schedule
from train.engine import learning_rates
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.learning_rates import train_rates, with_rate
from train.engine.seeds import train_alone

QUIET = Console(quiet=True)
RECIPE = Recipe(
    name="rated",
    model=Model("mlp", options=("hidden=(16,)", "dropout=0.2")),
    data=Data(source="digits", limit=128, batch_size=32, eval_batch_size=360),
    optimizer=Optimizer("sgd", momentum=0.9, weight_decay=1e-3, ema=0.8, accumulate=2),
    schedule=Schedule("cosine", warmup=0.3),
    steps=7,  # the last of which fills no accumulation
    eval_every=2,
    log_every=1,
    steps_per_dispatch=1,
)
RATES = (0.3, 0.01)

pytestmark = pytest.mark.usefixtures("runs")


def test_each_of_several_rates_is_the_run_of_its_rate(tmp_path):
    together = dict(train_rates(RECIPE, RATES, tmp_path, QUIET))
    assert list(together) == [*RATES]
    assert together[0.3].metrics["loss"] != pytest.approx(together[0.01].metrics["loss"], rel=0.05)
    model = assemble(RECIPE).model
    for rate, found in together.items():
        own = with_rate(RECIPE, rate)
        expected = train_alone(own, tmp_path / "alone" / f"{rate}", QUIET)
        assert found.metrics == pytest.approx(expected.metrics, abs=1e-4)
        np.testing.assert_allclose(found.curve, expected.curve, atol=1e-4)
        for suffix, name in (("", "model"), ("_ema", "model_ema")):
            ours = zoo.load_weights(model, tmp_path / f"rate-{rate!r}{suffix}.safetensors", (8, 8, 1))
            theirs = zoo.load_weights(model, tmp_path / "alone" / f"{rate}" / f"{name}.safetensors", (8, 8, 1))
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *jax.device_get((ours, theirs)))


def test_a_rate_that_diverges_takes_no_other_with_it(tmp_path):
    recipe = dataclasses.replace(RECIPE, optimizer=Optimizer("sgd"), schedule=Schedule("constant"), steps=6)
    found = dict(train_rates(recipe, (0.01, 1e38), tmp_path, QUIET))
    assert found[1e38].diverged.startswith("step ")
    assert all(map(math.isnan, found[1e38].metrics.values()))
    assert found[0.01].diverged == ""
    assert all(map(math.isfinite, found[0.01].metrics.values()))


def test_what_cannot_train_side_by_side_is_a_run_a_rate(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(learning_rates, "train_alone", lambda recipe, path, console: asked.append((recipe, path)))
    recipe = dataclasses.replace(RECIPE, early_stop=2)
    assert [rate for rate, _ in train_rates(recipe, RATES, tmp_path, QUIET)] == [*RATES]
    assert asked == [(with_rate(recipe, rate), tmp_path / f"rate-{rate}") for rate in RATES]


@pytest.mark.parametrize("rates", [(), (0.1, 0.1), (0.1, -1.0)])
def test_rates_that_are_none_are_refused(rates, tmp_path):
    with pytest.raises(RecipeError, match=r"learning.rate"):
        list(train_rates(RECIPE, rates, tmp_path, QUIET))
