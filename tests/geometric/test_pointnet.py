"""PointNet: the paper's sizes, its equations in numpy, and that neither order nor padding of the points counts."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.test_conformance import variables_of
from zoo.geometric import PointNet, of_the_set, orthogonality

COUNT = 20


def parameters(name):
    model, shape = zoo.create(name), zoo.describe(name).input_shape
    found = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))["params"]
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(found))


def test_parameters_are_the_papers():
    """3.5 and 0.8 million in Table 6; in full those of the authors' layers, with a scale and a shift each."""
    assert parameters("pointnet") == 3_480_049
    assert parameters("pointnet_vanilla") == 819_624


@functools.cache
def program(train=False):
    model, variables = zoo.create("pointnet_tiny"), variables_of("pointnet_tiny")
    off, mutable = model.copy(dropout=0.0), ["batch_stats"] if train else False
    return jax.jit(lambda points, valid: off.apply(variables, points, valid, train, mutable=mutable, features=True))


POINTS = np.random.default_rng(3).uniform(-1, 1, (3, COUNT, 2)).astype(np.float32)
VALID = np.arange(COUNT) < np.array([[COUNT], [7], [1]])


def test_the_forward_pass_is_the_papers_figure_point_by_point():
    variables = jax.tree.map(np.float64, variables_of("pointnet_tiny"))

    def layer(x, *path):
        params, stats = variables["params"], variables["batch_stats"]
        for name in path:
            params, stats = params[name], stats[name]
        x = x @ params["dense"]["kernel"] + params["dense"]["bias"]
        norm = (x - stats["norm"]["mean"]) / np.sqrt(stats["norm"]["var"] + 1e-5)
        return np.maximum(norm * params["norm"]["scale"] + params["norm"]["bias"], 0)

    def matrix(points, name):
        seen = [functools.reduce(lambda x, i: layer(x, name, f"points{i}"), (1, 2, 3), point) for point in points]
        x = layer(layer(np.max(seen, axis=0), name, "hidden1"), name, "hidden2")
        last = variables["params"][name]["matrix"]
        return (x @ last["kernel"] + last["bias"]).reshape(points.shape[1], -1)

    found = program()(POINTS, VALID)
    for i, points in enumerate(POINTS):
        x = points[VALID[i]].astype(np.float64)
        x = x @ matrix(x, "input_transform")
        x = layer(layer(x, "local1"), "local2")
        transform = matrix(x, "feature_transform")
        x = functools.reduce(lambda x, i: layer(x, f"global{i}"), (1, 2, 3), x @ transform).max(axis=0)
        np.testing.assert_allclose(found["transform"][i], transform, rtol=2e-3, atol=1e-4)
        np.testing.assert_allclose(found["global"][i], x, rtol=2e-3, atol=1e-3)
        head = variables["params"]["head"]
        logits = layer(layer(x, "hidden1"), "hidden2") @ head["kernel"] + head["bias"]
        np.testing.assert_allclose(found["logits"][i], logits, rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize("train", [False, True])
def test_order_and_padding_of_points_change_nothing(train):
    named = program(train)(POINTS, VALID)
    order = np.random.default_rng(4).permutation(COUNT)
    shuffled = program(train)(POINTS[:, order], VALID[:, order])
    other = program(train)(np.where(VALID[..., None], POINTS, 50.0), VALID)
    named, shuffled, other = (found[0] if train else found for found in (named, shuffled, other))
    for found in (shuffled, other):
        for name in ("global", "logits", "transform"):
            np.testing.assert_allclose(found[name], named[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(shuffled["points"], named["points"][:, order], rtol=1e-4, atol=1e-4)  # moves with them


def test_statistics_are_of_valid_points_alone():
    few = np.where(VALID[..., None], POINTS, 50.0)
    states = [program(True)(points, VALID)[1] for points in (POINTS, few)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *states)
    everything = program(True)(few, np.ones_like(VALID))[1]
    before = states[0]["batch_stats"]["local1"]["norm"]["mean"]
    assert np.abs(everything["batch_stats"]["local1"]["norm"]["mean"] - before).max() > 0.1


def test_a_set_without_points_is_zero_and_has_finite_gradients():
    points, none = jnp.ones((1, 3, 2)), jnp.zeros((1, 3), bool)
    assert of_the_set(points, none).tolist() == [[0.0, 0.0]]
    slopes = jax.grad(lambda points: of_the_set(points, none).sum())(points)
    assert not slopes.any()


@pytest.mark.parametrize("train", [False, True])
def test_padding_that_holds_no_numbers_changes_no_gradient(train):
    """Of the parameters, too: a layer's are products with what it is given."""
    model = zoo.create("pointnet_tiny", dropout=0.0, input_transform=False, feature_transform=False)
    variables, mutable = variables_of("pointnet_tiny"), ["batch_stats"] if train else False

    @jax.jit
    def slopes(points):
        def total(params, points):
            found = model.apply({**variables, "params": params}, points, VALID, train, mutable=mutable)
            return jnp.square(found[0] if train else found).mean()

        return jax.grad(total, argnums=(0, 1))(variables["params"], points)

    found, expected = slopes(np.where(VALID[..., None], POINTS, np.nan)), slopes(POINTS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), found, expected)
    assert np.abs(found[1]).max() > 0
    assert not np.any(found[1][~VALID])


def test_matrices_are_the_identity_before_training():
    model = PointNet(10, width=1 / 16)
    points = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), points)
    plain = model.copy(input_transform=False, feature_transform=False)
    found, without = jax.jit(lambda: (model.apply(variables, points, features=True), plain.apply(variables, points)))()
    np.testing.assert_array_equal(found["transform"], np.broadcast_to(np.eye(4), (2, 4, 4)))
    np.testing.assert_allclose(found["logits"], without, rtol=1e-5, atol=1e-6)


