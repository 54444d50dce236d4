"""What every classifier of the catalog promises, held by its small variant: the contract of a model, a fact a test.

What detectors promise is in `tests/detection/test_detectors.py`, what networks for segmentation do in
`tests/dense/test_segmentation_contract.py`.

Most facts are read off traces, or off one program a model; those that need programs of their own are slow.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets import families
from zoo.catalog.inputs import batch_of, random_batch

CLASSIFIERS = [*zoo.list_models(task="classification"), *zoo.list_models(task="video_classification")]
NAMES = [name for name in CLASSIFIERS if families.SMALL.fullmatch(name)]

SIZE = 3
"""Examples of a batch."""

REMATERIALISED = {
    "mlp": 2,  # hidden layers
    "lenet5": 2,
    "cifar_resnet8": 3,
    "cifar_densenet_tiny": 6,  # dense layers
    "alexnet_tiny": 3,
    "vgg_tiny": 5,
    "squeezenet_tiny": 3,  # fire modules
    "googlenet_tiny": 9,
    "inception_v3_tiny": 13,  # eleven modules, and the two runs of convolutions before them
    "mobilenet_v2_tiny": 4,
    "mobilenet_v3_tiny": 4,
    "shufflenet_v2_tiny": 5,
    "mnasnet_tiny": 4,
    "resnet_tiny": 4,
    "densenet_tiny": 5,
    "convnext_mini": 5,
    "vit_mini": 2,
    "swin_mini": 4,
    "regnet_tiny": 4,
    "efficientnet_tiny": 4,
    "lstm_rows_tiny": 2,  # recurrent layers
    "c3d_tiny": 5,
    "i3d_tiny": 9,
    "r2plus1d_tiny": 4,
    "s3d_tiny": 9,
    "mvit_v2_tiny": 3,
    "swin3d_mini": 4,
    "two_stream_tiny": 8,
    "tsn_tiny": 4,
    "lrcn_tiny": 4,
    "p4mcnn_tiny": 2,
    "p4m_resnet_tiny": 3,
    "spherical_cnn_tiny": 2,
}
"""How many blocks a network computes again in the backward pass."""

LONG_TO_COMPILE = {
    *("inception_v3_tiny", "googlenet_tiny", "cifar_densenet_tiny"),
    *("i3d_tiny", "s3d_tiny", "r2plus1d_tiny", "mvit_v2_tiny", "swin3d_mini", "two_stream_tiny", "lrcn_tiny"),
}
"""Many modules: twice eight seconds on a busy machine."""

# All tests of one model, then the next's.
of_every_model = pytest.mark.parametrize("name", NAMES, scope="module")
compiled_of_every_model = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LONG_TO_COMPILE else []) for name in NAMES],
    scope="module",
)
slow_of_every_model = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.exhaustive if name in LONG_TO_COMPILE else pytest.mark.slow])
        for name in NAMES
    ],
    scope="module",
)
COMPUTED = {
    "mlp",
    "lstm_rows_tiny",
    "lenet5",
    "vgg_tiny",
    "resnet_tiny",
    "mobilenet_v2_tiny",
    "shufflenet_v2_tiny",
    "vit_mini",
}
"""One network of every kind of layer: the others are made of the same."""
slow_of_every_kind = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow if name in COMPUTED else pytest.mark.exhaustive]) for name in NAMES],
    scope="module",
)


def shape_of(name):
    return zoo.describe(name).input_shape


@functools.cache
def inputs_of(name):
    """A batch of each input, the same in all tests."""
    return random_batch(zoo.describe(name).inputs, SIZE, np.random.default_rng(0))


def shapes_of(name, **options):
    """Shapes of all variables, by path."""
    model, inputs = zoo.create(name, **options), batch_of(zoo.describe(name).inputs)
    return flatten_dict(jax.eval_shape(model.init, jax.random.key(0), *inputs), sep="/")


def head_of(name, path):
    """Whether a variable belongs to a head."""
    return path.split("/")[1] in zoo.describe(name).heads


@functools.cache
def variables_of(name):
    """Variables of which none is zero or one, so that signals get through, drawn without a program to compile."""
    random, drawn = np.random.default_rng(1), {}
    for path, leaf in shapes_of(name).items():
        values = random.standard_normal(leaf.shape)
        if path.endswith("kernel"):
            values *= math.sqrt(2 / math.prod(leaf.shape[:-1]))
        elif path.endswith(("scale", "var")):
            values = random.uniform(0.5, 1.5, leaf.shape)
        else:
            values *= 0.3
        drawn[path] = values.astype(leaf.dtype)
    return unflatten_dict(drawn, sep="/")


@functools.cache
def evaluated(name):
    """What one program gives: features; the output alone, without classes, by `vmap` over examples, in bfloat16."""
    model = zoo.create(name)

    @jax.jit
    def program(variables, inputs):
        heads = zoo.describe(name).heads
        headless = {**variables, "params": {k: v for k, v in variables["params"].items() if k not in heads}}
        return {
            "features": model.apply(variables, *inputs, features=True),
            "output": model.apply(variables, *inputs),
            "headless": model.copy(num_classes=0).apply(headless, *inputs),
            "mapped": jax.vmap(lambda *one: model.apply(variables, *(x[None] for x in one))[0])(*inputs),
            "bfloat16": zoo.create(name, dtype=jnp.bfloat16).apply(variables, *inputs),
        }

    return program(variables_of(name), inputs_of(name))


@functools.cache
def narrow(name):
    """Shapes and types of variables and of named features, in order, of a network that computes in bfloat16."""
    model, order = zoo.create(name, dtype=jnp.bfloat16), []

    def begin(key, *inputs):
        named, variables = model.init_with_output(key, *inputs, features=True)
        order.extend(named)  # eval_shape sorts names
        return named, variables

    named, variables = jax.eval_shape(begin, jax.random.key(0), *inputs_of(name))
    return {feature: named[feature] for feature in order}, variables


@functools.cache
def begun(name, remat):
    """How many blocks are computed again in the backward pass, and the types of bfloat16 parameters, by path."""
    model = zoo.create(name, remat=remat, param_dtype=jnp.bfloat16)
    jaxpr, variables = jax.make_jaxpr(model.init, return_shape=True)(jax.random.key(0), *inputs_of(name))
    count = sum(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns)
    return count, {path: leaf.dtype.name for path, leaf in flatten_dict(variables, sep="/").items()}


@functools.cache
def trained(name, remat):
    """Value, statistics and gradients of a training pass without dropout."""
    model = zoo.create(name, remat=remat)
    off = {field: 0.0 for field in ("dropout", "drop_path") if hasattr(model, field)}
    model, variables, inputs = model.copy(**off), variables_of(name), inputs_of(name)

    @jax.jit
    def step(params):
        def loss(params):
            logits, state = model.apply({**variables, "params": params}, *inputs, train=True, mutable=["batch_stats"])
            return jnp.square(logits).mean(), state

        return jax.value_and_grad(loss, has_aux=True)(params)

    return step(variables["params"])


def close(ours, expected, tolerance=1e-4):
    """Equal but for what another order of additions rounds."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1e-6))


