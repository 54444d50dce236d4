"""The augmentation of a recipe: order, no-ops, mixed labels, evaluation, sharding."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from train.config import Augment, RecipeError
from train.data import Field, Kind, augment, preprocess
from train.data.augment.colour import to_float
from train.data.fields import Spec

KEY = jax.random.key(0)
BATCH = {
    "image": np.random.default_rng(0).integers(1, 256, (16, 8, 8, 3), dtype=np.uint8),
    "label": np.arange(16, dtype=np.int32) % 10,
    "index": np.arange(16, dtype=np.int32),
}
SPEC: Spec = {"image": Field(Kind.IMAGE, (8, 8, 3), "uint8"), "label": Field(Kind.LABEL, (), "int32")}


def varied(config, spec=SPEC, mixes=("label",)):
    return jax.jit(augment(config, spec, mixes=mixes))


def test_the_default_only_scales_bytes_to_the_unit_interval():
    result = varied(Augment())(KEY, BATCH)
    assert np.array_equal(result["image"], BATCH["image"] * np.float32(1 / 255))
    assert np.allclose(result["image"], BATCH["image"] / 255, rtol=1e-6)
    assert result["image"].max() == 1
    assert result["image"].dtype == np.float32
    assert result.keys() == BATCH.keys()
    assert all(np.array_equal(result[name], BATCH[name]) for name in ("label", "index"))
    assert np.array_equal(result["image"], preprocess(Augment(), SPEC)(BATCH)["image"])


def test_evaluation_normalises_and_varies_nothing():
    everything = Augment(2, True, 30.0, 3, 1.0, 1.0, 1.0, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    result = preprocess(everything, SPEC)(BATCH)
    assert np.allclose(result["image"], (BATCH["image"] / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4], atol=1e-5)
    assert result.keys() == BATCH.keys()


@pytest.mark.parametrize("given", [{"mean": (0.5,)}, {"std": (0.25,)}])
def test_mean_and_deviation_may_be_given_alone(given):
    expected = (BATCH["image"] / 255 - given.get("mean", 0)) / given.get("std", 1)
    assert np.allclose(preprocess(Augment(**given), SPEC)(BATCH)["image"], expected, atol=1e-6)


def test_switching_one_variation_on_leaves_the_draws_of_the_others():
    crop, both = (varied(Augment(pad_crop=2, flip=flip))(KEY, BATCH)["image"] for flip in (False, True))
    crop, both = np.asarray(crop), np.asarray(both)
    mirrored = [np.array_equal(both[i], crop[i, :, ::-1]) for i in range(16)]
    kept = [np.array_equal(both[i], crop[i]) for i in range(16)]
    assert all(m or k for m, k in zip(mirrored, kept, strict=True))
    assert any(mirrored)
    assert any(kept)


@pytest.mark.parametrize("config", [Augment(mixup=0.5), Augment(cutmix=0.5), Augment(mixup=0.5, cutmix=0.5)])
def test_mixing_pairs_an_example_with_its_mirror_and_says_how_much_of_it_stays(config):
    values = np.linspace(0, 255, 16).astype(np.uint8)
    flat = {**BATCH, "image": np.broadcast_to(values[:, None, None, None], (16, 8, 8, 3))}
    result = varied(config)(KEY, flat)
    assert np.array_equal(result["label"], flat["label"])
    assert np.array_equal(result["label_b"], flat["label"][::-1])
    assert result["label_b"].dtype == np.int32
    assert (result["mix"].dtype, result["mix"].shape) == (np.float32, (16,))
    # Blended or pasted, the mean brightness is that of the two images in these shares.
    mix = np.asarray(result["mix"])
    expected = (mix * values + (1 - mix) * values[::-1]) / 255
    assert np.allclose(np.mean(result["image"], axis=(1, 2, 3)), expected, atol=1e-5)
    blended = np.ptp(np.asarray(result["image"]), axis=(1, 2, 3)) == 0
    clear = (mix > 0.05) & (mix < 0.95)
    if config.mixup and config.cutmix:
        assert blended[clear].any()
        assert not blended[clear].all()


def test_mixing_targets_without_labels_is_refused():
    spec = {"image": SPEC["image"], "target": Field(Kind.VALUE, (), "float32")}
    with pytest.raises(RecipeError, match="mix labels: expected 'label' among the fields, found image, target"):
        augment(Augment(mixup=0.2), spec, mixes=("label",))


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_does_not_go_with_a_task_that_mixes_nothing(name):
    with pytest.raises(RecipeError, match=r"augment\.mixup and augment\.cutmix mix labels: they do not go with"):
        augment(Augment(**{name: 0.2}), SPEC)


def test_images_that_are_not_bytes_are_refused():
    for wrong in (BATCH["image"].astype(np.float32), BATCH["image"][0]):
        with pytest.raises(ValueError, match=r"expected uint8 images \(batch, height, width, channels\), found"):
            to_float(wrong)


@pytest.mark.parametrize("wrong", [{"pad_crop": -1}, {"erase": 1.5}, {"mixup": -0.1}, {"std": (0.0,)}])
def test_a_value_out_of_range_is_named(wrong):
    with pytest.raises(RecipeError, match=rf"out of range: augment\.{next(iter(wrong))}="):
        Augment(**wrong)


@pytest.mark.parametrize("prepare", [augment, preprocess])
def test_mean_and_deviation_are_one_value_or_one_a_channel(prepare):
    with pytest.raises(RecipeError, match=r"augment\.std: expected one value or 3, one a channel, got \(0\.5, 0\.5\)"):
        prepare(Augment(std=(0.5, 0.5)), SPEC)


def test_black_regions_come_before_normalisation():
    result = np.asarray(varied(Augment(cutout=3, mean=(0.5,), std=(0.5,)))(KEY, BATCH)["image"])
    assert result.min() == -1
    assert 0 < np.sum(result == -1) <= 16 * 3 * 3 * 3


SHARDED = """
import jax, numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from train.config import Augment
from train.data import Field, Kind, augment
mesh = Mesh(np.array(jax.devices()), ("data",), axis_types=(AxisType.Auto,))
assert mesh.size == 8
random = np.random.default_rng(0)
batch = {
    "image": random.integers(0, 256, (16, 8, 8, 3), dtype=np.uint8),
    "label": random.integers(0, 10, 16, dtype=np.int32),
}
spec = {"image": Field(Kind.IMAGE, (8, 8, 3), "uint8"), "label": Field(Kind.LABEL, (), "int32")}
f = jax.jit(augment(Augment(pad_crop=2, rotate=30.0, cutmix=1.0), spec, mixes=("label",)))
whole = f(jax.random.key(0), batch)
spread = f(jax.random.key(0), jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data"))))
assert len(spread["image"].sharding.device_set) == 8
for name, value in whole.items():
    np.testing.assert_allclose(spread[name], value, atol=1e-5, err_msg=name)
"""


def test_a_batch_spread_over_eight_devices_is_augmented_as_on_one():
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"}
    environment.pop("XLA_FLAGS", None)
    ran = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
