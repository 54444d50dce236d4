"""The dense layer whose weight gradient is one product on CPU, against flax's and lax's."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from zoo.nn.dense import Dense, last_axis_product

SHAPES = {"tokens": ((2, 5, 3), (3, 4)), "narrowing": ((3, 4, 5, 6), (6, 2)), "few": ((1, 2, 7), (7, 3))}


def theirs(inputs, kernel):
    return lax.dot_general(inputs, kernel, (((inputs.ndim - 1,), (0,)), ((), ())))


def ours(inputs, kernel):
    return last_axis_product(inputs, kernel, (((inputs.ndim - 1,), (0,)), ((), ())))


def normal(*shapes):
    random = np.random.default_rng(0)
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]


def gradients(function, inputs, kernel):
    return jax.grad(lambda x, k: jnp.sin(function(x, k)).sum(), (0, 1))(inputs, kernel)


def assert_close(found, expected, tolerance=1e-5):
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(*(np.asarray(array, np.float64) for array in (a, b)), rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", SHAPES)
def test_value_and_derivatives_of_every_kind_are_laxs(case):
    inputs, kernel, *along = normal(*SHAPES[case] * 2)

    def everything(function):
        gradient = functools.partial(gradients, function)
        forward = jax.jvp(function, (inputs, kernel), tuple(along))
        second = jax.jvp(gradient, (inputs, kernel), tuple(along))
        slope = lambda x, k: sum(map(jnp.vdot, gradient(x, k), along))  # noqa: E731
        return jax.jit(lambda: (forward, second, jax.grad(slope, (0, 1))(inputs, kernel)))()

    assert_close(everything(ours), everything(theirs))


def test_the_layer_is_flaxs_with_the_same_parameters():
    (tokens,) = normal((2, 5, 3))
    layers = [Dense(4, name="dense"), nn.Dense(4, name="dense")]
    variables = [layer.init(jax.random.key(0), tokens) for layer in layers]
    assert_close(*variables)

    def loss(layer, variables):
        return jnp.square(layer.apply(variables, tokens)).sum()

    found, expected = (jax.jit(jax.grad(functools.partial(loss, layer)))(variables[0]) for layer in layers)
    assert_close(found, expected)
    (image,) = normal((2, 3))
    assert_close(layers[0].apply(variables[0], image), layers[1].apply(variables[0], image))


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_other_types_are_as_exact_as_lax(dtype):
    with jax.enable_x64(dtype == "float64"):
        inputs, kernel = (jnp.asarray(array, dtype) for array in normal(*SHAPES["tokens"]))
        found, expected = (jax.jit(functools.partial(gradients, f))(inputs, kernel) for f in (ours, theirs))
        assert_close(found, expected, 2**-6 if dtype == "bfloat16" else 1e-12)


def test_vmap_checkpoint_and_symbolic_batches_change_nothing():
    inputs, kernel = normal((2, 2, 5, 3), (2, 3, 4))
    mapped = [jax.jit(jax.vmap(functools.partial(gradients, jax.checkpoint(f)))) for f in (ours, theirs)]
    assert_close(*(function(inputs, kernel) for function in mapped))
    (batch,) = export.symbolic_shape("batch")
    shapes = jax.ShapeDtypeStruct((batch, 5, 3), jnp.float32), jax.ShapeDtypeStruct((3, 4), jnp.float32)
    program = jax.jit(functools.partial(gradients, ours))
    exported = export.export(program, platforms=("cpu", "cuda", "tpu"))(*shapes)
    assert_close(exported.call(inputs[0], kernel[0]), gradients(theirs, inputs[0], kernel[0]))


def test_empty_inputs_and_a_mesh_of_explicit_axes_are_laxs():
    inputs, kernel = normal(*SHAPES["tokens"])
    assert_close(gradients(ours, inputs[:0], kernel), gradients(theirs, inputs[:0], kernel))
    for kind in (AxisType.Explicit, AxisType.Auto):
        mesh = jax.make_mesh((1,), ("data",), axis_types=(kind,))
        placed = (
            jax.device_put(inputs, NamedSharding(mesh, PartitionSpec("data"))),
            jax.device_put(kernel, NamedSharding(mesh, PartitionSpec())),
        )
        assert_close(jax.jit(functools.partial(gradients, ours))(*placed), gradients(theirs, inputs, kernel))
    sharded = jax.shard_map(
        functools.partial(gradients, ours),
        mesh=mesh,
        in_specs=(PartitionSpec("data"), PartitionSpec()),
        out_specs=(PartitionSpec("data"), PartitionSpec()),
    )
    assert_close(jax.jit(sharded)(inputs, kernel), gradients(theirs, inputs, kernel))


def test_only_cpu_is_given_another_weight_gradient():
    inputs, kernel = normal(*SHAPES["tokens"])

    def text(function, platform):
        traced = jax.jit(functools.partial(gradients, function)).trace(inputs, kernel)
        lines = traced.lower(lowering_platforms=(platform,)).as_text().splitlines()
        return sorted(
            line.split("dot_general")[1].split("->")[0].split("contracting")[1]
            for line in lines
            if "dot_general" in line
        )

    for platform in ("cuda", "rocm", "tpu"):
        assert text(ours, platform) == text(theirs, platform)
    assert any("tensor<10x3xf32>" in line for line in text(ours, "cpu"))  # all tokens are its rows