def test_every_network_of_the_catalog_has_a_small_variant():
    assert {zoo.describe(name).builder for name in CLASSIFIERS} == {zoo.describe(name).builder for name in NAMES}
    assert set(REMATERIALISED) == set(NAMES)


@of_every_model
def test_variables_are_float32_parameters_and_statistics_whatever_the_compute_type(name):
    for found in (variables_of(name), narrow(name)[1]):
        assert set(found) <= {"params", "batch_stats"}
        assert {leaf.dtype.name for leaf in jax.tree.leaves(found)} == {"float32"}


@of_every_model
def test_parameters_are_stored_in_the_type_that_is_asked_for_and_statistics_are_not(name):
    types = {(path.partition("/")[0], kind) for path, kind in begun(name, True)[1].items()}
    assert {("params", "bfloat16")} <= types <= {("params", "bfloat16"), ("batch_stats", "float32")}


@of_every_model
def test_features_end_in_the_logits_and_all_before_are_of_the_compute_type(name):
    named, _ = narrow(name)
    *stages, before, last = named
    assert (before, last) == ("pre_logits", "logits")
    assert stages
    assert {named[stage].dtype.name for stage in stages} == {"bfloat16"}
    assert {named[feature].dtype.name for feature in (before, last)} == {"float32"}


@of_every_model
def test_training_in_bfloat16_leaves_statistics_in_float32(name):
    model = zoo.create(name, dtype=jnp.bfloat16)
    variables = jax.eval_shape(lambda: variables_of(name))
    rngs = {"dropout": jax.random.key(0)}
    _, state = jax.eval_shape(
        lambda v, *x: model.apply(v, *x, train=True, mutable=["batch_stats"], rngs=rngs), variables, *inputs_of(name)
    )
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), {k: v for k, v in variables.items() if k == "batch_stats"}
    )


