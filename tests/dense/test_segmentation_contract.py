"""What every network for segmentation in the catalog promises, held by its small variants."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo
from tests.detection.drawn import drawn
from zoo.catalog.inputs import batch_of

ALL = zoo.list_models(task="segmentation")
NAMES = [name for name in ALL if name.endswith("_tiny")]
QUICK = ("fcn8s_tiny", "unet_tiny")
"""The others are slow: a program each."""

ODD = (37, 70)
"""Pixels that no stride divides."""

of_every_network = pytest.mark.parametrize("name", NAMES)
compiled_of_every_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NAMES]
)


def images_of(*size):
    return np.random.default_rng(0).standard_normal((2, *size, 3)).astype(np.float32)


@functools.cache
def shapes_of(name, **options):
    """Shapes and types of the variables."""
    return jax.eval_shape(zoo.create(name, **options).init, jax.random.key(0), *batch_of(zoo.describe(name).inputs))


@functools.cache
def evaluated(name):
    """What one program gives for images of an odd size: logits; by `vmap`; in bfloat16."""
    model = zoo.create(name)

    @jax.jit
    def program(variables, images):
        return {
            "logits": model.apply(variables, images),
            "mapped": jax.vmap(lambda image: model.apply(variables, image[None])[0])(images),
            "bfloat16": model.copy(dtype=jnp.bfloat16).apply(variables, images),
        }

    return program(drawn(model, images_of(*zoo.describe(name).input_shape[:2])), images_of(*ODD))


def test_every_network_has_a_small_variant():
    assert {zoo.describe(name).builder for name in ALL} == {zoo.describe(name).builder for name in NAMES}


@compiled_of_every_network
def test_each_pixel_of_any_size_has_a_finite_score_of_each_class(name):
    logits = evaluated(name)["logits"]
    assert (logits.shape, logits.dtype) == ((2, *ODD, zoo.create(name).num_classes), np.float32)
    assert np.isfinite(logits).all()
    assert np.ptp(logits, axis=(1, 2)).min() > 0  # places differ


@compiled_of_every_network
def test_a_batch_is_its_images_one_by_one(name):
    found = evaluated(name)
    np.testing.assert_allclose(found["mapped"], found["logits"], atol=1e-4 * np.abs(found["logits"]).max())


@compiled_of_every_network
def test_bfloat16_is_near_float32_and_gives_float32(name):
    found = evaluated(name)
    assert found["bfloat16"].dtype == np.float32
    difference = np.abs(found["bfloat16"] - found["logits"])
    assert 0 < difference.mean() < 0.05 * np.abs(found["logits"]).max()


@of_every_network
def test_variables_are_float32_whatever_the_compute_type_and_parameters_of_the_type_asked_for(name):
    for options in ({}, {"dtype": jnp.bfloat16}):
        assert {leaf.dtype.name for leaf in jax.tree.leaves(shapes_of(name, **options))} == {"float32"}
    narrow = shapes_of(name, param_dtype=jnp.bfloat16)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(narrow["params"])} == {"bfloat16"}


@of_every_network
def test_with_remat_blocks_are_computed_again_and_have_the_names_that_they_had(name):
    again = zoo.create(name, remat=True)
    jaxpr, shapes = jax.make_jaxpr(again.init, return_shape=True)(
        jax.random.key(0), *batch_of(zoo.describe(name).inputs)
    )
    assert any(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns)
    assert flatten_dict(shapes, sep="/").keys() == flatten_dict(shapes_of(name), sep="/").keys()


@of_every_network
def test_training_gives_logits_and_leaves_statistics_of_the_shapes_that_they_had(name):
    model, variables = zoo.create(name, dtype=jnp.bfloat16), shapes_of(name)
    images = jax.ShapeDtypeStruct((2, *zoo.describe(name).input_shape), jnp.float32)
    more = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": jax.random.key(0)}}
    outputs, state = jax.eval_shape(lambda v, x: model.apply(v, x, **more), variables, images)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    assert set(outputs) == {"logits", *zoo.describe(name).auxiliary}
    for scores in outputs.values():
        assert (scores.shape, scores.dtype) == ((*images.shape[:3], model.num_classes), jnp.float32)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), {k: v for k, v in variables.items() if k == "batch_stats"}
    )


@of_every_network
def test_the_row_names_the_layers_that_grow_with_the_number_of_classes(name):
    entry = zoo.describe(name)
    few, many = (flatten_dict(shapes_of(name, num_classes=count), sep="/") for count in (3, 5))
    grown = {path for path in few if few[path].shape != many[path].shape}
    assert {path.split("/", 1)[1].rpartition("/")[0] for path in grown} == set(entry.heads)


@of_every_network
def test_a_program_is_exported_for_batches_of_any_size(name):
    entry = zoo.describe(name)
    exported = zoo.export_model(zoo.create(name), shapes_of(name), entry.inputs, platforms=("cpu",))
    assert [str(leaf.shape[0]) for leaf in exported.out_avals] == ["batch"]


@of_every_network
def test_an_empty_batch_has_no_scores(name):
    images = jax.ShapeDtypeStruct((0, *zoo.describe(name).input_shape), jnp.float32)
    model = zoo.create(name)
    logits = jax.eval_shape(model.apply, shapes_of(name), images)
    assert logits.shape == (*images.shape[:3], model.num_classes)


@of_every_network
def test_other_shapes_integers_and_a_negative_number_of_classes_are_refused(name):
    model, variables = zoo.create(name), shapes_of(name)

    def refused(kind, message, *axes, dtype=jnp.float32, model=model):
        with pytest.raises(kind, match=message):
            jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct(axes, dtype))

    refused(ValueError, r"expected images \(batch, height, width, channels\), got shape", 64, 64, 3)
    refused(TypeError, "expected floating-point images, got uint8", 2, 64, 64, 3, dtype=jnp.uint8)
    refused(ValueError, "expected .*channels, got images of shape", 2, 64, 64, 5)
    negative = zoo.create(name, num_classes=-1)
    refused(ValueError, "num_classes: expected a positive integer.*, got -1", 2, 64, 64, 3, model=negative)
