"""The networks of Cohen and Welling: sizes, and what happens to maps and logits when an image turns."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.test_conformance import variables_of
from zoo.geometric import P4, P4M, group_named, move_maps, move_plane


def parameters(name, **options):
    model, shape = zoo.create(name, **options), zoo.describe(name).input_shape
    found = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))["params"]
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(found))


def expected_parameters(elements_in, elements_head, width):
    """Six windows of 3 x 3, the first of one channel, scale and shift of each; the last of 4 x 4, and ten biases."""
    first, inner = 9 * width, 5 * 9 * elements_in * width**2
    return first + inner + 6 * 2 * width + 16 * elements_head * width * 10 + 10


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("z2cnn", expected_parameters(1, 1, 20)),
        ("p4cnn_pooled", expected_parameters(1, 1, 20)),
        ("p4cnn", expected_parameters(4, 4, 10)),
        ("p4mcnn", expected_parameters(8, 8, 7)),
    ],
)
def test_parameters_are_the_papers_sizes(name, count):
    assert parameters(name) == count
    assert abs(count / 24_000 - 1) < 0.15  # nearly the same for all


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        pytest.param("z2_resnet44", 2.64, marks=pytest.mark.slow),  # the same layers as below, and more of them
        pytest.param("p4m_resnet44", 2.62, marks=pytest.mark.slow),
        ("z2_resnet26", 7.24),
        ("p4m_resnet26", 7.17),
    ],
)
def test_residual_networks_have_the_papers_sizes(name, millions):
    """But for biases of convolutions before a normalisation, which would do nothing."""
    assert abs(parameters(name) / 1e6 - millions) < 0.01


def test_an_mnist_image_ends_in_one_place():
    model, image = zoo.create("p4cnn"), jnp.zeros((1, 28, 28, 1))
    named, _ = jax.eval_shape(lambda image: model.init_with_output(jax.random.key(0), image, features=True), image)
    sides = [named[f"stage{number}"].shape[1] for number in range(1, 7)]
    assert sides == [26, 12, 10, 8, 6, 4]
    assert named["stage6"].shape == (1, 4, 4, 4 * 10)


@functools.cache
def features_of(name):
    model, variables = zoo.create(name), variables_of(name)
    return jax.jit(lambda images: model.apply(variables, images, features=True))


def images_for(name):
    return np.random.default_rng(0).random((3, *zoo.describe(name).input_shape), np.float32)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("p4mcnn_tiny", P4M),
        ("p4m_resnet_tiny", P4M),
        ("p4cnn", P4),
        pytest.param("p4mcnn", P4M, marks=pytest.mark.slow),
    ],
)  # the last is as large as the one before, with twice the elements
def test_maps_move_with_the_image_and_logits_stay(name, group):
    images, program = images_for(name), features_of(name)
    named = program(images)

    def as_maps(folded):
        return folded.reshape(*folded.shape[:3], len(group), -1)

    for element in group.elements[1:]:
        found = program(np.asarray(move_plane(images, element)))
        for stage, maps in named.items():
            expected = move_maps(as_maps(maps), element, group) if maps.ndim == 4 else maps
            ours = as_maps(found[stage]) if maps.ndim == 4 else found[stage]
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_training_sees_no_difference_between_images_and_moved_ones():
    """The batch's own statistics, those that are kept, and the gradients are the same."""
    model, variables, images = zoo.create("p4mcnn_tiny"), variables_of("p4mcnn_tiny"), images_for("p4mcnn_tiny")

    @jax.jit
    def step(images):
        def loss(params):
            found = {**variables, "params": params}
            logits, state = model.apply(found, images, train=True, mutable=["batch_stats"])
            return jnp.square(logits).mean(), state

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    expected = step(images)
    for element in P4M.elements[1::2]:
        found = step(np.asarray(move_plane(images, element)))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), found, expected)


def test_a_plain_network_and_a_mirrored_image_on_p4_are_not_invariant():
    images = np.random.default_rng(0).standard_normal((3, 12, 12, 1), np.float32)
    options = {"depth": 2, "head_side": 2, "pool_after": 1, "width": 6}
    for group, element in (("z2", P4.elements[1]), ("p4", P4M.elements[4])):
        model = zoo.create("p4mcnn_tiny", **options, group=group)
        variables = jax.jit(model.init)(jax.random.key(0), images)
        program = jax.jit(functools.partial(model.apply, variables))
        assert np.abs(program(images) - program(np.asarray(move_plane(images, element)))).max() > 1e-2


def test_with_elements_pooled_features_are_images_that_turn():
    model = zoo.create("p4mcnn_tiny", pool_elements=True)
    images = np.random.default_rng(0).standard_normal((2, 12, 12, 1), np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), images)
    program = jax.jit(functools.partial(model.apply, variables, features=True))
    named = program(images)
    assert named["stage2"].shape == (2, 3, 3, 2)
    for element in group_named("p4m").elements[1::3]:
        found = program(np.asarray(move_plane(images, element)))
        np.testing.assert_allclose(found["stage2"], move_plane(named["stage2"], element), rtol=0, atol=1e-5)
        np.testing.assert_allclose(found["logits"], named["logits"], rtol=0, atol=1e-5)


def test_sizes_that_do_not_turn_and_options_that_do_not_fit_are_refused():
    def made(side, **options):
        model = zoo.create("p4cnn", **options)
        return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 1)))

    with pytest.raises(ValueError, match="at least 28 x 28 pixels"):
        made(27)
    with pytest.raises(ValueError, match="a window of 2 in steps of 2 leaves out 1 of 25 pixels"):
        made(29)
    with pytest.raises(ValueError, match="pooling after layer 1 to 6, got 7"):
        made(28, pool_after=7)
    made(30)
    for side, depth, message in ((10, 8, "leaves out 1 of 5 pixels"), (8, 9, r"a depth of 6n \+ 2, got 9")):
        model = zoo.create("p4m_resnet_tiny", depth=depth)
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
