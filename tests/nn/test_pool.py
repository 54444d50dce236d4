"""Pooling against flax (`lax.reduce_window`), scikit-image and torch's rule for ties."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from skimage.measure import block_reduce

from zoo.nn import avg_pool, global_avg_pool, max_pool

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_pooling_of_blocks_is_scikit_images():
    x = normal(6, 8)
    for ours, numpys in ((max_pool, np.max), (avg_pool, np.mean)):
        np.testing.assert_allclose(
            ours(x[None, :, :, None], (2, 4))[0, :, :, 0], block_reduce(x, (2, 4), numpys), atol=1e-6
        )


CASES = {  # name -> (shape, window, strides, padding)
    "2x2": ((2, 6, 8, 3), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "odd size": ((2, 7, 9, 3), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "3x3/2, padded": ((2, 8, 7, 3), (3, 3), (2, 2), ((1, 1), (1, 1))),
    "3x3/1, lopsided": ((2, 5, 6, 3), (3, 3), (1, 1), ((0, 1), (1, 0))),
    "gaps": ((2, 9, 9, 3), (2, 1), (3, 2), ((0, 0), (0, 0))),
    "sound": ((2, 9, 3), (3,), (2,), ((1, 1),)),
    "video": ((1, 4, 6, 5, 2), (2, 3, 2), (2, 2, 1), ((0, 0), (1, 1), (0, 1))),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_reduce_windows_ties_included(case):
    shape, window, strides, padding = CASES[case]
    x = RNG.integers(-2, 3, shape).astype(np.float32)  # five values: most windows have ties

    def everything(function):
        out, pullback = jax.vjp(function, x)
        direction = jnp.arange(1.0, out.size + 1).reshape(out.shape)
        return out, pullback(direction)[0]

    @jax.jit
    def both():
        ours = [
            everything(lambda x: max_pool(x, window, strides, padding)),
            everything(lambda x: avg_pool(x, window, strides, padding)),
            everything(lambda x: avg_pool(x, window, strides, padding, count_include_pad=False)),
        ]
        theirs = [
            everything(lambda x: nn.max_pool(x, window, strides, padding)),
            everything(lambda x: nn.avg_pool(x, window, strides, padding)),
            everything(lambda x: nn.avg_pool(x, window, strides, padding, count_include_pad=False)),
        ]
        return ours, theirs

    ours, theirs = both()
    for a, b in zip(jax.tree.leaves(ours[0]), jax.tree.leaves(theirs[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(jax.tree.leaves(ours[1:]), jax.tree.leaves(theirs[1:]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_forward_mode_follows_the_same_maximum_as_reverse_mode():
    x = RNG.integers(-2, 3, (2, 7, 7, 3)).astype(np.float32)
    along, direction = normal(*x.shape), normal(2, 3, 3, 3)

    @jax.jit
    def both_modes(x):
        functions = [functools.partial(pool, window=3, strides=2) for pool in (max_pool, avg_pool)]
        forward = [jnp.vdot(jax.jvp(function, (x,), (along,))[1], direction) for function in functions]
        return forward, [jnp.vdot(along, jax.vjp(function, x)[1](direction)[0]) for function in functions]

    forward, reverse = both_modes(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-4)


def test_the_gradient_of_the_lectures_tie_goes_to_the_first_seven():
    # L35, L36 and E21: the lower right window of the slide is [7, 7; 3, 6].
    grid = jnp.array([[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6.0]])
    gradient = jax.jit(jax.grad(lambda grid: max_pool(grid[None, :, :, None], 2).sum()))(grid)
    np.testing.assert_array_equal(gradient, [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]])
    diagonal = jnp.array([[0, 5.0], [5, 0]])  # reading order: the first row first
    gradient = jax.jit(jax.grad(lambda x: max_pool(x[None, :, :, None], 2).sum()))(diagonal)
    np.testing.assert_array_equal(gradient, [[0, 1], [0, 0]])


def test_a_nan_comes_through_and_padding_never_wins():
    x = np.full((1, 3, 3, 1), -5.0, np.float32)
    np.testing.assert_array_equal(max_pool(x, 3, 2, 1), np.full((1, 2, 2, 1), -5.0))
    x[0, 1, 1, 0] = np.nan
    assert jnp.isnan(max_pool(x, 3, 2, 1)).all()
    x[0, 0, 0, 0] = 7
    assert jnp.isnan(max_pool(x, 3)).all()


def test_derivatives_of_second_order_are_reduce_windows():
    x, along = normal(2, 5, 5, 2), normal(2, 5, 5, 2)
    pads = [(1, 1)] * 2

    @jax.jit
    def both():
        def second(function):
            gradient = jax.grad(lambda x: jnp.sin(function(x)).sum())
            return jax.jvp(gradient, (x,), (along,))[1], jax.grad(lambda x: jnp.vdot(gradient(x), along))(x)

        ours = [second(lambda x, pool=pool: pool(x, 3, 2, 1)) for pool in (max_pool, avg_pool)]
        theirs = [second(lambda x, pool=pool: pool(x, (3, 3), (2, 2), pads)) for pool in (nn.max_pool, nn.avg_pool)]
        return ours, theirs

    for a, b in zip(*map(jax.tree.leaves, both()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def lowered(function, platform):
    traced = jax.jit(function).trace(jnp.zeros((2, 8, 8, 3)))
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(
    ("pool", "windows"), [(max_pool, {"cuda": 0, "tpu": 1, "cpu": 0}), (avg_pool, {"cuda": 1, "tpu": 1, "cpu": 0})]
)
def test_accelerators_keep_one_reduce_window_where_its_gradient_adds_in_one_order(pool, windows):
    for platform, expected in windows.items():
        assert lowered(lambda x: pool(x, 3, 2, 1), platform).count("stablehlo.reduce_window") == expected, platform


def test_no_gradient_is_scattered_on_a_gpu():
    def gradient(x):
        return jax.grad(lambda x: max_pool(x, 3, 2, 1).sum())(x)

    assert "select_and_scatter" in lowered(gradient, "tpu")
    assert "scatter" not in lowered(gradient, "cuda")


def test_pooling_is_exported_for_batches_of_any_size_and_mapped_over_axes():
    def function(x):
        return global_avg_pool(avg_pool(max_pool(x, 2), 2))

    (batch,) = export.symbolic_shape("batch")
    exported = export.export(jax.jit(function))(jax.ShapeDtypeStruct((batch, 8, 8, 3), jnp.float32))
    x = normal(5, 8, 8, 3)
    expected = block_reduce(block_reduce(x, (1, 2, 2, 1), np.max), (1, 4, 4, 1), np.mean)[:, 0, 0]
    np.testing.assert_allclose(exported.call(x), expected, rtol=1e-5, atol=1e-6)
    mapped = jax.jit(jax.vmap(lambda x: function(x[None])[0]))(x)
    np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-6)


def test_global_mean_is_numpys():
    x = normal(2, 3, 4, 5)
    np.testing.assert_allclose(global_avg_pool(x), x.mean((1, 2)), atol=1e-6)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="max_pool: a window of"):
        max_pool(jnp.zeros((1, 2, 2, 1)), 3)
    with pytest.raises(ValueError, match="avg_pool expected"):
        avg_pool(jnp.zeros((4, 4)), 2)
