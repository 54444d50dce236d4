"""The experiments that compare networks: what differs between them, what is concluded, and that nothing is repeated."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from train.data import Augment
from train.experiments import EXPERIMENTS, Options, arms, cardinality, dense, overview, units
from train.loop import Outcome
from train.recipe import Data, Model, Optimizer, Recipe, Schedule, model_options
from train.recipes import cifar10
from zoo.convnets.residual_units import UNITS

COMPARISONS = (units, cardinality, dense)


def created(recipe):
    return zoo.create(recipe.model.name, **model_options(recipe))


def parameters(recipe, shape=(32, 32, 3)):
    shapes = jax.eval_shape(created(recipe).init, jax.random.key(0), jnp.zeros((1, *shape)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def comparison_of(experiment, scale, monkeypatch, workdir=None):
    """What an experiment would compare."""
    given = []
    monkeypatch.setattr(experiment, "compare", lambda comparison, path: given.append(comparison) or 0)
    assert experiment.run(Options(scale=scale, workdir=workdir)) == 0
    return given[0]


@pytest.mark.parametrize("experiment", COMPARISONS)
@pytest.mark.parametrize("scale", ["quick", "paper"])
def test_networks_differ_in_the_model_alone_and_the_paper_is_quoted_for_them(experiment, scale, monkeypatch):
    comparison = comparison_of(experiment, scale, monkeypatch)
    recipes = list(comparison.recipes.values())
    assert len({dataclasses.replace(recipe, name="same", model=Model()) for recipe in recipes}) == 1
    assert len({recipe.model for recipe in recipes}) == len({recipe.name for recipe in recipes}) == len(recipes)
    assert set(comparison.published) <= set(comparison.recipes)
    assert comparison.published or scale == "quick"
    assert comparison.name in EXPERIMENTS
    for recipe in recipes:
        created(recipe)


def test_the_folder_and_the_seed_reach_every_recipe():
    options = Options(data_dir="somewhere", seed=7)
    for experiment in COMPARISONS:
        for recipe in experiment.recipes_of(options).values():
            assert (recipe.data.data_dir, recipe.seed) == ("somewhere", 7)


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


def results_of(names, **values):
    return {name: {"parameters": 100, **{key: each[i] for key, each in values.items()}} for i, name in enumerate(names)}


def test_units_are_judged_by_their_loss_at_the_beginning_and_by_their_error_at_the_end():
    # Losses in the lecture's order, the original first, then BN after addition; full pre-activation last.
    assert all(units.quick_verdict(results_of(units.UNITS, train_loss=(1.0, 1.5, 1.2, 1.1, 0.9))).values())
    wrong = units.quick_verdict(results_of(units.UNITS, train_loss=(1.0, 0.8, 1.2, 1.1, 0.9)))
    assert list(wrong.values()) == [False, True, False]
    names = list(units.recipes_of(Options(scale="paper")))
    table = [errors[i] for i in (0, 1) for errors in units.PAPER_TEST_ERROR.values()]
    assert all(units.paper_verdict(results_of(names, test_error=table)).values())
    table[1], table[9] = 6.0, 7.0
    assert list(units.paper_verdict(results_of(names, test_error=table)).values()) == [False, False, False, False]


def test_the_lectures_table_of_cardinality_is_a_verdict_of_yes():
    printed = [float(errors.split(" ")[0]) for _, errors in cardinality.PAPER_ARMS.values()]
    assert printed == [22.0, 21.2, 21.7, 21.3, 20.7, 20.4]
    verdict = cardinality.paper_verdict(results_of(cardinality.PAPER_ARMS, test_error=printed))
    assert list(verdict.values()) == [True] * 4
    backwards = cardinality.paper_verdict(results_of(cardinality.PAPER_ARMS, test_error=[-e for e in printed]))
    assert not any(backwards.values())
    quick = cardinality.quick_verdict(results_of(cardinality.SMALL, train_loss=(1.0, 0.9, 1.1)))
    assert list(quick.values()) == [True, False]


def test_dense_connections_are_judged_at_equal_parameters():
    names = (dense.RESIDUAL, dense.DENSE)
    results = results_of(names, train_loss=(1.0, 0.9), test_error=(0.5, 0.4))
    assert all(dense.verdict(results).values())
    results[dense.DENSE]["parameters"] = 110
    assert list(dense.verdict(results).values()) == [False, True, True]
    results[dense.LARGER] = {"parameters": 220, "train_loss": 0.8, "test_error": 0.3}
    assert list(dense.verdict(results).values()) == [False, True, True, False]


@pytest.fixture
def two_networks(tmp_path):
    """A comparison that takes a second: an MLP of two widths on twelve classes, so that there is a top-5 error."""
    random = np.random.default_rng(0)
    archive = tmp_path / "tiny.npz"
    labels = np.arange(60, dtype=np.int32) % 12
    np.savez(archive, image=random.integers(0, 256, (60, 4, 4, 1), np.uint8), label=labels)
    recipes = {
        f"width {width}": Recipe(
            name=f"tiny-{width}",
            model=Model("mlp", options=(f"hidden=({width},)",)),
            data=Data(source=f"npz:{archive}", batch_size=8, eval_batch_size=12),
            optimizer=Optimizer(learning_rate=0.01),
            schedule=Schedule("constant"),
            epochs=2,
            log_every=2,
        )
        for width in (4, 8)
    }
    return arms.Comparison("tiny", recipes, {"width 4": "12.3 %"}, lambda results: {"four is small": len(results) == 2})


def test_a_comparison_leaves_table_figure_and_verdict_and_repeats_no_finished_run(two_networks, tmp_path, capsys):
    workdir = tmp_path / "out"
    assert arms.compare(two_networks, workdir) == 0
    table = (workdir / "tiny.md").read_text()
    assert table.count("\n") == 2 + 2
    assert "| 12.3 % |" in table
    written = json.loads((workdir / "tiny.json").read_text())
    assert written["holds"] == {"four is small": True}
    values = written["results"]["width 4"]
    assert 0 <= values["top5_error"] <= values["test_error"] <= 1
    assert f"{100 * values['test_error']:.1f} / {100 * values['top5_error']:.1f} %" in table
    assert (workdir / "tiny.png").stat().st_size > 1000
    first = (workdir / "width 4" / "fingerprint.json").stat().st_mtime_ns
    no = dataclasses.replace(two_networks, verdict=lambda results: {"four is large": False})
    assert arms.compare(no, workdir) == 1
    assert (workdir / "width 4" / "fingerprint.json").stat().st_mtime_ns == first
    printed = capsys.readouterr().out
    assert "finished before" in printed
    assert "NO   four is large" in printed


def test_an_interrupted_comparison_is_no_success(two_networks, tmp_path, monkeypatch):
    for code, expected in ((130, 130), (0, 1)):  # Ctrl-C, and a signal of the system
        monkeypatch.setattr(arms, "fit", lambda *_, code=code, **__: Outcome(3, {}, None, code))
        assert arms.compare(two_networks, tmp_path / "out") == expected


GIGA = {
    "alexnet": (61.1, 1.43, 56.52),
    "vgg16": (138.4, 30.9, 71.59),
    "googlenet": (6.6, 3.0, 69.78),
    "resnet50": (25.6, 8.2, 76.13),
    "efficientnet_b0": (5.3, 0.77, 77.69),
}
"""Million parameters, twice torchvision's GFLOPs (it counts a multiply-add once), top-1."""


