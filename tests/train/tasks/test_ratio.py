"""The loss as two sums: it is jnp.mean's, bit by bit, of a whole batch, and exact however a ragged one is divided."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.tasks.class_means.task import ClassMeans
from train.tasks.classification.task import Classification
from train.tasks.fitting import as_rows
from train.tasks.joint.task import Joint
from train.tasks.margins.task import AngularMargin
from train.tasks.protocol import Ratio
from train.tasks.regression.task import Regression
from train.tasks.scores import mean_over
from train.tasks.sphere.task import SphereClassification, SphereJoint, SphereRegression

random = np.random.default_rng(0)
COUNT, NAMES = 32, tuple("abcde")
AXES = as_rows(np.eye(5, 6))
BATCH = {
    "label": random.integers(0, 5, COUNT).astype(np.int32),
    "target": random.uniform(-1, 1, COUNT).astype(np.float32),
    "mask": np.ones(COUNT, bool),
}
OUTPUTS = random.normal(size=(COUNT, 6)).astype(np.float32)
TASKS = [
    Classification(NAMES, 0.1),
    Regression(0.1, 0.9),
    Joint(NAMES, 0.1, 0.9),
    AngularMargin(NAMES, "arcface", 6),
    SphereClassification(NAMES, AXES),
    SphereRegression(-1.0, 1.0, 6),
    SphereJoint(NAMES, as_rows(np.eye(5)), -1.0, 1.0),
]


def outputs_of(task, outputs):
    if isinstance(task, AngularMargin):
        directions = outputs / jnp.linalg.norm(outputs, axis=1, keepdims=True)
        return {"cosines": directions[:, :5], "embedding": outputs}
    return outputs[:, :5] if isinstance(task, Classification) else outputs


def test_a_whole_batch_of_a_power_of_two_has_the_bits_of_jnps_mean_and_so_has_its_gradient():
    scale = random.uniform(size=(8, 5)).astype(np.float32)
    inputs = OUTPUTS[:, :1] @ random.normal(size=(1, 8)).astype(np.float32)

    def by_ratio(weights, batch):
        losses = jnp.square(jnp.tanh(inputs @ weights).sum(1) - batch["target"])
        return mean_over(losses, batch).value()

    def by_mean(weights, batch):
        return jnp.mean(jnp.square(jnp.tanh(inputs @ weights).sum(1) - batch["target"]))

    ours, theirs = (jax.jit(jax.value_and_grad(f))(scale, BATCH) for f in (by_ratio, by_mean))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_sums_over_ragged_parts_give_the_loss_and_the_gradient_of_the_whole(task):
    mask = random.uniform(size=COUNT) < 0.6
    mask[:8] = False  # a part without any example
    batch = {**BATCH, "mask": mask}

    @jax.jit
    def ratio(outputs, batch):
        found = task.objective(outputs_of(task, outputs), batch)
        return found.total, found.weight

    gradient = jax.jit(jax.value_and_grad(ratio, has_aux=True))
    (whole, weight), slope = gradient(OUTPUTS, batch)
    assert weight == mask.sum()
    found = [gradient(OUTPUTS, {**batch, "mask": mask & (np.arange(COUNT) // 8 == part)}) for part in range(4)]
    np.testing.assert_allclose(sum(total for (total, _), _ in found), whole, rtol=1e-5)
    assert [weight for (_, weight), _ in found] == mask.reshape(4, 8).sum(axis=1).tolist()
    np.testing.assert_allclose(sum(part for _, part in found), slope, rtol=1e-5, atol=1e-7)
    assert not np.asarray(slope)[~mask].any()


def test_of_no_example_the_loss_is_zero():
    assert Ratio(jnp.float32(0), jnp.float32(0)).value() == 0
    alone = {"label": np.arange(5, dtype=np.int32), "mask": np.ones(5, bool)}  # no class has another example
    task = ClassMeans(NAMES, 6)
    ratio = jax.jit(task.objective)({"embedding": OUTPUTS[:5]}, alone)
    assert (ratio.weight, ratio.value()) == (0, 0)
