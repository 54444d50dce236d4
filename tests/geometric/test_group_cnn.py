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


def test_an_mnist_image_ends_in_one_place():
    model, image = zoo.create("p4cnn"), jnp.zeros((1, 28, 28, 1))
    named, _ = jax.eval_shape(lambda image: model.init_with_output(jax.random.key(0), image, features=True), image)
    sides = [named[f"stage{number}"].shape[1] for number in range(1, 7)]
    assert sides == [26, 12, 10, 8, 6, 4]
    assert named["stage6"].shape == (1, 4, 4, 4 * 10)


@functools.cache
def features_of(name):
    model, variables = zoo.create(name), variables_of(name)
    program = jax.jit(
        lambda images: model.apply(variables, images, True, features=True, mutable=["batch_stats"])
    )  # by the batch's own statistics, which are those of a turned batch too
    return lambda images: jax.tree.map(np.asarray, program(images))


@pytest.mark.parametrize(
    ("name", "group"), [("p4mcnn_tiny", P4M), ("p4cnn", P4), pytest.param("p4mcnn", P4M, marks=pytest.mark.slow)]
)  # the last is as large as the second, with twice the elements
def test_maps_move_with_the_image_and_logits_stay(name, group):
    side = zoo.describe(name).input_shape[0]
    images, program = np.random.default_rng(0).random((3, side, side, 1), np.float32), features_of(name)
    named, state = program(images)

    def as_maps(folded):
        return folded.reshape(*folded.shape[:3], len(group), -1)

    for element in group.elements[1:]:
        found, again = program(np.asarray(move_plane(images, element)))
        for stage in named.keys() - {"logits"}:
            expected = move_maps(as_maps(named[stage]), element, group)
            np.testing.assert_allclose(as_maps(found[stage]), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        np.testing.assert_allclose(found["logits"], named["logits"], rtol=0, atol=1e-5 * np.abs(named["logits"]).max())
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), again, state)


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
