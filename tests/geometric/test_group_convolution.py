"""Group convolutions are the sums that define them, and move with what they see."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.geometric.test_groups import matrix
from zoo.geometric import (
    P4,
    P4M,
    Z2,
    GroupConv,
    LiftingConv,
    group_convolution,
    lifting_convolution,
    mean_elements,
    move_maps,
    move_plane,
    pool_elements,
    pool_places,
)
from zoo.nn import BatchNorm

SIDE, WINDOW = 7, 3
of_groups = pytest.mark.parametrize("group", [P4, P4M], ids=lambda group: group.name)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def by_definition(maps, kernel, elements):
    """sum over y and h of F(y, h) psi(g^-1 (y - x), g^-1 h), x and y two places of the plane; h of `elements`."""
    _, height, width, _, _ = maps.shape
    reach = WINDOW // 2
    found = np.zeros((len(maps), height - 2 * reach, width - 2 * reach, len(elements), kernel.shape[-1]))
    matrices = [matrix(element) for element in elements]
    places = {each.tobytes(): place for place, each in enumerate(matrices)}
    for g, forth in enumerate(matrices):
        back = np.rint(np.linalg.inv(forth)).astype(int)
        for row, column in itertools.product(range(height - 2 * reach), range(width - 2 * reach)):
            for down, right in itertools.product(range(-reach, reach + 1), repeat=2):
                x, y = back @ (right, -down)
                seen = maps[:, row + reach + down, column + reach + right]
                for h in range(maps.shape[3]):
                    at = places[(back @ matrices[h]).tobytes()] if maps.shape[3] > 1 else 0
                    found[:, row, column, g] += seen[:, h] @ kernel[reach - y, reach + x, at]
    return found


@of_groups
def test_lifting_is_its_definition(group):
    images, kernel = drawn(2, SIDE, 6, 2), drawn(WINDOW, WINDOW, 2, 3, seed=1)
    expected = by_definition(images[:, :, :, None], kernel[:, :, None], group.elements)
    np.testing.assert_allclose(lifting_convolution(images, kernel, group), expected, rtol=0, atol=1e-4)


@of_groups
def test_group_convolution_is_its_definition(group):
    maps, kernel = drawn(1, SIDE, 6, len(group), 2), drawn(WINDOW, WINDOW, len(group), 2, 3, seed=1)
    expected = by_definition(maps, kernel, group.elements)
    np.testing.assert_allclose(group_convolution(maps, kernel, group), expected, rtol=0, atol=1e-4)


def test_on_z2_both_are_ordinary_convolutions():
    images, kernel = drawn(2, SIDE, SIDE, 2), drawn(WINDOW, WINDOW, 2, 3, seed=1)
    plain = jax.lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(lifting_convolution(images, kernel, Z2)[:, :, :, 0], plain, rtol=0, atol=1e-5)
    found = group_convolution(images[:, :, :, None], kernel[:, :, None], Z2)[:, :, :, 0]
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-5)


@functools.cache
def moving(strides, padding, side):
    """One program of each layer, for all elements: of images, and of maps."""
    kernel, again = drawn(side, side, 2, 3, seed=1), drawn(side, side, 8, 3, 2, seed=2)

    @jax.jit
    def program(images):
        maps = lifting_convolution(images, kernel, P4M, strides, padding)
        deep = group_convolution(maps, again, P4M, 1, side // 2)
        return maps, deep, pool_elements(deep), mean_elements(deep)

    return program


@pytest.mark.parametrize(("strides", "padding", "side", "size"), [(1, 0, 3, 7), (2, 1, 3, 9), (2, 0, 4, 8)])
def test_maps_of_moved_images_are_moved_maps(strides, padding, side, size):
    program, images = moving(strides, padding, side), drawn(2, size, size, 2)
    maps, deep, largest, mean = program(images)
    for element in P4M.elements:
        found = program(np.asarray(move_plane(images, element)))
        expected = (
            move_maps(maps, element, P4M),
            move_maps(deep, element, P4M),
            move_plane(largest, element),
            move_plane(mean, element),
        )
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
    assert np.abs(maps - move_maps(maps, P4M.elements[1], P4M)).max() > 0.1  # and are not the same maps


def test_pooled_places_of_moved_maps_are_moved():
    maps = drawn(2, 6, 6, 8, 3)
    for element in P4M.elements:
        found = pool_places(move_maps(maps, element, P4M), 2)
        np.testing.assert_array_equal(found, move_maps(pool_places(maps, 2), element, P4M))
    assert pool_places(maps, 2)[1, 2, 0, 7, 1] == maps[1, 4:6, 0:2, 7, 1].max()


def test_normalisation_shares_statistics_over_elements_and_moves_with_maps():
    maps, norm = 3 * drawn(4, 5, 5, 8, 2) + np.arange(8, dtype=np.float32)[:, None], BatchNorm()
    variables = norm.init(jax.random.key(0), maps, True)

    def normalised(maps):
        return norm.apply(variables, maps, False, mutable=["batch_stats"])

    found, state = normalised(maps)
    axes = (0, 1, 2, 3)
    np.testing.assert_allclose(found, (maps - maps.mean(axes)) / np.sqrt(maps.var(axes) + 1e-5), atol=1e-5)
    element = P4M.elements[5]
    moved, again = normalised(move_maps(maps, element, P4M))
    np.testing.assert_allclose(moved, move_maps(found, element, P4M), atol=1e-5)
    np.testing.assert_allclose(again["batch_stats"]["mean"], state["batch_stats"]["mean"], rtol=1e-6)


def test_derivatives_of_both_orders_are_those_of_differences():
    with jax.enable_x64(True):
        images, kernel, again = (
            0.3 * np.random.default_rng(seed).standard_normal(shape)
            for seed, shape in enumerate([(1, 5, 5, 1), (3, 3, 1, 2), (3, 3, 8, 2, 1)])
        )

        def value(images, kernel, again):
            return jnp.sin(group_convolution(lifting_convolution(images, kernel, P4M), again, P4M)).sum()

        check_grads(jax.jit(value), (images, kernel, again), order=2, modes=("fwd", "rev"), atol=1e-5, rtol=1e-5)


def test_no_gradient_of_a_filter_is_a_scatter():
    """Which an accelerator would add up one by one to give the same bits each time."""
    maps, kernel = drawn(1, 5, 5, 8, 2), drawn(3, 3, 8, 2, 3)
    program = jax.make_jaxpr(jax.grad(lambda kernel: group_convolution(maps, kernel, P4M).sum()))(kernel)
    assert "scatter" not in str(program)


def test_layers_have_one_bias_a_feature_and_the_parameters_of_their_definition():
    images, maps = jnp.zeros((1, 5, 5, 3)), jnp.zeros((1, 5, 5, 4, 3))
    for layer, x, kernel in ((LiftingConv(6, P4), images, (3, 3, 3, 6)), (GroupConv(6, P4), maps, (3, 3, 4, 3, 6))):
        params = jax.eval_shape(layer.init, jax.random.key(0), x)["params"]
        assert {name: leaf.shape for name, leaf in params.items()} == {"kernel": kernel, "bias": (6,)}
        with pytest.raises(ValueError, match=r"expected 3 channels, got (images|maps) of shape"):
            jax.eval_shape(layer.apply, {"params": params}, x[..., :2])


def test_windows_that_would_see_a_turned_map_elsewhere_are_refused():
    images, kernel, maps = jnp.zeros((1, 8, 8, 1)), jnp.zeros((3, 3, 1, 1)), jnp.zeros((1, 7, 7, 4, 1))
    with pytest.raises(ValueError, match="a window of 3 in steps of 2 leaves out 1 of 8 pixels"):
        lifting_convolution(images, kernel, P4, strides=2)
    with pytest.raises(ValueError, match="leaves out 1 of 10 pixels"):
        lifting_convolution(images, kernel, P4, strides=2, padding=1)
    with pytest.raises(ValueError, match="a window of 2 in steps of 2 leaves out 1 of 7"):
        pool_places(maps, 2)
    with pytest.raises(ValueError, match="a square window"):
        lifting_convolution(images, kernel[:2], P4)
    with pytest.raises(ValueError, match=r"filters \(side, side, 4, 1, features\), got shape"):
        group_convolution(maps, jnp.zeros((3, 3, 4, 2, 1)), P4)
    with pytest.raises(ValueError, match="maps on p4m"):
        group_convolution(maps, jnp.zeros((3, 3, 8, 1, 1)), P4M)
    with pytest.raises(ValueError, match=r"filters \(side, side, channels, features\)"):
        lifting_convolution(images, kernel[0], P4)
    for pool in (pool_elements, mean_elements):
        with pytest.raises(ValueError, match=r"maps \(batch, height, width, elements, channels\)"):
            pool(images)


def test_windows_and_steps_of_no_pixel_are_refused():
    maps = jnp.ones((1, 4, 4, 4, 2))
    for window, strides in ((0, None), (2, 0), (-1, None)):
        with pytest.raises(ValueError, match="expected a window and steps of one pixel or more"):
            pool_places(maps, window, strides)
    with pytest.raises(ValueError, match="steps of one pixel or more, got 3 and 0"):
        lifting_convolution(maps[..., 0], jnp.ones((3, 3, 4, 1)), P4, strides=0)