def test_orthogonality_is_zero_of_turns_and_equation_2_of_others():
    from scipy.spatial.transform import Rotation

    turns = Rotation.random(4, np.random.default_rng(0)).as_matrix().astype(np.float32)
    np.testing.assert_allclose(orthogonality(turns), 0, atol=1e-10)
    others = np.random.default_rng(1).standard_normal((3, 5, 5))
    expected = [np.linalg.norm(np.eye(5) - a @ a.T, "fro") ** 2 for a in others]
    np.testing.assert_allclose(orthogonality(others.astype(np.float32)), expected, rtol=1e-5)


def test_training_gives_the_matrix_beside_the_logits_and_evaluation_logits():
    model, points = zoo.create("pointnet_tiny", dtype=jnp.bfloat16), jnp.zeros((2, COUNT, 2))
    variables = jax.eval_shape(model.init, jax.random.key(0), points)
    key = {"dropout": jax.random.key(0)}
    outputs, _ = jax.eval_shape(
        lambda v: model.apply(v, points, train=True, rngs=key, mutable=["batch_stats"]), variables
    )
    assert {name: (leaf.shape, leaf.dtype) for name, leaf in outputs.items()} == {
        "logits": ((2, 10), jnp.float32),
        "transform": ((2, 4, 4), jnp.float32),
    }
    assert jax.eval_shape(model.apply, variables, points).shape == (2, 10)
    assert jax.eval_shape(model.copy(num_classes=0).apply, variables, points).shape == (2, 16)
    plain = zoo.create("pointnet_tiny", feature_transform=False)
    assert jax.eval_shape(plain.apply, variables, points).shape == (2, 10)


def test_gradients_are_those_of_differences():
    from jax.test_util import check_grads

    with jax.enable_x64(True):
        model = PointNet(3, width=1 / 16, dtype=jnp.float64)
        variables = jax.tree.map(np.float64, variables_of("pointnet_tiny"))
        head = {"kernel": variables["params"]["head"]["kernel"][:, :3], "bias": np.zeros(3)}
        params = {**variables["params"], "head": head}
        apply = jax.jit(lambda points: model.apply({**variables, "params": params}, points).sum())
        check_grads(apply, (0.3 * np.float64(POINTS[:1, :4]),), order=1, modes=("rev",), atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_refused():
    model, variables = zoo.create("pointnet_tiny"), variables_of("pointnet_tiny")

    def refused(kind, message, points, *valid):
        with pytest.raises(kind, match=message):
            jax.eval_shape(model.apply, variables, points, *valid)

    refused(ValueError, r"points \(batch, points, coordinates\), got shape \(5, 2\)", jnp.zeros((5, 2)))
    refused(TypeError, "floating-point coordinates, got int32", jnp.zeros((1, 5, 2), int))
    refused(ValueError, r"valid \(1, 5\) \(batch, points\), got", jnp.zeros((1, 5, 2)), jnp.ones((1, 4), bool))
    refused(TypeError, "valid of truth values, got float32", jnp.zeros((1, 5, 2)), jnp.ones((1, 5)))
