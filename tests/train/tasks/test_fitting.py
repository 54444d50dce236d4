"""A task is fitted to a source, or says what is missing; it comes back from the run's card, and refuses other data."""

import json

import jax
import numpy as np
import pytest

from train.config import Classification as OfLabels
from train.config import RecipeError
from train.config.tasks.angles import ArcFace, CosFace, SphereFace
from train.config.tasks.angles import ClassMeans as OfMeans
from train.config.tasks.angles import MaxSeparation as OfSimplex
from train.config.tasks.regression import Joint as OfBoth
from train.config.tasks.regression import Regression as OfValues
from train.config.tasks.sphere import SphereClassification, SphereJoint, SphereRegression
from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource, Wrapped
from train.tasks import fitted, make_task, restore_task
from train.tasks.class_means.task import ClassMeans
from train.tasks.classification.task import Classification
from train.tasks.fitting import as_rows
from train.tasks.margins.task import AngularMargin
from train.tasks.protocol import describe
from train.tasks.regression.task import Regression
from zoo.hyperspheres import largest_cosine, save_prototypes, separate
from zoo.names import UnknownNameError

random = np.random.default_rng(0)
COUNT, NAMES = 24, ("a", "b", "c", "d", "e")
LABELS = random.integers(0, 5, COUNT).astype(np.int32)
TARGETS = random.uniform(10, 30, COUNT).astype(np.float32)
PROTOTYPES = np.asarray(separate(jax.random.key(0), 5, 3))


def source(**values):
    arrays = {"image": np.zeros((COUNT, 4, 4, 1), np.uint8), **values}
    facts = Facts(NAMES if "label" in values else (), "years" if "target" in values else "")
    return ArraySource("many", arrays, facts=facts)


EXAMPLES = source(label=LABELS, target=TARGETS)
LABELLED, MEASURED = source(label=LABELS), source(target=TARGETS)


def options(settings, examples=EXAMPLES):
    return make_task(settings, examples).model_options()["num_classes"]


def test_settings_choose_task_dimensions_and_bounds():
    assert make_task(OfLabels(label_smoothing=0.1), LABELLED) == Classification(NAMES, 0.1)
    assert options(OfLabels()) == 5
    task = make_task(SphereClassification(dims=3), EXAMPLES)
    assert task.model_options() == {"num_classes": 3}
    assert largest_cosine(np.array(task.prototypes)) == pytest.approx(0, abs=1e-6)
    assert options(SphereClassification()) == 5
    values = make_task(SphereRegression(dims=2), MEASURED)
    assert (values.lower, values.upper, values.dims, values.unit) == (TARGETS.min(), TARGETS.max(), 2, "years")
    assert options(SphereRegression()) == 3
    both = make_task(SphereJoint(dims=3, bounds=(0.0, 40.0)), EXAMPLES)
    assert (options(SphereJoint(dims=3)), both.lower, both.upper, both.unit) == (3, 0, 40, "years")
    assert options(SphereJoint()) == 6
    plain = make_task(OfValues(), MEASURED)
    assert (plain.mean, plain.std) == pytest.approx((TARGETS.mean(), TARGETS.std()))
    assert make_task(OfValues(standardise=False, dims=2), EXAMPLES) == Regression(0.0, 1.0, "years", 2)
    assert options(OfBoth()) == 6
    raw = make_task(OfBoth(standardise=False), EXAMPLES)
    assert (raw.mean, raw.std, raw.unit) == (0, 1, "years")
    assert make_task(ArcFace(dims=7), EXAMPLES) == AngularMargin(NAMES, "arcface", 7)
    assert make_task(OfMeans(), EXAMPLES) == ClassMeans(NAMES, 5)
    assert options(OfSimplex()) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (OfValues(), "regression needs examples with a 'target'; many has labels only"),
        (SphereRegression(), "sphere_regression needs examples with a 'target'; many has labels only"),
        (SphereRegression(bounds=(0.0, 1.0)), "sphere_regression needs examples with a 'target'"),
        (SphereJoint(), "sphere_joint needs examples with a 'target'"),
        (
            SphereClassification(dims=3, prototypes="one_hot"),
            "one_hot needs a dimension a class: expected dims 5 or more, got 3",
        ),
        (SphereClassification(dims=3, prototypes="vectors"), r"prototypes=vectors needs vectors"),
        (SphereClassification(dims=3, prototypes="gone.npz"), r"gone\.npz"),
        (SphereClassification(dims=3, prototypes="seperated"), "separated"),
        (SphereClassification(dims=3, prototypes="semantic", vectors="taxonomy:flowers"), "taxonomy"),
    ],
)
def test_what_does_not_fit_is_said(settings, message):
    with pytest.raises((RecipeError, UnknownNameError), match=message):
        make_task(settings, LABELLED)


@pytest.mark.parametrize("settings", [OfLabels(), OfBoth(), SphereJoint(), CosFace(), OfMeans(), OfSimplex()])
def test_labels_that_are_missing_are_asked_for(settings):
    with pytest.raises(RecipeError, match=f"^{settings.kind} needs examples with labels; many has none"):
        make_task(settings, MEASURED)