def rows_of(speeds):
    return {
        name: {
            "top1": top1,
            "parameters": int(1e6 * millions),
            "flops": 1e9 * giga,
            "images_per_second": speed,
            "compile_seconds": 2.0,
        }
        for (name, (millions, giga, top1)), speed in zip(GIGA.items(), speeds, strict=True)
    }


def test_the_overview_holds_with_torchvisions_numbers():
    assert list(overview.verdict(rows_of((200, 5, 40, 20, 15))).values()) == [True] * 4
    equal = [1e2 / giga for _, giga, _ in GIGA.values()]
    assert list(overview.verdict(rows_of(equal)).values()) == [True, True, True, False]
    worse = rows_of((200, 5, 40, 20, 15))
    worse["resnet50"]["top1"], worse["googlenet"]["parameters"] = 70.0, 8e6
    assert list(overview.verdict(worse).values()) == [False, False, True, True]


def test_a_network_is_counted_and_measured(monkeypatch):
    monkeypatch.setattr(zoo, "pretrained", lambda name: zoo.catalog.pretrained.table()["resnet50"][0], raising=False)
    row = overview.measure("squeezenet_tiny")
    model, images = zoo.create("squeezenet_tiny"), jnp.zeros((1, *zoo.describe("squeezenet_tiny").input_shape))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    assert row["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert row["top1"] == 76.13
    assert row["flops"] > 2 * row["parameters"]  # each weight is used at several places
    assert row["images_per_second"] > 0


def test_the_overview_writes_each_network_down_and_measures_none_twice(tmp_path, monkeypatch, capsys):
    rows, measured = rows_of((200, 5, 40, 20, 15)), []

    def measure(name):
        measured.append(name)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return rows[name]

    monkeypatch.setattr(overview, "QUICK", tuple(GIGA))
    monkeypatch.setattr(overview, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        overview.run(Options(workdir=tmp_path / "out"))
    assert overview.run(Options(workdir=tmp_path / "out")) == 0
    assert measured == [*list(GIGA)[:3], *list(GIGA)[2:]]
    table = (tmp_path / "out" / "overview.md").read_text().splitlines()
    assert [line.split(" ")[1] for line in table[2:]] == [
        "alexnet",
        "googlenet",
        "vgg16",
        "resnet50",
        "efficientnet_b0",
    ]
    assert (tmp_path / "out" / "overview.png").stat().st_size > 10_000
    assert "measured before" in capsys.readouterr().out


def test_the_overview_has_the_published_networks_of_the_catalog():
    names = overview.names_of(Options(scale="paper"))
    assert set(overview.QUICK) <= set(names)
    assert len(names) > 70
    assert all(zoo.pretrained(name).classes == "imagenet" for name in names)


def test_quick_experiments_train_on_plain_normalised_images():
    for experiment in COMPARISONS:
        assert experiment.QUICK.augment == Augment(flip=True, mean=cifar10.AUGMENT.mean, std=cifar10.AUGMENT.std)
        assert experiment.QUICK.data.limit is not None
