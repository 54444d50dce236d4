"""Grouped and depthwise convolution in every form, against lax in value, derivatives and what platforms are given."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from zoo.nn import convolution, grouped

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def laxs(images, kernel, strides, padding, dilation, groups):
    space = "DHW"[5 - kernel.ndim :]
    names = (f"N{space}C", f"{space}IO", f"N{space}C")
    options = {"rhs_dilation": dilation, "dimension_numbers": names, "feature_group_count": groups}
    return lax.conv_general_dilated(images, kernel, strides, padding, **options)


SAME = ((1, 1), (1, 1))
CASES = {  # name -> (shape of the images, shape of the kernel, strides, padding, dilation, groups)
    "depthwise": ((2, 5, 6, 3), (3, 3, 1, 3), (1, 1), SAME, (1, 1), 3),
    "depthwise, 2 filters a channel": ((2, 6, 5, 3), (3, 3, 1, 6), (2, 1), SAME, (1, 1), 3),
    "depthwise, stride 3, dilated": ((1, 9, 11, 2), (3, 2, 1, 2), (3, 3), ((2, 1), (0, 3)), (2, 3), 2),
    "depthwise, padding beyond the window": ((1, 4, 4, 2), (1, 2, 1, 2), (1, 2), ((1, 2), (3, 0)), (1, 1), 2),
    "depthwise, sound": ((2, 9, 3), (4, 1, 3), (2,), ((1, 2),), (2,), 3),
    "depthwise, video": ((1, 3, 4, 5, 2), (2, 3, 1, 1, 4), (1, 2, 1), ((1, 0), (1, 1), (0, 0)), (1, 1, 1), 2),
    "groups that all go together": ((2, 5, 6, 4), (3, 3, 2, 6), (1, 1), SAME, (1, 1), 2),
    "groups, four and four together": ((2, 5, 5, 24), (3, 3, 3, 16), (2, 2), SAME, (1, 1), 8),
    "wide groups": ((2, 5, 4, 34), (2, 3, 17, 4), (2, 1), ((0, 1), (2, 0)), (1, 2), 2),
    "groups to one filter each": ((2, 4, 4, 6), (3, 3, 2, 3), (1, 1), SAME, (1, 1), 3),
    "groups, 1x1": ((2, 4, 4, 6), (1, 1, 3, 4), (2, 2), ((0, 0),) * 2, (1, 1), 2),
    "groups, sound": ((2, 9, 40), (3, 20, 4), (2,), ((2, 2),), (2,), 2),
    "groups, video": ((1, 3, 4, 4, 8), (2, 2, 2, 4, 4), (1, 2, 1), ((1, 1), (0, 1), (0, 0)), (1, 1, 1), 2),
}


@pytest.fixture
def no_layer_is_too_small(monkeypatch):
    monkeypatch.setattr(grouped, "MULTIPLICATIONS", 0)


def arguments(case):
    images, kernel, strides, padding, dilation, groups = CASES[case]
    geometry = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    return normal(*images), normal(*kernel), geometry


def assert_close(ours, theirs, tolerance=1e-5):
    for a, b in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        assert a.dtype == b.dtype
        a, b = (np.asarray(array, np.float64) for array in (a, b))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=min(tolerance, 1e-5) * np.abs(b).max())


@pytest.mark.usefixtures("no_layer_is_too_small")
@pytest.mark.parametrize("case", CASES)
def test_value_and_derivatives_in_both_modes_are_laxs(case):
    images, kernel, geometry = arguments(case)
    tangents = normal(*images.shape), normal(*kernel.shape)
    direction = normal(*jax.eval_shape(functools.partial(laxs, **geometry), images, kernel).shape)

    @jax.jit
    def both(images, kernel):
        def results(function):
            function = functools.partial(function, **geometry)
            _, tangent = jax.jvp(function, (images, kernel), tangents)
            value, pullback = jax.vjp(function, images, kernel)
            return value, tangent, pullback(direction)

        return results(convolution), results(laxs)

    assert_close(*both(images, kernel))


@pytest.mark.usefixtures("no_layer_is_too_small")
@pytest.mark.parametrize("case", ["depthwise, 2 filters a channel", "groups, four and four together"])
def test_second_derivatives_are_laxs(case):
    images, kernel, geometry = arguments(case)
    along = normal(*images.shape), normal(*kernel.shape)

    @functools.partial(jax.jit, static_argnums=0)
    def second(function):
        gradient = jax.grad(lambda x, k: jnp.sin(function(x, k, **geometry)).sum(), (0, 1))
        slope = lambda *at: sum(map(jnp.vdot, gradient(*at), along))  # noqa: E731
        forward_over_reverse = jax.jvp(gradient, (images, kernel), along)[1]
        return forward_over_reverse, jax.grad(slope, (0, 1))(images, kernel)

    assert_close(second(convolution), second(laxs), 1e-4)


@pytest.mark.usefixtures("no_layer_is_too_small")
@pytest.mark.parametrize("case", ["depthwise", "groups, four and four together"])
def test_vmap_and_checkpoint_change_nothing(case):
    images, kernel, geometry = arguments(case)
    images, kernels = np.stack([images, 2 * images]), np.stack([kernel, kernel**2])

    def mapped(function):
        function = jax.checkpoint(functools.partial(function, **geometry))
        return jax.vmap(jax.grad(lambda x, k: jnp.square(function(x, k)).sum(), (0, 1)))

    assert_close(jax.jit(mapped(convolution))(images, kernels), jax.jit(mapped(laxs))(images, kernels), 1e-4)


@pytest.mark.usefixtures("no_layer_is_too_small")
@pytest.mark.parametrize("case", ["depthwise", "groups, four and four together"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("bfloat16", 2**-8), ("float16", 2**-11)])
def test_other_types_are_as_exact_as_they_can_be(case, dtype, tolerance):
    with jax.enable_x64(dtype == "float64"):
        images, kernel, geometry = arguments(case)
        exact = [jnp.asarray(array, dtype) for array in (images, kernel)]
        wide = exact if dtype == "float64" else [array.astype(jnp.float32) for array in exact]

        def value_and_gradients(function, arguments):
            out, pullback = jax.vjp(functools.partial(function, **geometry), *arguments)
            return out, pullback(jnp.ones_like(out))

        ours = jax.jit(functools.partial(value_and_gradients, convolution))(exact)
        theirs = jax.jit(functools.partial(value_and_gradients, laxs))(wide)
        assert_close(ours, jax.tree.map(lambda array: array.astype(dtype), theirs), tolerance)


def operations(lowered):
    """The convolutions of a lowered program, each as its (feature groups, batch groups), sorted; and its loops."""
    text = lowered.as_text()
    groups = re.findall(r"batch_group_count = (\d+) : i64, feature_group_count = (\d+)", text)
    return sorted((int(features), int(batch)) for batch, features in groups), text.count("stablehlo.while")


@pytest.mark.parametrize(
    ("shape", "kernel", "groups", "loops"),
    [
        ((2, 16, 16, 32), (3, 3, 1, 32), 32, (0, 1)),
        ((2, 16, 16, 64), (3, 3, 16, 64), 4, (1, 3)),
    ],
)
def test_gpu_and_tpu_keep_one_grouped_convolution_and_the_cpu_has_none(shape, kernel, groups, loops):
    images, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (shape, kernel))
    geometry = {"strides": (1, 1), "padding": SAME, "dilation": (1, 1), "groups": groups}

    def traced(function, differentiated):
        function = functools.partial(function, **geometry)
        if differentiated:
            return jax.jit(jax.grad(lambda x, k: jnp.sin(function(x, k)).sum(), (0, 1))).trace(images, kernel)
        return jax.jit(function).trace(images, kernel)

    for differentiated in (False, True):
        ours, theirs = (traced(function, differentiated) for function in (convolution, laxs))
        forward = [(groups, 1)]
        expected = sorted([(1, groups), (groups, 1), (groups, 1)]) if differentiated else forward
        for platform in ("cuda", "rocm", "tpu"):
            assert operations(theirs.lower(lowering_platforms=(platform,))) == (expected, 0)
            assert operations(ours.lower(lowering_platforms=(platform,))) == (expected, 0)
        convolutions, found = operations(ours.lower(lowering_platforms=("cpu",)))
        assert set(convolutions) <= {(1, 1)}  # none with groups, of features or of the batch
        assert found == loops[differentiated]


def test_small_layers_and_integers_keep_laxs_form():
    def grouped_on_cpu(batch, dtype=jnp.float32):
        images, kernel = jnp.zeros((batch, 8, 8, 8), dtype), jnp.zeros((3, 3, 1, 8), dtype)
        function = functools.partial(convolution, padding=1, groups=8)
        return operations(jax.jit(function).trace(images, kernel).lower(lowering_platforms=("cpu",)))[0] == [(8, 1)]

    assert grouped_on_cpu(14)  # 64,512 multiplications
    assert not grouped_on_cpu(15)
    assert grouped_on_cpu(15, jnp.int32)


def test_a_gradient_keeps_the_images_and_no_copy_of_them_for_each_tap():
    images, kernel = jnp.zeros((4, 32, 32, 16)), jnp.zeros((5, 5, 1, 16))

    def gradient(images, kernel):
        return jax.grad(lambda k: jnp.sin(convolution(images, k, padding=2, groups=16)).sum())(kernel)

    held = jax.jit(gradient).lower(images, kernel).compile().memory_analysis().temp_size_in_bytes
    assert held < 8 * images.nbytes  # a copy for each tap alone would be 25


def test_export_serves_batches_of_any_size_on_every_platform():
    kernels = normal(3, 3, 1, 4), normal(3, 3, 2, 4)

    def gradient(images, *kernels):
        def loss(*kernels):
            hidden = convolution(images, kernels[0], padding=1, groups=4)
            return jnp.square(convolution(hidden, kernels[1], padding=1, groups=2)).sum()

        return jax.grad(loss, (0, 1))(*kernels)

    (batch,) = export.symbolic_shape("batch")
    shapes = [jax.ShapeDtypeStruct(kernel.shape, jnp.float32) for kernel in kernels]
    exported = export.export(jax.jit(gradient), platforms=("cpu", "cuda", "tpu"))(
        jax.ShapeDtypeStruct((batch, 5, 5, 4), jnp.float32), *shapes
    )
    images = normal(3, 5, 5, 4)
    assert_close(exported.call(images, *kernels), jax.jit(gradient)(images, *kernels))