@pytest.mark.parametrize("settings", [OfSimplex(), SphereClassification(), ArcFace(), OfBoth()])
def test_one_class_alone_is_no_task(settings):
    arrays = {"image": np.zeros((2, 4, 4, 1), np.uint8), "label": np.zeros(2, np.int32)}
    lonely = ArraySource("lonely", arrays, facts=Facts(("a",)))
    with pytest.raises(RecipeError, match="needs at least two classes; lonely has a alone"):
        make_task(settings, lonely)
    assert make_task(OfLabels(), lonely) == Classification(("a",))


def test_bounds_of_values_that_are_all_alike_are_asked_for():
    alike = source(target=np.full(COUNT, 7.0, np.float32))
    with pytest.raises(RecipeError, match=r"task\.bounds: expected a lower bound below the upper, got 7\.0 and 7\.0"):
        make_task(SphereRegression(), alike)


def test_what_other_fields_there_are_in_place_of_a_target_is_said():
    spec = {"image": Field(Kind.IMAGE, (4, 4, 1), "uint8"), "boxes": Field(Kind.BOXES, (None, 4), "float32", (8,))}
    arrays = {"image": np.zeros((1, 4, 4, 1), np.uint8), "boxes": np.zeros((1, 8, 4)), "boxes_valid": np.ones((1, 8))}
    with pytest.raises(RecipeError, match=r"many has image uint8\[4,4,1\], boxes float32\[up to 8,4\]"):
        make_task(OfValues(), ArraySource("many", arrays, spec))


def test_values_are_learned_of_without_reading_an_image():
    class Unread(Wrapped):
        def __getitem__(self, row):
            raise AssertionError("an example was read")

        def read(self, rows):
            raise AssertionError("examples were read")

    assert make_task(OfValues(), Unread(MEASURED)) == make_task(OfValues(), MEASURED)


KINDS = [
    OfLabels(label_smoothing=0.1),
    OfValues(),
    OfBoth(),
    SphereClassification(),
    SphereRegression(),
    SphereJoint(),
    OfSimplex(),
    CosFace(),
    ArcFace(),
    SphereFace(),
    OfMeans(),
]


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings.kind)
def test_a_task_comes_back_from_the_runs_card(settings):
    task = make_task(settings, EXAMPLES)
    assert restore_task(settings, json.loads(json.dumps(fitted(task)))) == task
    hash(task)


def test_prototypes_of_a_run_that_is_there_are_taken_as_they_are():
    settings = SphereClassification(dims=3, prototypes="gone.npz")
    values = {"class_names": list(NAMES), "prototypes": PROTOTYPES.tolist()}
    assert restore_task(settings, values).prototypes == as_rows(PROTOTYPES)


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings.kind)
def test_a_task_takes_examples_of_the_kind_that_it_was_fitted_to_and_no_others(settings):
    task = make_task(settings, EXAMPLES)
    spec, facts = EXAMPLES.spec, EXAMPLES.facts
    task.check(spec, facts)
    for name in task.fields:
        without = {other: field for other, field in spec.items() if other != name}
        with pytest.raises(
            RecipeError, match=f"expected examples with {name}, found {without and describe(without)[:5]}"
        ):
            task.check(without, facts)
    if "label" in task.fields:
        with pytest.raises(RecipeError, match=r"expected examples of the classes a, b, c, \.\.\. \(5\), got x, y"):
            task.check(spec, facts._replace(classes=("x", "y")))
        maps = {**spec, "label": Field(Kind.LABEL_MAP, (4, 4), "int32")}
        with pytest.raises(RecipeError, match=r"label: expected one label an example, found label_map .*int32\[4,4\]"):
            task.check(maps, facts)
    if "target" in task.fields:
        with pytest.raises(RecipeError, match="expected targets in years, got degrees"):
            task.check(spec, facts._replace(unit="degrees"))
        three = {**spec, "target": Field(Kind.VALUE, (3,), "float32")}
        with pytest.raises(RecipeError, match=r"target: expected one value an example, found value .*float32\[3\]"):
            task.check(three, facts)


def test_prototypes_come_from_a_file_in_the_order_of_the_classes(tmp_path):
    file = tmp_path / "prototypes.npz"
    save_prototypes(file, PROTOTYPES, NAMES[::-1])
    task = make_task(SphereClassification(prototypes=str(file)), LABELLED)
    np.testing.assert_allclose(task.prototypes, PROTOTYPES[::-1], rtol=1e-6)
    with pytest.raises(RecipeError, match="expected 5 prototypes of 2 dimensions, got 5 of 3"):
        make_task(SphereClassification(dims=2, prototypes=str(file)), LABELLED)
    assert options(SphereJoint(prototypes=str(file))) == 4
    save_prototypes(file, PROTOTYPES, ("v", "w", "x", "y", "z"))
    with pytest.raises(RecipeError, match=r"is for other classes: expected a, b, c, \.\.\., got v, w, x"):
        make_task(SphereClassification(prototypes=str(file)), LABELLED)


def test_random_prototypes_follow_from_their_own_seed():
    def of(seed):
        return np.array(make_task(SphereClassification(dims=3, prototypes="random", seed=seed), EXAMPLES).prototypes)

    np.testing.assert_allclose(np.linalg.norm(of(0), axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(of(0), of(0))
    assert (of(0) != of(1)).any()
