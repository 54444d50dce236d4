"""What a recipe names fits together, or is refused before anything is computed or written."""

import dataclasses
import os
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from train.config import Augment, Data, DataError, Model, Optimizer, Recipe, RecipeError, Schedule
from train.config.tasks.regression import Regression
from train.engine.assemble import assemble

MLP = Model("mlp", options=("hidden=(4,)",))


def test_mean_and_deviation_are_one_value_or_one_a_channel():
    grey = Data(source="digits")
    assemble(Recipe(model=MLP, data=grey, augment=Augment(mean=(0.5,), std=(0.5,))))
    with pytest.raises(RecipeError, match=r"augment\.std: expected one value or 1, one a channel, got \(0\.5, 0\.5\)"):
        assemble(Recipe(model=MLP, data=grey, augment=Augment(std=(0.5, 0.5))))


def test_a_batch_larger_than_the_examples_is_refused():
    with pytest.raises(RecipeError, match=r"data\.batch_size: 101 is more than the 100 examples"):
        assemble(Recipe(model=MLP, data=Data(source="digits", limit=100, batch_size=101)))


def test_an_epoch_is_its_full_batches():
    assembly = assemble(Recipe(model=MLP, data=Data(source="digits", limit=100, batch_size=30), epochs=4))
    assert (assembly.steps_per_epoch, assembly.total_steps) == (3, 12)


def test_what_cannot_be_held_out_for_a_test_is_refused(tmp_path):
    image = np.zeros((2, 4, 4, 1), np.uint8)
    np.savez(tmp_path / "two.npz", image=image, label=np.array([0, 1]))
    with pytest.raises(DataError, match=r"two\.npz: none of its 2 examples can be held out for the test"):
        assemble(Recipe(model=MLP, data=Data(source=f"npz:{tmp_path}/two.npz", batch_size=1)))


LATIN = os.fsdecode(b"caf\xe9")
"""The name of a folder that was written in another encoding."""


def test_a_class_whose_name_is_not_text_is_refused_at_the_start(tmp_path):
    for name in ("tea", LATIN):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("L", (4, 4)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(DataError, match=r"classes: expected text in UTF-8, got 'caf\\udce9'$"):
        assemble(Recipe(model=MLP, data=Data(source=f"folder:{tmp_path}", batch_size=1)))


@pytest.mark.parametrize("field", ["source", "data_dir"])
def test_a_recipe_that_is_not_text_is_refused_before_anything_is_read(field):
    with pytest.raises(RecipeError, match=rf"^data\.{field}: expected text in UTF-8, got '.*caf\\udce9'$"):
        assemble(Recipe(model=MLP, data=Data(**{field: f"folder:{LATIN}"})))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Model("lenet5"), "model lenet5 with 8x8x1 images of digits: LeNet5 expected images of 28 x 28 or 32 x 32"),
        (Model(options=("depth=21",)), r"model cifar_resnet20 with .*expected a depth of 6n \+ 2, got 21"),
        (Model("mlp", options=("hidden=3",)), "model mlp with 8x8x1 images of digits: 'int' object is not iterable"),
    ],
)
def test_a_model_that_does_not_fit_the_images_or_its_options_is_refused(model, message):
    with pytest.raises(RecipeError, match=message):
        assemble(Recipe(model=model))


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_regression_does_not_mix_images(mix):
    recipe = Recipe(model=MLP, data=Data(source="rotated_digits"), task=Regression())
    assemble(recipe)
    with pytest.raises(RecipeError, match="do not go with"):
        assemble(dataclasses.replace(recipe, augment=Augment(**{mix: 1.0})))


def test_the_schedule_counts_updates_not_steps():
    recipe = Recipe(model=MLP, steps=9, optimizer=Optimizer(learning_rate=0.5, accumulate=2))
    rates = assemble(recipe).learning_rates
    assert len(rates) == 6  # after none, one, ... and five updates, the last of one step
    assert rates[0] == 0.5
    assert rates[5] == pytest.approx(0, abs=1e-7)
    with pytest.raises(RecipeError, match=r"optimizer\.accumulate: 10 steps an update, and the run has 9"):
        assemble(dataclasses.replace(recipe, optimizer=Optimizer(accumulate=10)))


def test_a_long_run_has_its_rates_without_computing_them_all():
    constant = Schedule("constant", warmup=0.5)
    rates = assemble(Recipe(model=MLP, steps=10**9, schedule=constant)).learning_rates
    assert len(rates) == 10**9 + 1
    assert [rates[0], rates[25 * 10**7], rates[10**9], rates[4095]] == pytest.approx([0, 0.05, 0.1, 8.19e-7], rel=1e-3)
    with pytest.raises(RecipeError, match=r"epochs: expected at most 1,000,000,000 steps .* 1,000,000 of 1,437 steps"):
        assemble(Recipe(model=MLP, epochs=10**6, data=Data(batch_size=1)))


def test_the_seed_decides_initialisation_order_and_augmentation():
    one, same, other = (assemble(Recipe(model=MLP, seed=seed)) for seed in (0, 0, 1))
    for part in (first_rows, first_kernel_of, run_key):
        np.testing.assert_array_equal(part(one), part(same))
        assert not np.array_equal(part(one), part(other)), part.__name__


def first_rows(assembly):
    return assembly.make_feed()._pipeline.next()["index"]


def first_kernel_of(assembly):
    return jax.tree.leaves(jax.jit(lambda: assembly.make_state().params)())[1]  # after the bias, which is zero


def run_key(assembly):
    return jax.jit(lambda: assembly.make_state().key)()


def test_compute_type_and_remat_reach_the_model():
    recipe = Recipe(model=Model("cifar_resnet8", dtype="bfloat16", remat=True))
    model = assemble(recipe).model
    assert (model.dtype, model.remat, model.axis_name) == (jnp.bfloat16, True, None)
    assert (assemble(Recipe(model=Model("cifar_resnet8"))).model.remat) is False


def test_under_pmap_batch_norm_averages_over_the_devices():
    assembly = assemble(Recipe(model=Model("cifar_resnet8"), placement="pmap"))
    assert assembly.model.axis_name == assembly.placement.axis_name
    assert assembly.placement.axis_name is not None


def test_workers_reach_the_grain_pipeline(monkeypatch):
    asked = []
    monkeypatch.setattr("train.data.make_pipeline", lambda *arguments: asked.append(arguments[1:5]))
    monkeypatch.setattr("train.engine.assemble.MemoryFeed", lambda *arguments: None)
    assemble(Recipe(model=MLP, seed=7, data=Data(pipeline="grain", workers=3, batch_size=32))).make_feed()
    assert asked == [(32, 7, "grain", 3)]


def test_a_batch_of_evaluation_is_rounded_up_to_the_devices():
    assembly = assemble(Recipe(model=MLP, data=Data(eval_batch_size=360)))
    assert assembly.eval_batch_size == 360
    sixteen = types.SimpleNamespace(mesh=types.SimpleNamespace(size=16))
    assert dataclasses.replace(assembly, placement=sixteen).eval_batch_size == 368
