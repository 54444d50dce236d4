"""Heads: spaces are the losses they are made of, and heads with parameters have unit directions and true means."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from zoo.hyperspheres import (
    ClassSpace,
    JointSpace,
    LearnedDirections,
    MovingPrototypes,
    ValueSpace,
    classification_loss,
    regression_loss,
    separate,
)

RANDOM = np.random.default_rng(0)
PROTOTYPES = separate(jax.random.key(0), 5, 3)
OUTPUTS = RANDOM.standard_normal((8, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 0, 1, 2])
VALUES = RANDOM.uniform(-3, 5, 8).astype(np.float32)


def test_one_space_holds_classes_and_values_whose_axes_are_orthogonal():
    space = JointSpace(PROTOTYPES, -3.0, 5.0)
    assert space.dims == space.values.dims == 4
    np.testing.assert_allclose(space.embedded @ space.values.pole, 0)
    of_classes = classification_loss(OUTPUTS[:, 1:], PROTOTYPES, LABELS)
    of_values = regression_loss(OUTPUTS, jnp.eye(1, 4)[0], VALUES, -3, 5)
    np.testing.assert_allclose(space.losses(OUTPUTS, LABELS, VALUES), (of_classes + of_values) / 2, rtol=1e-6)
    # An output that has both right: its part along the first axis says the value, the rest points to the class.
    cosine = (VALUES - 1) / 4
    right = np.concatenate([cosine[:, None], np.sqrt(1 - cosine**2)[:, None] * np.asarray(PROTOTYPES)[LABELS]], axis=1)
    np.testing.assert_allclose(space.losses(3 * right, LABELS, VALUES), 0, atol=1e-10)
    labels, values = space.predict(3 * right)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_allclose(values, VALUES, rtol=1e-5, atol=1e-5)


def test_a_space_goes_through_jit():
    space = ClassSpace(PROTOTYPES)
    losses = jax.jit(lambda space, outputs: space.losses(outputs, LABELS))(space, OUTPUTS[:, 1:])
    np.testing.assert_allclose(losses, space.losses(OUTPUTS[:, 1:], LABELS), rtol=1e-6)
    value = jax.jit(lambda space, outputs: space.value(outputs))(ValueSpace(4, -3.0, 5.0), OUTPUTS)
    np.testing.assert_allclose(value, 1 + 4 * OUTPUTS[:, 0] / np.linalg.norm(OUTPUTS, axis=1), rtol=1e-5)


def test_a_sphere_has_two_dimensions_at_least():
    with pytest.raises(ValueError, match="at least 2, got 1"):
        ValueSpace(1, 0.0, 1.0)


class Backbone(nn.Module):
    """The images themselves."""

    @nn.compact
    def __call__(self, images, train=False):
        return images.reshape(len(images), -1)


def test_learned_directions_count_by_their_angle_alone():
    model = LearnedDirections(Backbone(), 5)
    variables = model.init(jax.random.key(0), OUTPUTS)
    found = model.apply(variables, OUTPUTS)
    directions = variables["params"]["directions"]
    expected = OUTPUTS @ directions.T / np.linalg.norm(OUTPUTS, axis=1)[:, None] / np.linalg.norm(directions, axis=1)
    np.testing.assert_allclose(found["cosines"], expected, atol=1e-6)
    np.testing.assert_array_equal(found["embedding"], OUTPUTS)
    longer = {"params": {"directions": 7 * directions}}
    np.testing.assert_allclose(model.apply(longer, OUTPUTS)["cosines"], expected, atol=1e-6)


def test_moving_prototypes_are_means_from_the_first_batch_on():
    model = MovingPrototypes(Backbone(), 6)
    variables = model.init(jax.random.key(0), OUTPUTS, LABELS)
    assert not model.apply(variables, OUTPUTS)["present"].any()
    _, once = model.apply(variables, OUTPUTS, LABELS, train=True, mutable=["batch_stats"])
    found = model.apply(once, OUTPUTS)
    np.testing.assert_array_equal(found["present"], [True] * 5 + [False])
    np.testing.assert_allclose(found["means"][:5], NearestCentroid().fit(OUTPUTS, LABELS).centroids_, rtol=1e-5)
    _, twice = model.apply(once, OUTPUTS + 1, LABELS, train=True, mutable=["batch_stats"])
    older = 0.9 / 1.9  # the weights of a batch fall by a tenth with each one after it
    expected = older * found["means"][:5] + (1 - older) * (found["means"][:5] + 1)
    np.testing.assert_allclose(model.apply(twice, OUTPUTS)["means"][:5], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="need the labels"):
        model.apply(variables, OUTPUTS, train=True, mutable=["batch_stats"])
