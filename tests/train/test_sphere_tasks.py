"""Tasks on the sphere and what they are compared with: losses by numpy, sums over masked batches, and their choice."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error

from tests.train.small import quick_compiling
from train import recipe as recipes
from train.data import ArraySource
from train.recipe import RecipeError, Space
from train.tasks import from_card, make_task
from train.tasks.baselines import SCALE, AngularMargin, ClassMeans, MaxSeparation
from train.tasks.joint import Joint
from train.tasks.regression import Regression
from train.tasks.sphere import SphereClassification, SphereJoint, SphereRegression, as_rows
from zoo.hyperspheres import largest_cosine, save_prototypes, separate
from zoo.names import UnknownNameError

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


@pytest.fixture(scope="module", autouse=True)
def _quick_compiling():
    with quick_compiling():
        yield


@functools.cache
def compiled(task):
    return jax.jit(lambda *arguments: task.loss(*arguments)[0]), jax.jit(task.metrics), jax.jit(task.predict)


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
    summary = CLASSES.summarise({name: float(v) for name, v in metrics(outputs, BATCH).items()})
    right = cosine_of(outputs, PROTOTYPES).argmax(1)
    np.testing.assert_allclose(summary["accuracy"], accuracy_score(LABELS, right), rtol=1e-6)
    predicted = predict(outputs)
    np.testing.assert_allclose(predicted["cosines"], cosine_of(outputs, PROTOTYPES), atol=1e-6)
    np.testing.assert_array_equal(predicted["embedding"], outputs)
    assert CLASSES.num_outputs == 3


def test_a_value_is_the_cosine_with_the_first_axis():
    loss, metrics, predict = compiled(VALUES)
    np.testing.assert_allclose(loss(OUTPUTS, BATCH), value_losses(OUTPUTS).mean(), rtol=1e-5)
    value = 20 + 10 * OUTPUTS[:, 0] / np.linalg.norm(OUTPUTS, axis=1)
    np.testing.assert_allclose(predict(OUTPUTS)["value"], value, rtol=1e-5)
    summary = VALUES.summarise({name: float(v) for name, v in metrics(OUTPUTS, BATCH).items()})
    np.testing.assert_allclose(summary["mae"], mean_absolute_error(TARGETS, value), rtol=1e-5)


def test_both_at_once_is_the_mean_of_both_losses_in_one_space():
    loss, metrics, predict = compiled(BOTH)
    expected = (class_losses(OUTPUTS[:, 1:]) + value_losses(OUTPUTS)) / 2
    np.testing.assert_allclose(loss(OUTPUTS, BATCH), expected.mean(), rtol=1e-5)
    sums = {name: float(v) for name, v in metrics(OUTPUTS, BATCH).items()}
    assert set(BOTH.summarise(sums)) == {"loss", "accuracy", "mae"}
    np.testing.assert_allclose(sums["loss"], expected.sum(), rtol=1e-5)
    predicted = predict(OUTPUTS)
    np.testing.assert_allclose(predicted["cosines"], cosine_of(OUTPUTS[:, 1:], PROTOTYPES), atol=1e-6)
    np.testing.assert_array_equal(predicted["embedding"], OUTPUTS)
    np.testing.assert_allclose(BOTH.on_sphere() @ np.eye(4)[0], 0)  # orthogonal to the value's axis
    assert BOTH.num_outputs == 4


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
def test_sums_leave_out_what_is_masked_and_name_the_best_summary(task, outputs):
    mask = ALL.copy()
    mask[16:] = False
    sums = compiled(task)[1](outputs, {**BATCH, "mask": mask})
    first, rest = (compiled(task)[1](rows(outputs, part), rows(BATCH, part)) for part in (slice(8), slice(8, 16)))
    for name, value in sums.items():
        np.testing.assert_allclose(value, first[name] + rest[name], rtol=1e-5, err_msg=name)
    summary = task.summarise({name: float(value) for name, value in sums.items()})
    assert task.best in summary
    assert task.higher_is_better == (task.best == "accuracy")


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
    import zoo

    task = Regression(0.0, 1.0, num_outputs=2)
    model = task.wrap(zoo.create("mlp", num_classes=2, hidden=(4,)))
    variables = model.init(jax.random.key(0), np.zeros((3, 4, 4, 1), np.float32))
    assert variables["params"]["value"]["kernel"].shape == (2, 1)
    assert model.apply(variables, np.zeros((3, 4, 4, 1), np.float32)).shape == (3, 1)
    plain = zoo.create("mlp", num_classes=1)
    assert Regression(0.0, 1.0).wrap(plain) is plain


def test_the_poles_of_a_regression_are_where_its_bounds_are():
    lower, upper = VALUES.on_sphere()
    value = VALUES.predict(np.stack([lower, upper]).astype(np.float32))["value"]
    np.testing.assert_allclose(value, [10, 30], rtol=1e-6)


def test_prototypes_of_a_run_that_is_there_are_taken_as_they_are():
    config = recipes.Task("sphere_classification", space=Space(3, "gone.npz"))
    assert make_task(config, EXAMPLES, as_rows(PROTOTYPES)).prototypes == as_rows(PROTOTYPES)


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


def source(**values):
    arrays = {"image": np.zeros((COUNT, 4, 4, 1), np.uint8), **values}
    return ArraySource("many", arrays, NAMES if "label" in values else (), "years" if "target" in values else "")


EXAMPLES = source(label=LABELS, target=TARGETS)


def test_a_recipe_chooses_task_dimensions_and_bounds():
    task = make_task(recipes.Task("sphere_classification", space=Space(dims=3)), EXAMPLES)
    assert task.num_outputs == 3
    assert largest_cosine(np.array(task.prototypes)) == pytest.approx(0, abs=1e-6)
    assert make_task(recipes.Task("sphere_classification"), EXAMPLES).num_outputs == 5
    values = make_task(recipes.Task("sphere_regression", space=Space(dims=2)), EXAMPLES)
    assert (values.lower, values.upper, values.num_outputs) == (TARGETS.min(), TARGETS.max(), 2)
    both = make_task(recipes.Task("sphere_joint", space=Space(dims=3, bounds=(0.0, 40.0))), EXAMPLES)
    assert (both.num_outputs, both.lower, both.upper, both.unit) == (3, 0, 40, "years")
    assert make_task(recipes.Task("sphere_joint"), EXAMPLES).num_outputs == 6
    raw = make_task(recipes.Task("regression", standardise=False, space=Space(dims=2)), EXAMPLES)
    assert raw == Regression(0.0, 1.0, "years", 2)
    assert make_task(recipes.Task("joint"), EXAMPLES).num_outputs == 6
    assert make_task(recipes.Task("arcface", space=Space(dims=7)), EXAMPLES) == AngularMargin(NAMES, "arcface", 7)
    assert make_task(recipes.Task("class_means"), EXAMPLES) == ClassMeans(NAMES, 5)
    assert make_task(recipes.Task("max_separation"), EXAMPLES).num_outputs == 4


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (recipes.Task("sphere_regression"), "sphere_regression needs examples with a 'target'; many has labels only"),
        (recipes.Task("sphere_joint"), "sphere_joint needs examples with a 'target'"),
        (
            recipes.Task("sphere_classification", space=Space(3, "one_hot")),
            "one_hot needs a dimension a class: expected dims 5 or more, got 3",
        ),
        (recipes.Task("sphere_classification", space=Space(3, "vectors")), r"prototypes=vectors needs vectors"),
        (recipes.Task("sphere_classification", space=Space(3, "gone.npz")), r"gone\.npz"),
        (
            recipes.Task("sphere_classification", space=Space(3, "semantic", vectors="taxonomy:flowers")),
            "taxonomy",
        ),
    ],
)
def test_what_does_not_fit_is_said(task, message):
    with pytest.raises((RecipeError, UnknownNameError), match=message):
        make_task(task, source(label=LABELS))


@pytest.mark.parametrize("name", ["max_separation", "sphere_classification", "arcface"])
def test_one_class_alone_is_no_task(name):
    lonely = ArraySource("lonely", {"image": np.zeros((2, 4, 4, 1), np.uint8), "label": np.zeros(2, np.int32)}, ("a",))
    with pytest.raises(RecipeError, match="needs at least two classes; lonely has a alone"):
        make_task(recipes.Task(name), lonely)


def test_bounds_of_values_that_are_all_alike_are_asked_for():
    alike = source(target=np.full(COUNT, 7.0, np.float32))
    with pytest.raises(RecipeError, match=r"bounds: expected a lower bound below the upper, got 7\.0 and 7\.0"):
        make_task(recipes.Task("sphere_regression"), alike)


@pytest.mark.parametrize(
    "name",
    [
        "joint",
        "sphere_classification",
        "sphere_regression",
        "sphere_joint",
        "max_separation",
        "arcface",
        "class_means",
    ],
)
def test_a_task_comes_back_from_the_runs_card(name):
    config = recipes.Task(name)
    task = make_task(config, EXAMPLES)
    assert from_card(config, json.loads(json.dumps(dataclasses.asdict(task)))) == task


def test_prototypes_come_from_a_file_in_the_order_of_the_classes(tmp_path):
    file = tmp_path / "prototypes.npz"
    save_prototypes(file, PROTOTYPES, NAMES[::-1])
    task = make_task(recipes.Task("sphere_classification", space=Space(prototypes=str(file))), source(label=LABELS))
    np.testing.assert_allclose(task.prototypes, PROTOTYPES[::-1], rtol=1e-6)
    with pytest.raises(RecipeError, match="expected 5 prototypes of 2 dimensions, got 5 of 3"):
        make_task(recipes.Task("sphere_classification", space=Space(2, str(file))), source(label=LABELS))
    save_prototypes(file, PROTOTYPES, ("v", "w", "x", "y", "z"))
    with pytest.raises(RecipeError, match=r"is for other classes: expected a, b, c, \.\.\., got v, w, x"):
        make_task(recipes.Task("sphere_classification", space=Space(prototypes=str(file))), source(label=LABELS))


def test_random_prototypes_follow_from_their_own_seed():
    def of(seed):
        space = Space(3, "random", seed=seed)
        return np.array(make_task(recipes.Task("sphere_classification", space=space), EXAMPLES).prototypes)

    np.testing.assert_allclose(np.linalg.norm(of(0), axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(of(0), of(0))
    assert (of(0) != of(1)).any()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "arcface", "space": Space(dims=1)}, "task.space.dims"),
        ({"name": "sphere_joint", "space": Space(dims=2)}, "task.space.dims"),
        ({"name": "sphere_regression", "space": Space(bounds=(3.0, 1.0))}, "task.space.bounds"),
        ({"name": "sphere_regression", "space": Space(bounds=(1.0,))}, "task.space.bounds"),
        ({"name": "arcface", "label_smoothing": 0.1}, "arcface has no task.label_smoothing: leave out"),
        (
            {"name": "sphere_joint", "standardise": False},
            "sphere_joint with separated prototypes has no task.standardise",
        ),
        ({"space": Space(dims=5, seed=1)}, "classification has no task.space.dims, task.space.seed"),
        (
            {"name": "sphere_classification", "space": Space(3, vectors="words.txt")},
            "with separated prototypes has no task.space.vectors",
        ),
        (
            {"name": "sphere_classification", "space": Space(5, "one_hot", seed=2)},
            "with one_hot prototypes has no task.space.seed",
        ),
        ({"name": "regression", "space": Space(prototypes="random")}, "regression has no task.space.prototypes"),
    ],
)
def test_a_recipe_refuses_what_no_task_can_have(values, field):
    with pytest.raises(RecipeError, match=field):
        recipes.Recipe(task=recipes.Task(**values))


def test_no_digits_are_lost_in_half_precision():
    low = jnp.asarray(OUTPUTS[:, 1:], jnp.bfloat16)
    assert CLASSES.predict(low)["cosines"].dtype == jnp.float32
    np.testing.assert_allclose(CLASSES.loss(low, BATCH)[0], CLASSES.loss(low.astype(jnp.float32), BATCH)[0], rtol=1e-6)
