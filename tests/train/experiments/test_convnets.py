"""The experiments that compare networks: what differs between them, and what is concluded."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from train.config import Augment, Model, model_options
from train.experiments import EXPERIMENTS, Options
from train.experiments.convnets import cardinality, comparison, dense, residual, units
from train.experiments.study import Result
from train.recipes import cifar10
from zoo.convnets.residual_units import UNITS

NAN = math.nan
COMPARISONS = (residual, units, cardinality, dense)
QUOTED = {"residual": (4, 4), "units": (5, 10), "cardinality": (0, 6), "dense": (0, 2)}
"""Of how many networks the paper's error stands in the table, at each scale."""


def created(recipe):
    return zoo.create(recipe.model.name, **model_options(recipe.model))


def parameters(recipe, shape=(32, 32, 3)):
    shapes = jax.eval_shape(created(recipe).init, jax.random.key(0), jnp.zeros((1, *shape)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize("experiment", COMPARISONS)
@pytest.mark.parametrize("scale", ["quick", "paper"])
def test_networks_differ_in_the_model_alone_and_the_paper_is_quoted_for_them(experiment, scale):
    study = experiment.study(Options(scale=scale))
    recipes = list(study.arms.values())
    assert len({dataclasses.replace(recipe, name="same", model=Model()) for recipe in recipes}) == 1
    assert len({recipe.model for recipe in recipes}) == len({recipe.name for recipe in recipes}) == len(recipes)
    assert study.name in EXPERIMENTS
    assert study.seeds == 1
    lines = study.table({arm: result() for arm in study.arms}).splitlines()
    assert lines[0].endswith("| paper's test error |")
    quoted = [line for line in lines[2:] if not line.endswith("|  |")]
    assert len(quoted) == QUOTED[study.name][scale == "paper"]
    assert len(lines) == 2 + len(recipes)
    for recipe in recipes:
        created(recipe)


def test_the_folder_and_the_seed_reach_every_recipe():
    options = Options(data_dir="somewhere", seed=7)
    for experiment in COMPARISONS:
        study = experiment.study(options)
        assert study.first == 7
        assert {recipe.data.data_dir for recipe in study.arms.values()} == {"somewhere"}


def test_the_units_are_the_five_of_the_lecture_at_both_depths_of_its_table():
    quick = units.recipes_of(Options())
    assert [created(recipe).unit for recipe in quick.values()] == [*units.UNITS.values()]
    assert set(units.UNITS.values()) == set(UNITS)
    paper = [created(recipe) for recipe in units.recipes_of(Options(scale="paper")).values()]
    assert sorted({(model.depth, model.bottleneck) for model in paper}) == [(110, False), (164, True)]
    assert len(paper) == 10


def test_cardinalities_have_the_parameters_of_one_group():
    counts = [parameters(recipe) for recipe in cardinality.recipes_of(Options()).values()]
    assert max(counts) < 1.02 * min(counts)
    # Table 2 of the paper: a block of 256 channels has 256 C d + 9 C d^2 + 256 C d of them, here of a quarter.
    closed = [64 * c * d + 9 * c * d**2 + 64 * c * d for c, d in cardinality.SMALL.values()]
    assert closed == [4352, 4360, 4368]
    first = created(next(iter(cardinality.recipes_of(Options()).values())))
    assert (first.cardinality, first.group_width, first.depth) == (1, 16, 29)


def test_the_dense_network_has_the_parameters_of_the_residual_one():
    quick = {name: parameters(recipe) for name, recipe in dense.recipes_of(Options()).items()}
    assert quick == {dense.RESIDUAL: 172_506, dense.DENSE: 176_122}
    paper = {name: parameters(recipe) for name, recipe in dense.recipes_of(Options(scale="paper")).items()}
    assert paper[dense.DENSE] == 769_162  # Huang et al.: 0.8M
    assert abs(paper[dense.RESIDUAL] / paper[dense.DENSE] - 1) < 0.02


def result(test_error=0.5, train_loss=1.0, parameters=100):
    """Of one seed."""
    metrics = {"accuracy": 1 - test_error, "train_loss": train_loss, "train_accuracy": 0.5}
    return Result({name: [value] for name, value in metrics.items()}, [[(1, train_loss)]], parameters)


def results_of(names, **values):
    return {name: result(**{key: each[i] for key, each in values.items()}) for i, name in enumerate(names)}


PLAIN_AND_RESIDUAL = ("plain-20", "plain-56", "ResNet-20", "ResNet-56")


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((1.0, 2.0, 0.9, 0.8), [True, True, True]),
        ((2.0, 1.0, 0.9, 0.8), [False, True, True]),
        ((1.0, 2.0, 0.8, 0.9), [True, True, False]),
    ],
)
def test_degradation_is_judged_by_the_training_loss(losses, expected):
    assert tuple(residual.ARMS) == PLAIN_AND_RESIDUAL
    results = results_of(PLAIN_AND_RESIDUAL, train_loss=losses, test_error=(0.1, 0.2, 0.1, 0.1))
    assert list(residual.claims(results).values()) == expected
    flipped = results_of(PLAIN_AND_RESIDUAL, train_loss=losses, test_error=(0.2, 0.1, 0.1, 0.1))
    assert list(residual.claims(flipped).values()) == [expected[0], False, expected[2]]


