"""The convolution layer against flax, scipy and lax, in value, derivatives and under JAX's transformations."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax import export, lax

from zoo.nn import Conv, convolution, winograd

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_one_channel_is_scipys_correlation():
    image, kernel = normal(9, 11), normal(3, 5)
    ours = convolution(image[None, :, :, None], kernel[:, :, None, None])
    np.testing.assert_allclose(ours[0, :, :, 0], scipy.signal.correlate2d(image, kernel, "valid"), atol=1e-5)


CASES = {  # name -> (shape of the images, options of the layer)
    "3x3": ((2, 7, 8, 4), {"kernel_size": (3, 3), "padding": 1}),
    "same, stride 2, even": ((2, 8, 8, 4), {"kernel_size": (3, 3), "strides": 2}),
    "1x1": ((2, 7, 8, 4), {"kernel_size": (1, 1), "padding": 0, "use_bias": False}),
    "1x1, stride 2": ((2, 7, 8, 4), {"kernel_size": (1, 1), "strides": (2, 2), "padding": 0}),
    "1x1, padded": ((2, 3, 3, 4), {"kernel_size": (1, 1), "padding": 1}),
    "dilated": ((2, 9, 9, 4), {"kernel_size": (3, 3), "padding": 2, "kernel_dilation": 2}),
    "groups": ((2, 5, 5, 4), {"kernel_size": (3, 3), "padding": 1, "feature_group_count": 2}),
    "8 pieces": ((64, 16, 17, 2), {"kernel_size": (3, 3), "padding": 1}),
    "4 pieces": ((32, 16, 16, 2), {"kernel_size": (3, 3), "padding": 1}),
    "8 pieces, 5x5, stride 2": ((72, 31, 31, 1), {"kernel_size": (5, 5), "strides": 2, "padding": 2}),
    "sound": ((2, 9, 4), {"kernel_size": (3,), "padding": 1}),
    "video": ((2, 4, 5, 5, 4), {"kernel_size": (3, 3, 3), "strides": (1, 2, 2), "padding": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_value_parameters_and_both_gradients_are_flaxs(case):
    shape, options = CASES[case]
    ours, theirs = Conv(6, **options), nn.Conv(6, **options)
    images = normal(*shape)
    shapes = jax.eval_shape(lambda: (ours.init(jax.random.key(0), images), theirs.init(jax.random.key(0), images)))
    assert shapes[0] == shapes[1]
    variables = jax.tree.map(lambda leaf: normal(*leaf.shape), shapes[0])
    direction = normal(*jax.eval_shape(ours.apply, variables, images).shape)

    @jax.jit
    def both(variables, images):
        def value_and_gradients(layer):
            out, pullback = jax.vjp(layer.apply, variables, images)
            return out, pullback(direction)

        return value_and_gradients(ours), value_and_gradients(theirs)

    for a, b in zip(*map(jax.tree.leaves, both(variables, images)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(jnp.abs(b).max()))


def test_initialisation_is_flaxs_number_by_number():
    images, key = jnp.zeros((1, 4, 4, 3)), jax.random.key(7, impl="rbg")  # compiles faster than threefry
    ours, theirs = jax.jit(lambda key: [layer(4, (3, 3)).init(key, images) for layer in (Conv, nn.Conv)])(key)
    np.testing.assert_array_equal(ours["params"]["kernel"], theirs["params"]["kernel"])
    assert ours["params"]["kernel"].std() > 0.1


def plain(images, kernel, padding=1):
    return lax.conv_general_dilated(
        images, kernel, (1, 1), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def inner_product(function, vectors, *args):
    return sum(map(jnp.vdot, function(*args), vectors))


def test_derivatives_of_second_order_are_laxs_in_both_modes():
    images = normal(32, 16, 16, 2)
    kernels = {window: normal(window, window, 2, 2) for window in (1, 3)}
    along = {window: (normal(*images.shape), normal(*kernels[window].shape)) for window in (1, 3)}

    @functools.partial(jax.jit, static_argnums=0)
    def second(function):
        results = []
        for window, kernel in kernels.items():
            gradient = jax.grad(lambda x, k, p=window // 2: jnp.sin(function(x, k, padding=p)).sum(), (0, 1))
            slope = functools.partial(inner_product, gradient, along[window])
            results.append(jax.jvp(gradient, (images, kernel), along[window])[1])  # forward over reverse
            results.append(jax.grad(slope, (0, 1))(images, kernel))  # reverse over reverse
        return results

    for a, b in zip(*map(jax.tree.leaves, (second(convolution), second(plain))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()))


def test_vmap_checkpoint_and_jit_change_nothing():
    images, kernels = normal(2, 32, 16, 16, 2), normal(2, 3, 3, 2, 3)

    def gradient(images, kernel):
        function = jax.checkpoint(lambda kernel: jnp.square(convolution(images, kernel, padding=1)).sum())
        return jax.grad(function)(kernel)

    looped = [jax.grad(lambda k, x=x: jnp.square(plain(x, k)).sum())(k) for x, k in zip(images, kernels, strict=True)]
    mapped = jax.jit(jax.vmap(gradient))(images, kernels)
    np.testing.assert_allclose(mapped, np.stack(looped), rtol=1e-4, atol=0.1)  # of sums near 10,000
    shared = jax.jit(jax.vmap(gradient, in_axes=(None, 0)))(images[0], kernels)
    np.testing.assert_allclose(shared[0], looped[0], rtol=1e-4, atol=0.1)


def operations(lowered):
    text = lowered.as_text()
    return {
        name: text.count(f"stablehlo.{name}(") + text.count(f"stablehlo.{name} ")
        for name in ("convolution", "dot_general")
    }


@pytest.mark.parametrize("window", [1, 3])
def test_gpu_and_tpu_keep_laxs_convolutions_and_the_cpu_does_not(window):
    images, kernel = jnp.zeros((32, 16, 16, 2)), jnp.zeros((window, window, 2, 2))

    def gradients(function):
        return jax.jit(jax.grad(lambda x, k: jnp.sin(function(x, k, padding=window // 2)).sum(), (0, 1))).trace(
            images, kernel
        )

    ours, theirs = gradients(convolution), gradients(plain)
    for platform in ("cuda", "rocm", "tpu"):
        expected = operations(theirs.lower(lowering_platforms=(platform,)))
        assert expected == {"convolution": 3, "dot_general": 0}
        assert operations(ours.lower(lowering_platforms=(platform,))) == expected
    on_cpu = operations(ours.lower(lowering_platforms=("cpu",)))
    assert on_cpu == ({"convolution": 0, "dot_general": 3} if window == 1 else {"convolution": 6, "dot_general": 0})


FEW_PLACES = {  # name -> (shape of the images, of the kernel, options)
    "3x3": ((4, 2, 2, 256), (3, 3, 256, 256), {"padding": 1}),
    "small maps": ((3, 4, 3, 32), (3, 3, 32, 40), {"padding": 1, "strides": 2}),
    "stride 2, dilated": ((2, 7, 6, 256), (3, 2, 256, 257), {"padding": 2, "strides": 2, "dilation": (2, 1)}),
    "sound": ((3, 5, 256), (3, 256, 256), {"padding": 1}),
    "video": ((1, 3, 3, 3, 256), (2, 2, 2, 256, 256), {"padding": 0}),
}


@pytest.mark.parametrize("case", FEW_PLACES)
def test_few_places_and_many_channels_are_one_product_on_cpu_and_the_convolution_elsewhere(case):
    shape, window, options = FEW_PLACES[case]
    images, kernel = normal(*shape), normal(*window) / 50

    def gradients(**also):
        def total(images, kernel):
            return jnp.sin(convolution(images, kernel, **options, **also)).sum()

        return jax.jit(jax.value_and_grad(total, (0, 1))).trace(images, kernel)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.nn.few_places.MANY_CHANNELS", 2**20)
        patch.setattr("zoo.nn.few_places.SMALL_MAP", 0)
        theirs = gradients()
    ours = gradients()
    for platform, convolutions in (("cuda", 3), ("tpu", 3), ("cpu", 0)):
        found = operations(ours.lower(lowering_platforms=(platform,)))
        assert found == {"convolution": convolutions, "dot_general": 3 - convolutions}
    for a, b in zip(
        *map(jax.tree.leaves, (run.lower().compile()(images, kernel) for run in (ours, theirs))), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * float(jnp.abs(b).max()))


def test_more_places_or_fewer_channels_stay_convolutions_on_cpu(monkeypatch):
    monkeypatch.setattr(winograd, "fits", lambda *_: False)

    def products(batch, size, channels, features):
        images, kernel = jnp.zeros((batch, size, size, channels)), jnp.zeros((3, 3, channels, features))
        traced = jax.jit(functools.partial(convolution, padding=1)).trace(images, kernel)
        return operations(traced.lower(lowering_platforms=("cpu",)))["dot_general"]

    cases = {(8, 8, 256, 512): 1, (9, 8, 256, 512): 0, (1, 3, 255, 512): 0, (1, 3, 512, 255): 0, (2, 22, 512, 512): 1}
    cases |= {(64, 2, 32, 33): 1, (64, 2, 31, 64): 0, (64, 2, 64, 31): 0, (64, 3, 128, 128): 0}
    assert {case: products(*case) for case in cases} == cases


def test_the_weight_gradient_is_split_only_where_that_pays():
    def split(batch, size, channels):
        images, kernel = jnp.zeros((batch, size, size, channels)), jnp.zeros((3, 3, channels, 16))
        gradient = jax.grad(lambda k: convolution(images, k, padding=1).sum())
        return operations(jax.jit(gradient).trace(kernel).lower(lowering_platforms=("cpu",)))["convolution"]

    # The forward pass is not needed for a sum's gradient: what is left are the pieces.
    cases = {(128, 32, 16): 8, (60, 32, 16): 4, (128, 8, 64): 4, (128, 4, 16): 1, (128, 32, 128): 1, (16, 64, 16): 1}
    assert {case: split(*case) for case in cases} == cases


def test_export_serves_batches_of_any_size_on_every_platform():
    layers = nn.Sequential([Conv(4, (3, 3), padding=1), Conv(3, (1, 1), padding=0)])
    images = normal(2, 4, 4, 2)
    shapes = jax.eval_shape(lambda: layers.init(jax.random.key(0), images))
    variables = jax.tree.map(lambda leaf: normal(*leaf.shape), shapes)
    (batch,) = export.symbolic_shape("batch")
    exported = export.export(jax.jit(layers.apply), platforms=("cpu", "cuda", "tpu"))(
        variables, jax.ShapeDtypeStruct((batch, 4, 4, 2), jnp.float32)
    )
    served = exported.call(variables, images)
    eights = jax.ShapeDtypeStruct((8 * batch, 4, 4, 2), jnp.float32)  # divisible, but of no known size
    assert jax.eval_shape(layers.apply, variables, eights).shape[0] == 8 * batch
    np.testing.assert_allclose(served, jax.jit(layers.apply)(variables, images), rtol=1e-5, atol=1e-5)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_parameters():
    layer = Conv(4, (3, 3), dtype=jnp.bfloat16)
    out, variables = jax.eval_shape(lambda x: layer.init_with_output(jax.random.key(0), x), normal(32, 4, 4, 2))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
    assert out.dtype == jnp.bfloat16


def test_shapes_that_do_not_fit_say_what_was_expected():
    with pytest.raises(ValueError, match="expected a kernel of rank 3 to 5"):
        convolution(jnp.zeros((1, 4, 4, 1)), jnp.zeros((1, 1)))
    with pytest.raises(ValueError, match="expected images of rank 4"):
        convolution(jnp.zeros((4, 4, 1)), jnp.zeros((3, 3, 1, 1)))
    with pytest.raises(ValueError, match=r"expected 4 channels and filters divisible by 2"):
        convolution(jnp.zeros((1, 4, 4, 3)), jnp.zeros((3, 3, 2, 4)), groups=2)
    with pytest.raises(ValueError, match="does not fit into an image of"):
        convolution(jnp.zeros((1, 4, 4, 1)), jnp.zeros((5, 5, 1, 1)))
    with pytest.raises(ValueError, match="3 channels cannot be cut in 2 equal groups"):
        Conv(4, (3, 3), feature_group_count=2).init(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
