"""Resizing beside torch's `interpolate`, and FCN's fixed bilinear enlargement beside the transposed convolution."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.nn.goldens import maps
from zoo.nn.resize import enlarged_bilinearly, resize
from zoo.nn.transposed import bilinear, transposed_convolution

RANDOM = np.random.default_rng(0)


@functools.cache
def golden():
    with np.load(Path(__file__).parent / "goldens" / "maps.npz") as file:
        return {name: value for name, value in file.items() if name.startswith("resized/")}


def test_values_and_gradients_are_torchs():
    given = [
        (maps.drawn("resized", 1, *size, 2), maps.drawn("slopes", 1, *other, 2)) for size, other, *_ in maps.RESIZED
    ]

    @jax.jit
    def everything(given):
        found = []
        for (_, other, method, aligned), (x, slopes) in zip(maps.RESIZED, given, strict=True):
            out, back = jax.vjp(lambda x, o=other, m=method, a=aligned: resize(x, o, m, a), x)
            found.append((out, *back(slopes)))
        return found

    for number, (settings, (out, gradient)) in enumerate(zip(maps.RESIZED, everything(given), strict=True)):
        np.testing.assert_allclose(out, golden()[f"resized/{number}/out"], atol=2e-6, err_msg=str(settings))
        np.testing.assert_allclose(gradient, golden()[f"resized/{number}/gradient"], atol=5e-6, err_msg=str(settings))


def test_nearest_takes_labels_as_they_are():
    labels = RANDOM.integers(0, 255, (1, 3, 4, 1)).astype(np.uint8)
    found = jax.jit(lambda x: resize(x, (6, 8), "nearest"))(labels)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, labels.repeat(2, axis=1).repeat(2, axis=2))


def test_maps_of_the_same_size_are_the_same_and_a_narrow_type_is_kept():
    x = jnp.asarray(RANDOM.standard_normal((1, 3, 4, 2)), jnp.bfloat16)
    for method in ("nearest", "bilinear", "bicubic"):
        np.testing.assert_array_equal(resize(x, (3, 4), method), x)
    assert jax.eval_shape(lambda x: resize(x, (5, 9)), x).dtype == jnp.bfloat16


def test_what_cannot_be_resized_is_refused():
    x = jnp.zeros((1, 3, 4, 2))
    for arguments, message in (
        ((x[0], (2, 2)), r"expected maps \(batch, height, width, channels\) with places, got shape \(3, 4, 2\)"),
        ((x[:, :0], (2, 2)), "with places, got shape"),
        ((x, (2, 2), "cubic"), "expected one of nearest, bilinear, bicubic, got 'cubic'"),
        ((x, (2, 0)), r"expected a size of two positive integers, got \(2, 0\)"),
        ((x, (2, 2), "nearest", True), "nearest places have no aligned corners"),
    ):
        with pytest.raises(ValueError, match=message):
            resize(*arguments)
    with pytest.raises(TypeError, match="expected floating-point maps, got int32: only nearest takes integers"):
        resize(x.astype(jnp.int32), (2, 2))


FIXED = [
    ((3, 4), 2, (0, 0), None),
    ((4, 3), 4, (3, 5), (9, 7)),
    ((2, 1), 8, (4, 4), (16, 8)),
    ((3, 2), 3, (2, 0), None),
]
"""Maps' size, factor, offset, and what is kept."""


def test_fixed_bilinear_enlargement_is_the_transposed_convolution_and_so_is_its_gradient():
    given = [RANDOM.standard_normal((2, *size, 3)).astype(np.float32) for size, *_ in FIXED]

    @jax.jit
    def both(given):
        found = []
        for (_, factor, offset, size), x in zip(FIXED, given, strict=True):

            def by_products(x, factor=factor, offset=offset, size=size):
                return enlarged_bilinearly(x, factor, offset, size)

            def by_convolution(x, factor=factor, offset=offset, size=size):
                window = 2 * factor
                # Of an odd factor too: the window has twice as many places, an even number.
                out = transposed_convolution(x, bilinear(None, (window, window, 3, 3)), factor)
                rows, columns = size or tuple(n - o for n, o in zip(out.shape[1:3], offset, strict=True))
                return out[:, offset[0] : offset[0] + rows, offset[1] : offset[1] + columns]

            pair = []
            for function in (by_products, by_convolution):
                out, back = jax.vjp(function, x)
                pair.append((out, back(jnp.cos(jnp.arange(out.size)).reshape(out.shape))[0]))
            found.append(pair)
        return found

    for settings, (ours, expected) in zip(FIXED, both(given), strict=True):
        for one, other in zip(ours, expected, strict=True):
            assert one.shape == other.shape, settings
            np.testing.assert_allclose(one, other, atol=1e-5, err_msg=str(settings))


def test_an_enlargement_that_reaches_out_is_refused():
    x = jnp.zeros((1, 2, 2, 1))
    for options in ({"offset": (-1, 0)}, {"offset": (0, 0), "size": (7, 6)}, {"offset": (6, 0), "size": (1, 1)}):
        with pytest.raises(ValueError, match="expected an offset and a size within the 6 x 6 places of the result"):
            enlarged_bilinearly(x, 2, **options)
    with pytest.raises(ValueError, match="a factor from 1, got shape"):
        enlarged_bilinearly(x, 0)
