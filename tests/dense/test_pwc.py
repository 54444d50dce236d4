"""PWC-Net: counted by the authors' list of layers, of any size, and still before it has learned."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.dense import PWCNet
from zoo.dense.pwc import standardised

TINY = {
    "residual": True,
    "widths": (4, 6, 8),
    "finest": 1,
    "radius": 2,
    "estimator": (6, 5),
    "context": (6, 4),
    "dilations": (1, 2),
}
PARAMETERS = 4_080_004
"""The paper's Table 7 has 4.08 million for PWC-Net-small."""
IMAGES = np.random.default_rng(0).normal(size=(2, 1, 19, 26, 3)).astype(np.float32)


def conv(inputs, outputs, side=3):
    return (side**2 * inputs + 1) * outputs


def test_layers_are_those_of_the_authors_without_dense_connections():
    pyramid = [(3, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    pyramid += [(64, 96), (96, 96), (96, 128), (128, 128), (128, 196), (196, 196)]
    compared = [81, 81 + 128 + 4, 81 + 96 + 4, 81 + 64 + 4, 81 + 32 + 4]  # channels that levels 6 to 2 begin with
    estimators = [(128, 128), (128, 96), (96, 64), (64, 32), (32, 2)] * 5 + [(channels, 128) for channels in compared]
    context = [(32, 128), (128, 128), (128, 128), (128, 96), (96, 64), (64, 32), (32, 2)]
    larger = [(2, 2), (32, 2)] * 4
    expected = sum(conv(*each) for each in pyramid + estimators + context) + sum(conv(*each, 4) for each in larger)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")
    shapes = jax.eval_shape(PWCNet().init, jax.random.key(0), image, image)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == expected == PARAMETERS
    assert PWCNet().strides == (64, 32, 16, 8, 4)


@pytest.fixture(scope="module")
def model():
    """A thin one with weights that are not zero, applied to images that no stride divides."""
    model = PWCNet(**TINY)
    variables = jax.jit(model.init)(jax.random.key(0), *IMAGES)
    random = np.random.default_rng(1)
    moved = jax.tree.map(lambda leaf: leaf + 0.05 * random.normal(size=leaf.shape).astype(np.float32), variables)
    return model, variables, moved


def test_flow_is_of_the_images_size_and_zero_before_training(model):
    network, variables, moved = model
    still, flow = (jax.jit(network.apply)(each, *IMAGES) for each in (variables, moved))
    assert still.shape == flow.shape == (1, 19, 26, 2)
    assert not np.any(still)
    assert np.std(flow) > 0.01
    flows = jax.eval_shape(lambda variables: network.apply(variables, *IMAGES, train=True), variables)
    assert [each.shape for each in flows] == [(1, 3, 4, 2), (1, 5, 7, 2), (1, 10, 13, 2)]


def test_weights_that_are_learned_enlarge_the_last_flow_by_raft_s_rule(model):
    network, _, moved = model
    enlarging = PWCNet(**TINY, convex=4)
    shapes = jax.eval_shape(enlarging.init, jax.random.key(0), *IMAGES)["params"]
    random = np.random.default_rng(2)
    params = {
        name: moved["params"].get(name, jax.tree.map(lambda leaf: random.normal(size=leaf.shape), shapes[name]))
        for name in shapes
    }
    assert sorted(set(shapes) - set(moved["params"])) == ["enlarge1", "enlarge2"]
    *levels, fine = jax.jit(functools.partial(enlarging.apply, train=True))({"params": params}, *IMAGES)
    known = jax.jit(functools.partial(network.apply, train=True))(moved, *IMAGES)
    for ours, theirs in zip(levels, known, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert fine.shape == (1, 19, 26, 2)
    coarse = np.asarray(known[-1])
    for row, column in ((4, 6), (9, 13), (12, 17)):  # each is a mean of the places around its own
        near = coarse[0, row // 2 - 1 : row // 2 + 2, column // 2 - 1 : column // 2 + 2].reshape(9, 2)
        assert np.all(near.min(0) - 1e-6 <= fine[0, row, column])
        assert np.all(fine[0, row, column] <= near.max(0) + 1e-6)
    assert np.std(fine[0, 8:10, 12:14], axis=(0, 1)).min() > 1e-3  # of one place, but not the same


def test_images_of_one_pixel_and_wide_ones_have_a_flow(model):
    network, variables, _ = model
    for size in ((1, 1, 1, 3), (1, 2, 70, 3)):
        flow = jax.eval_shape(network.apply, variables, *[jnp.zeros(size)] * 2)
        assert flow.shape == (*size[:3], 2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected a finest level of 1 to 3"):
        PWCNet(**{**TINY, "finest": 4}).init(jax.random.key(0), *IMAGES)
    with pytest.raises(ValueError, match="two batches of images of one shape"):
        zoo.create("pwc_tiny").init(jax.random.key(0), IMAGES[0], IMAGES[1][:, :-1])


def test_standardised_features_are_those_of_numpy_for_each_pair_alone():
    ours, theirs = np.random.default_rng(0).normal(3.0, [[[[1.0]]], [[[20.0]]]], (2, 2, 5, 4, 3)).astype(np.float32)
    found = np.stack(standardised(ours, theirs))
    for pair in range(2):
        both = np.stack([ours[pair], theirs[pair]])
        np.testing.assert_allclose(found[:, pair], (both - both.mean()) / both.std(), rtol=1e-4, atol=1e-5)


def test_standardised_features_that_are_alike_everywhere_are_zero_and_have_gradients():
    same = jnp.full((1, 4, 4, 2), 7.0)
    for each in standardised(same, same):
        np.testing.assert_array_equal(each, 0)
    assert np.isfinite(jax.grad(lambda x: standardised(x, same)[0].sum())(same)).all()
