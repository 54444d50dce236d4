"""Tasks on the sphere and what they are compared with: losses by numpy, sums over masked batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error

import zoo
from train.tasks.class_means.task import ClassMeans
from train.tasks.fitting import as_rows
from train.tasks.joint.task import Joint
from train.tasks.margins.task import SCALE, AngularMargin
from train.tasks.max_separation.task import MaxSeparation
from train.tasks.regression.task import Regression
from train.tasks.sphere.task import SphereClassification, SphereJoint, SphereRegression
from zoo.hyperspheres import separate

random = np.random.default_rng(0)
COUNT, NAMES = 24, ("a", "b", "c", "d", "e")
PROTOTYPES = np.asarray(separate(jax.random.key(0), 5, 3))
OUTPUTS = random.normal(size=(COUNT, 4)).astype(np.float32)
LABELS = random.integers(0, 5, COUNT).astype(np.int32)
TARGETS = random.uniform(10, 30, COUNT).astype(np.float32)
ALL = np.ones(COUNT, bool)
BATCH = {"label": LABELS, "target": TARGETS, "mask": ALL}
CLASSES = SphereClassification(NAMES, as_rows(PROTOTYPES))
VALUES = SphereRegression(10.0, 30.0, 4, "years")
BOTH = SphereJoint(NAMES, as_rows(PROTOTYPES), 10.0, 30.0, "years")


@functools.cache
def compiled(task):
    """Loss, totals and predictions."""
    return jax.jit(lambda *arguments: task.objective(*arguments).value()), jax.jit(task.totals), jax.jit(task.decode)


def cosine_of(outputs, directions):
    return outputs @ directions.T / np.linalg.norm(outputs, axis=1, keepdims=True)


def class_losses(outputs, labels=LABELS):
    return (1 - cosine_of(outputs, PROTOTYPES)[np.arange(COUNT), labels]) ** 2


def value_losses(outputs):
    return ((TARGETS - 20) / 10 - outputs[:, 0] / np.linalg.norm(outputs, axis=1)) ** 2


def test_a_class_is_the_nearest_prototype_and_the_loss_the_slides_mean():
    loss, metrics, predict = compiled(CLASSES)
    outputs = OUTPUTS[:, 1:]
    np.testing.assert_allclose(loss(outputs, BATCH), class_losses(outputs).mean(), rtol=1e-5)
    summary = CLASSES.scores({name: float(v) for name, v in metrics(outputs, BATCH).items()})
    right = cosine_of(outputs, PROTOTYPES).argmax(1)
    np.testing.assert_allclose(summary["accuracy"], accuracy_score(LABELS, right), rtol=1e-6)
    predicted = predict(outputs)
    np.testing.assert_allclose(predicted["cosines"], cosine_of(outputs, PROTOTYPES), atol=1e-6)
    np.testing.assert_array_equal(predicted["embedding"], outputs)
    assert CLASSES.model_options() == {"num_classes": 3}


def test_a_value_is_the_cosine_with_the_first_axis():
    loss, metrics, predict = compiled(VALUES)
    np.testing.assert_allclose(loss(OUTPUTS, BATCH), value_losses(OUTPUTS).mean(), rtol=1e-5)
    value = 20 + 10 * OUTPUTS[:, 0] / np.linalg.norm(OUTPUTS, axis=1)
    np.testing.assert_allclose(predict(OUTPUTS)["value"], value, rtol=1e-5)
    summary = VALUES.scores({name: float(v) for name, v in metrics(OUTPUTS, BATCH).items()})
    np.testing.assert_allclose(summary["mae"], mean_absolute_error(TARGETS, value), rtol=1e-5)


def test_both_at_once_is_the_mean_of_both_losses_in_one_space():
    loss, metrics, predict = compiled(BOTH)
    expected = (class_losses(OUTPUTS[:, 1:]) + value_losses(OUTPUTS)) / 2
    np.testing.assert_allclose(loss(OUTPUTS, BATCH), expected.mean(), rtol=1e-5)
    sums = {name: float(v) for name, v in metrics(OUTPUTS, BATCH).items()}
    assert set(BOTH.scores(sums)) == {"loss", "accuracy", "mae"}
    np.testing.assert_allclose(sums["loss"], expected.sum(), rtol=1e-5)
    predicted = predict(OUTPUTS)
    np.testing.assert_allclose(predicted["cosines"], cosine_of(OUTPUTS[:, 1:], PROTOTYPES), atol=1e-6)
    np.testing.assert_array_equal(predicted["embedding"], OUTPUTS)
    np.testing.assert_allclose(BOTH.on_sphere() @ np.eye(4)[0], 0)  # orthogonal to the value's axis
    assert BOTH.model_options() == {"num_classes": 4}


def test_mixed_images_share_the_loss_between_two_labels():
    outputs, others = OUTPUTS[:, 1:], np.roll(LABELS, 1)
    mix = random.uniform(size=COUNT).astype(np.float32)
    loss = compiled(CLASSES)[0](outputs, {**BATCH, "label_b": others, "mix": mix})
    expected = mix * class_losses(outputs) + (1 - mix) * class_losses(outputs, others)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)


MARGINS = [AngularMargin(NAMES, margin, 3) for margin in ("cosface", "arcface", "sphereface")]
SEPARATED = MaxSeparation(NAMES, as_rows(separate(jax.random.key(0), 5, 4)))
MEANS = ClassMeans(NAMES, 3)
HEADS = {"cosines": cosine_of(OUTPUTS[:, 1:], PROTOTYPES).astype(np.float32), "embedding": OUTPUTS[:, 1:]}
MOVED = {"embedding": OUTPUTS[:, 1:], "means": PROTOTYPES, "present": np.ones(5, bool)}
EVERY = [
    (CLASSES, OUTPUTS[:, 1:]),
    (VALUES, OUTPUTS),
    (BOTH, OUTPUTS),
    (Joint(NAMES, 20.0, 5.0, "years"), np.pad(OUTPUTS, ((0, 0), (0, 2)))),
    (SEPARATED, OUTPUTS),
    *((task, HEADS) for task in MARGINS),
    (MEANS, MOVED),
]


def rows(tree, part):
    """Those of what is there for each example."""
    return jax.tree.map(lambda x: x[part] if len(x) == COUNT else x, tree)


@pytest.mark.parametrize(("task", "outputs"), EVERY, ids=lambda value: type(value).__name__)
def test_sums_leave_out_what_is_masked_and_are_what_the_metrics_say(task, outputs):
    mask = ALL.copy()
    mask[16:] = False
    sums = compiled(task)[1](outputs, {**BATCH, "mask": mask})
    first, rest = (compiled(task)[1](rows(outputs, part), rows(BATCH, part)) for part in (slice(8), slice(8, 16)))
    for name, value in sums.items():
        np.testing.assert_allclose(value, first[name] + rest[name], rtol=1e-5, err_msg=name)
    summary = task.scores({name: float(value) for name, value in sums.items()})
    assert {metric.name for metric in task.metrics} == set(summary)
    best = task.metrics[0]
    assert best.higher_is_better == (best.name == "accuracy")


@pytest.mark.parametrize("task", MARGINS, ids=lambda task: task.margin)
def test_margins_raise_the_loss_of_the_own_class_and_do_not_count_in_predictions(task):
    logits = (np.linalg.norm(OUTPUTS[:, 1:], axis=1, keepdims=True) if task.margin == "sphereface" else SCALE) * HEADS[
        "cosines"
    ]
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    plain = log_loss(LABELS, exponentials / exponentials.sum(1, keepdims=True), labels=range(5))
    assert compiled(task)[0](HEADS, BATCH) > plain
    np.testing.assert_array_equal(compiled(task)[2](HEADS)["cosines"], HEADS["cosines"])


@pytest.mark.parametrize("task", MARGINS, ids=lambda task: task.margin)
def test_the_loss_is_cross_entropy_of_the_named_margin(task):
    angles = np.arccos(HEADS["cosines"].astype(np.float64))
    own = np.eye(5, dtype=bool)[LABELS]
    lengths = np.linalg.norm(OUTPUTS[:, 1:], axis=1)[:, None]
    k = np.floor(2 * angles / np.pi)
    logits = {
        "cosface": SCALE * np.where(own, np.cos(angles) - 0.35, np.cos(angles)),
        "arcface": SCALE * np.where(own, np.cos(angles + 0.5), np.cos(angles)),
        "sphereface": lengths * np.where(own, (-1) ** k * np.cos(2 * angles) - 2 * k, np.cos(angles)),
    }[task.margin]
    usual = angles[own] <= np.pi - 0.5  # beyond, ArcFace goes on linearly
    losses = -scipy.special.log_softmax(logits, axis=1)[own]
    one_by_one = [
        float(compiled(task)[0](rows(HEADS, slice(i, i + 1)), rows(BATCH, slice(i, i + 1)))) for i in range(COUNT)
    ]
    assert usual.sum() > COUNT // 2
    np.testing.assert_allclose(np.array(one_by_one)[usual], losses[usual], rtol=1e-4, atol=1e-5)


def test_an_example_alone_in_its_class_is_left_out_of_an_episode():
    alone = {**BATCH, "label": np.array([4] + [0, 1] * 11 + [0], np.int32)}
    loss = compiled(MEANS)[0](MOVED, alone)
    without = compiled(MEANS)[0](rows(MOVED, slice(1, None)), rows(alone, slice(1, None)))
    assert 0 < loss < 100
    assert loss >= without  # the lonely one is another class that the others may be taken for


def test_outputs_of_a_plain_regression_pass_one_more_layer():
    task = Regression(0.0, 1.0, dims=2)
    model = task.wrap(zoo.create("mlp", num_classes=2, hidden=(4,)))
    images = np.zeros((3, 4, 4, 1), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    assert variables["params"]["value"]["kernel"].shape == (2, 1)
    assert jax.eval_shape(model.apply, variables, images).shape == (3, 1)
    assert task.model_options() == {"num_classes": 2}
    plain = zoo.create("mlp", num_classes=1)
    assert Regression(0.0, 1.0).wrap(plain) is plain


def test_the_poles_of_a_regression_are_where_its_bounds_are():
    lower, upper = VALUES.on_sphere()
    value = VALUES.decode(np.stack([lower, upper]).astype(np.float32))["value"]
    np.testing.assert_allclose(value, [10, 30], rtol=1e-6)


def test_a_fixed_matrix_before_the_softmax():
    logits = OUTPUTS @ np.array(SEPARATED.prototypes, np.float32).T
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    expected = log_loss(LABELS, exponentials / exponentials.sum(1, keepdims=True), labels=range(5))
    np.testing.assert_allclose(compiled(SEPARATED)[0](OUTPUTS, BATCH), expected, rtol=1e-5)


def test_moving_prototypes_learn_from_the_others_of_a_batch_and_predict_by_the_means():
    distances = ((OUTPUTS[:, None, 1:] - PROTOTYPES) ** 2).sum(-1)
    predicted = compiled(MEANS)[2](MOVED)["logits"]
    np.testing.assert_allclose(predicted, -distances, rtol=1e-5)
    tight = {**MOVED, "embedding": 10 * PROTOTYPES[LABELS]}
    assert compiled(MEANS)[0](tight, BATCH) < 1e-3  # each sits where the others of its class do


def test_no_digits_are_lost_in_half_precision():
    low = jnp.asarray(OUTPUTS[:, 1:], jnp.bfloat16)
    assert CLASSES.decode(low)["cosines"].dtype == jnp.float32
    loss = compiled(CLASSES)[0]
    np.testing.assert_allclose(loss(low, BATCH), loss(low.astype(jnp.float32), BATCH), rtol=1e-6)


def test_what_is_remembered_of_an_example_is_where_it_lies_in_half_precision():
    outputs = np.array([[3e30, 0.0, 4e30], [1e-13, 0, 0], [np.inf, 1, 0], [np.nan, 0, 0], [0, -2, 0]], np.float32)
    kept = CLASSES.remember({}, {"embedding": outputs})["embedding"]
    assert kept.dtype == np.float16
    expected = [[0.6, 0, 0.8], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, -1, 0]]  # without a direction: in the centre
    np.testing.assert_allclose(kept, expected, atol=1e-3)
    assert {task.seen for task in (CLASSES, VALUES, BOTH)} == {500}


def test_what_fills_a_batch_of_an_episode_up_moves_no_mean_and_is_no_other_of_a_class():
    model = MEANS.wrap(zoo.create("mlp", num_classes=3, hidden=()))
    images = random.normal(size=(COUNT, 2, 2, 1)).astype(np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), images)

    @jax.jit
    def step(batch):
        outputs, state = model.apply(variables, *MEANS.inputs(batch), train=True, mutable=["batch_stats"])
        return MEANS.objective(outputs, batch), state

    mask = np.arange(COUNT) < 16
    padded, alone = (
        step({"image": images[part], "label": LABELS[part], "mask": real})
        for part, real in ((slice(None), mask), (slice(16), ALL[:16]))
    )
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6), padded, alone)
    assert MEANS.whole_batch
    assert MEANS.mixes == ()
