"""What every network of optical flow promises, held by its small variant: images of any size, a flow a pixel."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from zoo.benchmark import benchmark
from zoo.flops import count_flops
from zoo.tables import summarise

ALL = zoo.list_models(task="optical_flow")
NAMES = [name for name in ALL if name.endswith("_tiny")]
REMATERIALISED = {"raft_tiny": 16, "flownet_s_tiny": 10, "flownet_c_tiny": 11, "pwc_tiny": 18}
"""How many blocks are computed again in the backward pass: RAFT's twelve residual units and each of its updates, and
FlowNet's convolutions on the way down, PWC-Net's but for those that predict; those of both images are one."""

of_every_network = pytest.mark.parametrize("name", NAMES, scope="module")
compiled_of_every_network = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "flownet_s_tiny" else [pytest.mark.slow]) for name in NAMES],
    scope="module",
)  # a program or two each


def pair(*shape):
    both = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype(np.float32)
    return both[0], both[1]


@functools.cache
def variables_of(name):
    shapes = jax.eval_shape(zoo.create(name).init, jax.random.key(0), *pair(1, 64, 64, 3))
    random, drawn = np.random.default_rng(1), {}
    for path, leaf in flatten_dict(shapes, sep="/").items():
        values = random.standard_normal(leaf.shape)
        if path.endswith("kernel"):
            values *= np.sqrt(1 / np.prod(leaf.shape[:-1]))
        elif path.endswith(("scale", "var")):
            values = random.uniform(0.5, 1.5, leaf.shape)
        else:
            values *= 0.1
        drawn[path] = values.astype(np.float32)
    return unflatten_dict(drawn, sep="/")


@functools.cache
def evaluated(name):
    model, images = zoo.create(name), pair(2, 40, 56, 3)

    @jax.jit
    def program(variables, first, second):
        def one(first, second):
            return model.apply(variables, first[None], second[None])[0]

        named = model.apply(variables, first, second, features=True)
        return {
            "features": named,
            "flow": model.apply(variables, first, second),
            "mapped": jax.vmap(one)(first, second),
            "bfloat16": model.copy(dtype=jnp.bfloat16).apply(variables, first, second),
        }

    return jax.device_get(program(variables_of(name), *images))


def test_every_network_of_optical_flow_has_a_small_variant():
    assert {zoo.describe(name).builder for name in ALL} == {zoo.describe(name).builder for name in NAMES}


@compiled_of_every_network
def test_a_flow_is_x_and_y_of_every_pixel_and_the_last_feature(name):
    found = evaluated(name)
    assert (found["flow"].shape, found["flow"].dtype) == ((2, 40, 56, 2), np.float32)
    assert np.ptp(found["flow"], axis=(1, 2)).min() > 0
    np.testing.assert_allclose(found["features"]["flow"], found["flow"], rtol=1e-5, atol=1e-5)


@compiled_of_every_network
def test_a_batch_is_its_pairs_one_by_one(name):
    found = evaluated(name)
    np.testing.assert_allclose(found["mapped"], found["flow"], atol=1e-4 * np.abs(found["flow"]).max())


@compiled_of_every_network
def test_bfloat16_is_near_float32(name):
    found = evaluated(name)
    off = np.abs(found["bfloat16"] - found["flow"])
    assert found["bfloat16"].dtype == np.float32
    assert 0 < off.max() < 0.2 * np.abs(found["flow"]).max()


@pytest.mark.slow  # a program a size
@of_every_network
def test_one_pixel_and_a_very_wide_image_have_flows_that_are_numbers(name):
    for shape in ((1, 1, 1, 3), (1, 3, 300, 3)):
        flow = jax.jit(zoo.create(name).apply)(variables_of(name), *pair(*shape))
        assert np.isfinite(flow).all()


@of_every_network
def test_in_training_flows_go_from_coarse_to_fine_or_from_the_first_update_to_the_last(name):
    """Of images whose sides no stride divides; with remat, whose blocks are computed again."""
    written_out = {"unroll": True} if name == "raft_tiny" else {}
    model, images = zoo.create(name, remat=True, **written_out), pair(2, 41, 57, 3)
    options = {"train": True, "mutable": ["batch_stats"]}
    jaxpr, (flows, state) = jax.make_jaxpr(lambda v: model.apply(v, *images, **options), return_shape=True)(
        variables_of(name)
    )
    assert isinstance(flows, tuple)
    sizes = [(41, 57)] * 4 if name.startswith("raft") else [(1, 1), (2, 2), (3, 4), (6, 8), (11, 15)]
    if name.startswith("pwc"):
        sizes = [(-(-41 // stride), -(-57 // stride)) for stride in model.strides]
    assert [flow.shape for flow in flows] == [(2, *size, 2) for size in sizes]
    assert {flow.dtype for flow in flows} == {jnp.dtype("float32")}
    assert ("batch_stats" in state) == name.startswith("raft")
    again = sum(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns)
    assert again == REMATERIALISED[name]


@of_every_network
def test_an_empty_batch_has_an_empty_flow_in_float32_whatever_the_compute_type(name):
    variables = jax.eval_shape(lambda: variables_of(name))
    flow = jax.eval_shape(zoo.create(name, dtype=jnp.bfloat16).apply, variables, *pair(0, 1, 1, 3))
    assert (flow.shape, flow.dtype) == ((0, 1, 1, 2), jnp.float32)


@of_every_network
def test_parameters_are_of_the_type_that_is_asked_for_and_statistics_of_float32(name):
    model = zoo.create(name, param_dtype=jnp.bfloat16, remat=True)
    found = jax.eval_shape(model.init, jax.random.key(0), *pair(1, 64, 64, 3))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(found["params"])} == {"bfloat16"}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(found.get("batch_stats", {}))} <= {"float32"}
    assert flatten_dict(found).keys() == flatten_dict(variables_of(name)).keys()  # with remat too


@compiled_of_every_network
def test_a_program_is_exported_for_batches_of_any_size(name):
    exported = zoo.export_model(zoo.create(name), variables_of(name), zoo.describe(name).inputs, platforms=("cpu",))
    assert exported.out_avals[0].str_short() == "float32[batch,64,64,2]"


@of_every_network
def test_other_shapes_and_integers_are_refused(name):
    def refused(kind, message, first, second, dtype=jnp.float32):
        images = [jax.ShapeDtypeStruct(shape, dtype) for shape in (first, second)]
        variables = jax.eval_shape(lambda: variables_of(name))
        with pytest.raises(kind, match=message):
            jax.eval_shape(zoo.create(name).apply, variables, *images)

    shape = (1, 64, 64, 3)
    refused(ValueError, "expected two batches of images of one shape, got", shape, (1, 64, 72, 3))
    refused(ValueError, r"expected images \(batch, height, width, channels\), got shape", shape[1:], shape[1:])
    refused(TypeError, "expected floating-point images, got uint8", shape, shape, jnp.uint8)
    refused(ValueError, "expected .* channels, got images of shape", (1, 64, 64, 4), (1, 64, 64, 4))


@pytest.mark.slow  # five traces
def test_stages_parameters_and_work_are_counted_for_both_images():
    summary = summarise("raft_tiny")
    assert list(summary.stages) == ["first", "second", "context", "correlation", "hidden", "coarse_flow", "flow"]
    assert summary.stages["flow"] == (64, 64, 2)
    model, images = zoo.create("raft_tiny"), [jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)] * 2
    one, two, four = (count_flops(model.copy(updates=n), variables_of("raft_tiny"), *images) for n in (1, 2, 4))
    assert four - two == pytest.approx(2 * (two - one), rel=1e-3)  # a loop's body would be counted once


@pytest.mark.slow  # four traces of large networks
def test_feature_strides_are_those_of_the_paper():
    found = zoo.feature_info("raft_small", (128, 128, 3), (128, 128, 3))
    assert found["first"] == (128, (8, 8))
    assert found["correlation"] == (4 * 49, (8, 8))
    found = zoo.feature_info("flownet_c")
    assert found["correlation"] == (441, (8, 8))
    assert found["conv6_1"] == (1024, (64, 64))


@pytest.mark.slow  # a training step of RAFT is compiled
def test_a_training_step_is_timed():
    result = benchmark("raft_tiny", batch=1, rounds=1, train=True)
    assert result.training is not None
    assert [one.name for one in result.inputs] == ["first", "second"]
