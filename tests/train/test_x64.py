"""Where jax computes in 64 bits by default: variations, tasks and runs have the types that they have without."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.train import harness
from train.config import Augment
from train.config.tasks.sphere import SphereClassification as SphereSettings
from train.data import Field, Kind, augment
from train.data.fields import Facts
from train.tasks.class_means.task import ClassMeans
from train.tasks.classification.task import Classification
from train.tasks.joint.task import Joint
from train.tasks.margins.task import AngularMargin
from train.tasks.max_separation.task import MaxSeparation
from train.tasks.regression.task import Regression
from train.tasks.segmentation.task import Segmentation
from train.tasks.sphere.prototypes import prototypes_of
from train.tasks.sphere.task import SphereClassification, SphereJoint, SphereRegression

COUNT, SIDE, MOST, NAMES = 8, 8, 3, tuple("abcdefghijkl")
random = np.random.default_rng(0)
IMAGE = {"image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"), "label": Field(Kind.LABEL, (), "int32")}
SPEC = {
    **IMAGE,
    "clip": Field(Kind.CLIP, (2, SIDE, SIDE, 3), "uint8"),
    "label_map": Field(Kind.LABEL_MAP, (SIDE, SIDE), "int32"),
    "map": Field(Kind.MAP, (SIDE, SIDE, 1), "float32"),
    "flow": Field(Kind.FLOW, (SIDE, SIDE, 2), "float32"),
    "normals": Field(Kind.NORMALS, (SIDE, SIDE, 3), "float32"),
    "boxes": Field(Kind.BOXES, (None, 4), "float32", (MOST,)),
    "classes": Field(Kind.LABEL, (None,), "int32", (MOST,)),
    "masks": Field(Kind.MASKS, (None, SIDE, SIDE), "bool", (MOST,)),
    "keypoints": Field(Kind.KEYPOINTS, (None, 2, 3), "float32", (MOST,)),
    "target": Field(Kind.VALUE, (), "float32"),
}
BATCH = {
    **{name: random.integers(0, 2, (COUNT, *field.padded)).astype(field.dtype) for name, field in SPEC.items()},
    **{f"{name}_valid": np.ones((COUNT, MOST), bool) for name, field in SPEC.items() if field.most},
    "mask": np.ones(COUNT, bool),
}
KEY = jax.random.key(0)

MOVES = {
    "geometry": (Augment(pad_crop=2, flip=True, rotate=30.0, cutout=2, erase=1.0, mean=(0.5,), std=(0.2,)), SPEC),
    "mixing": (Augment(trivial=True, mixup=0.5, cutmix=0.5), IMAGE),
    "cutmix": (Augment(cutmix=0.5), IMAGE),
}

ROWS = ((1.0, 0.0), (0.0, 1.0))
OF_CLASSES = {"cosines": np.zeros((COUNT, 12), np.float32), "embedding": np.ones((COUNT, 2), np.float32)}
TASKS = {
    "classification": (Classification(NAMES, 0.1), 12),
    "regression": (Regression(1.0, 2.0), 1),
    "joint": (Joint(NAMES, 1.0, 2.0), 13),
    "sphere_classification": (SphereClassification(NAMES[:2], ROWS), 2),
    "sphere_regression": (SphereRegression(0.0, 2.0, 3), 3),
    "sphere_joint": (SphereJoint(NAMES[:2], ROWS, 0.0, 2.0), 3),
    "max_separation": (MaxSeparation(NAMES[:3], ((1.0, 0.0), (-0.5, 0.8), (-0.5, -0.8))), 2),
    "arcface": (AngularMargin(NAMES, "arcface", 2), OF_CLASSES),
    "cosface": (AngularMargin(NAMES, "cosface", 2), OF_CLASSES),
    "sphereface": (AngularMargin(NAMES, "sphereface", 2), OF_CLASSES),
    "class_means": (
        ClassMeans(NAMES, 2),
        {**OF_CLASSES, "means": np.ones((12, 2), np.float32), "present": np.ones(12, bool)},
    ),
    "segmentation": (Segmentation(NAMES, None, -1), np.zeros((COUNT, SIDE, SIDE, 12), np.float32)),
}


def types(tree):
    return jax.tree.map(lambda leaf: (leaf.dtype.name, leaf.shape), tree)


def of_spec(spec):
    return {name: BATCH[name] for name in BATCH if name in spec or name.removesuffix("_valid") in spec}


@pytest.mark.parametrize("moves", MOVES)
def test_a_variation_gives_the_same_types(moves):
    config, spec = MOVES[moves]
    vary, batch = augment(config, spec, Facts(mirror=((0, 1),)), ("label",)), of_spec(spec)
    expected = types(jax.eval_shape(vary, KEY, batch))
    with jax.enable_x64(True):
        assert types(jax.eval_shape(vary, KEY, batch)) == expected


def test_an_example_is_varied_alike():
    vary, batch = augment(Augment(pad_crop=2, flip=True, cutmix=0.5), IMAGE, mixes=("label",)), of_spec(IMAGE)
    expected = jax.device_get(jax.jit(vary)(KEY, batch))
    with jax.enable_x64(True):
        found = jax.device_get(jax.jit(vary)(KEY, batch))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_gives_the_same_types(name):
    task, outputs = TASKS[name]
    outputs = np.zeros((COUNT, outputs), np.float32) if isinstance(outputs, int) else outputs

    def results(outputs, batch):
        ratio, totals = task.objective(outputs, batch), task.totals(outputs, batch)
        return ratio.value(), ratio, {**totals}, task.decode(outputs)

    expected = types(jax.eval_shape(results, outputs, BATCH))
    with jax.enable_x64(True):
        assert types(jax.eval_shape(results, outputs, BATCH)) == expected


def test_random_prototypes_are_the_same():
    settings = SphereSettings(prototypes="random")
    expected = prototypes_of(settings, NAMES, 3)
    with jax.enable_x64(True):
        np.testing.assert_allclose(prototypes_of(settings, NAMES, 3), expected, rtol=1e-6)


@pytest.mark.parametrize("pipeline", ["memory", "grain"])
def test_a_run_keeps_the_types_of_its_state(pipeline, runs, data, whole, tmp_path):
    recipe = harness.recipe(data, epochs=1, steps_per_dispatch=2)
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, pipeline=pipeline))
    with jax.enable_x64(True):
        assert jnp.zeros(()).dtype == jnp.float64
        outcome = harness.run(recipe, tmp_path / "run")
    assert outcome.step == harness.STEPS_PER_EPOCH
    assert np.isfinite(list(outcome.metrics.values())).all()
    expected = types(load_file(whole[0] / "model.safetensors"))
    assert types(load_file(tmp_path / "run" / "model.safetensors")) == expected