@compiled_of_every_model
def test_the_output_is_the_last_feature_and_without_classes_the_one_before(name):
    found = evaluated(name)
    classes = zoo.create(name).num_classes
    assert found["output"].shape == (SIZE, classes)
    assert np.ptp(found["output"], axis=0).max() > 0  # examples differ
    np.testing.assert_array_equal(found["output"], found["features"]["logits"])
    np.testing.assert_array_equal(found["headless"], found["features"]["pre_logits"])
    whole = flatten_dict(variables_of(name), sep="/")
    assert shapes_of(name, num_classes=0).keys() == {path for path in whole if not head_of(name, path)}


@pytest.mark.parametrize("name", ["lenet5", "alexnet_tiny", "vgg_tiny", "vit_mini", "swin_mini"])
def test_an_empty_batch_has_no_outputs(name):  # of those that join axes or cut them
    inputs = [jax.ShapeDtypeStruct((0, *each.shape), each.dtype) for each in zoo.describe(name).inputs]
    model, variables = zoo.create(name), jax.eval_shape(lambda: variables_of(name))
    outputs = jax.eval_shape(model.apply, variables, *inputs)
    assert outputs.shape == (0, model.num_classes)


@compiled_of_every_model
def test_a_batch_is_its_examples_one_by_one_and_by_vmap(name):
    found = evaluated(name)
    close(found["mapped"], found["output"])


@compiled_of_every_model
def test_bfloat16_is_near_float32(name):
    found = evaluated(name)
    assert np.isfinite(found["bfloat16"]).all()
    close(found["bfloat16"], found["output"], tolerance=0.1)
    assert np.abs(found["bfloat16"] - found["output"]).max() > 0


@of_every_model
def test_with_remat_every_block_is_computed_again_and_has_the_names_that_it_had(name):
    count, types = begun(name, True)
    assert count == REMATERIALISED[name]
    assert types.keys() == flatten_dict(variables_of(name), sep="/").keys()


@pytest.mark.parametrize("name", ["mlp", "resnet_tiny", "densenet_tiny"])
def test_without_remat_nothing_is_computed_again(name):
    assert begun(name, False)[0] == 0


@of_every_model
def test_a_program_is_exported_for_batches_of_any_size(name):
    exported = zoo.export_model(
        zoo.create(name), variables_of(name), zoo.describe(name).inputs, platforms=("cpu",), features=True
    )
    shapes = {str(leaf.shape[0]) for leaf in exported.out_avals}
    assert shapes == {"batch"}
    assert len(exported.out_avals) == len(narrow(name)[0])


@of_every_model
def test_other_shapes_integers_and_a_negative_number_of_classes_are_refused(name):
    model, shape = zoo.create(name), shape_of(name)
    variables = jax.eval_shape(lambda: variables_of(name))
    what, axes = ("clips", "time, height") if zoo.describe(name).inputs[0].kind == "clip" else ("images", "height")
    others = inputs_of(name)[1:]

    def refused(kind, message, *axes, dtype=jnp.float32, model=model):
        with pytest.raises(kind, match=message):
            jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct(axes, dtype), *others)

    refused(TypeError, f"expected floating-point {what}, got uint8", SIZE, *shape, dtype=jnp.uint8)
    refused(ValueError, rf"expected {what} .*\(batch, ", *shape[:1])
    if name != "mlp":  # which takes vectors
        refused(ValueError, rf"expected {what} \(batch, {axes}, width, channels\), got shape", *shape)
        refused(ValueError, rf"expected .*channels, got images of shape|expected {what}", SIZE, *shape[:-1], 5)
    negative = zoo.create(name, num_classes=-1)
    refused(ValueError, "num_classes: expected a positive integer, or 0 .*, got -1", SIZE, *shape, model=negative)


@slow_of_every_model  # a program a model, and two for the gradients
def test_remat_changes_no_gradient_and_all_are_finite(name):
    (value, state), gradients = trained(name, False)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients))
    (again, state_again), gradients_again = trained(name, True)
    close(again, value)
    close(state_again, state)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradients))
    for a, b in zip(jax.tree.leaves(gradients_again), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * largest)


@slow_of_every_kind  # every operation is compiled by itself
def test_without_jit_the_numbers_are_the_same(name):
    close(zoo.create(name).apply(variables_of(name), *inputs_of(name)), evaluated(name)["output"])


@slow_of_every_kind  # a program for each size
def test_the_exported_program_gives_the_same_numbers_in_batches_of_any_size(name):
    inputs, variables = zoo.describe(name).inputs, variables_of(name)
    exported = zoo.export_model(zoo.create(name), variables, inputs, platforms=("cpu",))
    for size in (1, SIZE):
        given = (each[:size] for each in inputs_of(name))
        close(exported.call(variables, *given), evaluated(name)["output"][:size])
    outputs = jax.eval_shape(exported.call, variables, *batch_of(inputs, 7))
    assert outputs.shape == (7, zoo.create(name).num_classes)
