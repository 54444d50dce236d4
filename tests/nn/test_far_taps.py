"""Dilated convolutions tap by tap: drawn geometries against lax in float64, and under JAX's transformations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export

from tests.nn.test_forms import assert_close, normal, results
from zoo.nn import conv, convolution, far_taps
from zoo.nn.geometry import Geometry, plain

small = functools.partial(st.integers, 1)
pads = st.tuples(st.integers(0, 9), st.integers(0, 9))


@pytest.fixture
def always(monkeypatch):
    """The form takes every dilated convolution at a stride of 1."""
    monkeypatch.setattr(far_taps, "SHARE", 1.0)
    monkeypatch.setattr(far_taps, "CHANNELS", 1)


@st.composite
def cases(draw):
    """(shape of the images, of the kernel, padding, dilation), the window at most as large as the padded image."""
    window, dilation = draw(st.tuples(small(4), small(4))), draw(st.tuples(small(9), small(9)))
    window = window if max(window) > 1 else (2, 3)
    dilation = dilation if max(dilation) > 1 else (2, 5)
    padding = draw(st.tuples(pads, pads))
    extents = [gap * (count - 1) + 1 for gap, count in zip(dilation, window, strict=True)]
    space = [max(1, extent - sum(pad)) + draw(st.integers(0, 5)) for extent, pad in zip(extents, padding, strict=True)]
    channels = draw(small(3))
    return (draw(small(3)), *space, channels), (*window, channels, draw(small(3))), padding, dilation


def laxs(images, kernel, padding, dilation):
    return plain(Geometry((1, 1), padding, dilation, 1), images, kernel)


def ours(padding, dilation):
    return functools.partial(convolution, padding=padding, dilation=dilation)


def test_value_and_derivatives_in_both_modes_are_laxs_in_float64(always):
    @settings(max_examples=8, deadline=None, derandomize=True, database=None)
    @given(cases())
    def check(case):
        images, kernel, padding, dilation = case
        theirs = functools.partial(laxs, padding=padding, dilation=dilation)
        out = jax.eval_shape(theirs, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel)))
        images, kernel, *along, slopes = normal(0, images, kernel, images, kernel, out.shape)
        geometry = Geometry((1, 1), padding, dilation, 1)
        assert conv._form(geometry, images, kernel, out.shape[1] * out.shape[2]) is far_taps.FORM
        given = images, kernel, tuple(along), slopes
        found = jax.jit(functools.partial(results, ours(padding, dilation)))(*given)
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), given)
            expected = jax.jit(functools.partial(results, theirs))(*wide)
        assert_close(found, expected)

    check()


def test_second_order_vmap_and_checkpoint_change_nothing(always):
    padding, dilation = ((4, 2), (3, 3)), (4, 3)
    images, kernel = normal(1, (2, 2, 5, 6, 3), (3, 3, 3, 2))

    def second(function):
        loss = lambda x, k: jnp.sin(jax.checkpoint(function)(x, k)).sum()  # noqa: E731
        gradient = jax.grad(lambda x, k: jnp.square(jax.grad(loss)(x, k)).sum(), (0, 1))
        return jax.vmap(gradient, (0, None))

    found = jax.jit(second(ours(padding, dilation)))(images, kernel)
    assert_close(found, jax.jit(second(functools.partial(laxs, padding=padding, dilation=dilation)))(images, kernel))


@pytest.mark.parametrize(
    ("side", "channels", "rate", "taken"),
    [(32, 128, 12, True), (32, 128, 36, True), (65, 128, 24, True), (65, 128, 12, False), (32, 64, 12, False)],
)
def test_the_rates_of_atrous_pyramid_pooling_take_it_where_most_products_are_with_padding(side, channels, rate, taken):
    images, kernel = jnp.zeros((1, side, side, channels)), jnp.zeros((3, 3, channels, 128))
    geometry = Geometry((1, 1), ((rate, rate),) * 2, (rate, rate), 1)
    assert far_taps.fits(geometry, images, kernel, side**2) is taken


def test_at_a_rate_beyond_the_map_one_product_of_the_middle_tap_is_left():
    images, kernel = normal(2, (1, 8, 8, 128), (3, 3, 128, 128))
    function = jax.jit(functools.partial(convolution, padding=9, dilation=9))
    program = function.lower(images, kernel).as_text()
    assert program.count("stablehlo.dot_general") == 1
    assert "stablehlo.convolution" not in program
    np.testing.assert_allclose(function(images, kernel), images @ kernel[1, 1], rtol=0, atol=1e-4)


def test_an_export_of_any_number_of_images_and_other_types_keep_lax(always):
    images, kernel = normal(3, (2, 4, 4, 3), (3, 3, 3, 2))
    function = functools.partial(convolution, padding=2, dilation=2)
    geometry = Geometry((1, 1), ((2, 2), (2, 2)), (2, 2), 1)
    assert not far_taps.fits(geometry, jnp.asarray(images, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16), 16)
    (batch,) = export.symbolic_shape("b")
    exported = export.export(jax.jit(function))(jax.ShapeDtypeStruct((batch, 4, 4, 3), jnp.float32), kernel)
    np.testing.assert_allclose(exported.call(images, kernel), function(images, kernel), rtol=0, atol=1e-5)