def test_the_figure_has_plain_networks_left_and_residual_ones_right():
    curves = {arm: [(step, i + 1 / step) for step in (1, 2)] for i, arm in enumerate(residual.ARMS)}
    panels = residual.figure({arm: dataclasses.replace(result(), curves=[curve]) for arm, curve in curves.items()}).axes
    drawn = {
        line.get_label(): (panel.get_title("left"), list(line.get_ydata())) for panel in panels for line in panel.lines
    }
    assert drawn == {
        "plain-20": ("plain", [1.0, 0.5]),
        "plain-56": ("plain", [2.0, 1.5]),
        "ResNet-20": ("residual", [3.0, 2.5]),
        "ResNet-56": ("residual", [4.0, 3.5]),
    }


def test_losses_are_lines_and_errors_bars_and_what_diverged_is_named(tmp_path):
    results = {"a": dataclasses.replace(result(0.25), curves=[[(1, 2.0), (2, 1.0)], [(1, 3.0)]]), "b": result(NAN, NAN)}
    drawing = comparison.errors_and_losses(results)
    curves, bars = drawing.axes
    assert [list(line.get_ydata()) for line in curves.lines][:2] == [[2.0, 1.0], [3.0]]
    assert [text.get_text() for text in curves.get_legend().get_texts()] == ["a", "b"]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], [25, 0])
    assert [text.get_text() for text in bars.texts] == [" 25.0 %", " diverged"]
    drawing.savefig(tmp_path / "drawn.png", dpi=20)
    line = comparison.table(results, {"b": "1 %"}).splitlines()[-1]
    assert line == "| b | 100 | diverged | 50.0 % | diverged | 1 % |"


def test_units_are_judged_by_their_loss_at_the_beginning_and_by_their_error_at_the_end():
    # Losses in the lecture's order, the original first, then BN after addition; full pre-activation last.
    assert all(units.quick_claims(results_of(units.UNITS, train_loss=(1.0, 1.5, 1.2, 1.1, 0.9))).values())
    wrong = units.quick_claims(results_of(units.UNITS, train_loss=(1.0, 0.8, 1.2, 1.1, 0.9)))
    assert list(wrong.values()) == [False, True, False]
    names = list(units.recipes_of(Options(scale="paper")))
    table = [errors[i] for i in (0, 1) for errors in units.PAPER_TEST_ERROR.values()]
    assert all(units.paper_claims(results_of(names, test_error=table)).values())
    table[1], table[9] = 6.0, 7.0
    assert list(units.paper_claims(results_of(names, test_error=table)).values()) == [False, False, False, False]


def test_the_lectures_table_of_cardinality_is_a_verdict_of_yes():
    printed = [float(errors.split(" ")[0]) for _, errors in cardinality.PAPER_ARMS.values()]
    assert printed == [22.0, 21.2, 21.7, 21.3, 20.7, 20.4]
    verdict = cardinality.paper_claims(results_of(cardinality.PAPER_ARMS, test_error=printed))
    assert list(verdict.values()) == [True] * 4
    backwards = cardinality.paper_claims(results_of(cardinality.PAPER_ARMS, test_error=[-e for e in printed]))
    assert not any(backwards.values())
    quick = cardinality.quick_claims(results_of(cardinality.SMALL, train_loss=(1.0, 0.9, 1.1)))
    assert list(quick.values()) == [True, False]


def test_dense_connections_are_judged_at_equal_parameters():
    names = (dense.RESIDUAL, dense.DENSE)
    results = results_of(names, train_loss=(1.0, 0.9), test_error=(0.5, 0.4))
    assert all(dense.claims(results).values())
    results[dense.DENSE] = dataclasses.replace(results[dense.DENSE], parameters=110)
    assert list(dense.claims(results).values()) == [False, True, True]
    results[dense.LARGER] = result(test_error=0.3, train_loss=0.8, parameters=220)
    assert list(dense.claims(results).values()) == [False, True, True, False]


def test_quick_experiments_train_on_plain_normalised_images():
    for experiment in COMPARISONS:
        assert experiment.QUICK.augment == Augment(flip=True, mean=cifar10.AUGMENT.mean, std=cifar10.AUGMENT.std)
        assert experiment.QUICK.data.limit is not None
