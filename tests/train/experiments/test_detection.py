"""The experiments on detection: what differs between their arms, and what is concluded of numbers made by hand."""

import dataclasses
import functools
import importlib
import json
import math
import time

import numpy as np
import pytest
from matplotlib.figure import Figure

import zoo
from train.config import Model, model_options
from train.experiments import EXPERIMENTS, SeededOptions
from train.experiments.detection import generations, roi, speed
from train.experiments.detection.speed import OF_PROPOSALS, SECONDS
from train.experiments.study import Result

NAN = math.nan
scenes = importlib.import_module("train.data.sources.scenes")  # beside a function of that name


def created(recipe):
    return zoo.create(recipe.model.name, **model_options(recipe.model))


@pytest.mark.parametrize("scale", ["quick", "paper"])
def test_nothing_but_the_pooling_differs(scale):
    options = SeededOptions(scale=scale, seed=7)
    study = roi.study(options)
    assert (study.name in EXPERIMENTS, study.first) == (True, 7)
    assert {created(recipe).pooling for recipe in study.arms.values()} == {"pool", "align"}
    recipes = set()
    for recipe in study.arms.values():
        *alike, _ = recipe.model.options
        recipes.add(
            dataclasses.replace(recipe, name="same", model=dataclasses.replace(recipe.model, options=tuple(alike)))
        )
    assert len(recipes) == 1


def rois(pool, align):
    """Results of two seeds, in percent as in the lecture's table; both of one seed a point apart."""
    return {
        arm: Result(
            {
                name: [value / 100 - 0.005, value / 100 + 0.005]
                for name, value in zip(roi.COLUMNS.values(), row, strict=True)
            }
        )
        for arm, row in ((roi.POOL, pool), (roi.ALIGN, align))
    }


def test_the_lectures_table_of_pooling_is_a_verdict_of_yes():
    results = rois(*roi.PUBLISHED.values())
    assert list(roi.claims(results).values()) == [True, True]
    assert list(roi.claims(rois(*reversed(roi.PUBLISHED.values()))).values()) == [False, False]
    mixed = (*roi.PUBLISHED[roi.ALIGN][:5], 20.0)
    assert list(roi.claims(rois(roi.PUBLISHED[roi.POOL], mixed)).values()) == [False, True]
    diverged = {**results, roi.POOL: Result({name: [0.1, NAN] for name in roi.COLUMNS.values()})}
    assert not any(roi.claims(diverged).values())
    ours, theirs = roi.table(results).split("\n\n")
    gains = " | ".join(("+7.3", "+5.3", "+10.5", "+5.8", "+2.6", "+9.5"))  # row L69 of the lecture
    assert ours.splitlines()[-1] == theirs.splitlines()[-1] == f"| difference | {gains} |"
    assert ours.splitlines()[2].startswith("| RoIPool | 23.6 ± 0.7 | 46.5 ± 0.7 |")
    assert "diverged" in roi.table(diverged)
    bars = roi.figure(results).axes[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], np.ravel([*roi.PUBLISHED.values()]), rtol=1e-6)
    assert isinstance(roi.figure(diverged), Figure)


def test_generations_have_one_backbone_and_the_first_two_the_same_proposals():
    recipes = generations.recipes_of(SeededOptions())
    assert len({created(recipe).backbone for recipe in recipes.values()}) == 1
    given = [recipe.data.proposals for recipe in recipes.values()]
    assert given[0] == given[1] > given[2] == 0
    plain = {
        dataclasses.replace(recipe, name="same", model=Model(), data=dataclasses.replace(recipe.data, proposals=0))
        for recipe in recipes.values()
    }
    assert len(plain) == 1
    paper = generations.recipes_of(SeededOptions(scale="paper", data_dir="there"))
    assert {recipe.data.source for recipe in paper.values()} == {"voc:there"}
    assert [type(created(recipe)).__name__ for recipe in paper.values()] == ["RCNN", "FastRCNN", "FasterRCNN"]


def generation(seconds, of_proposals, ap50=0.6):
    return Result({"ap": [0.5], "ap50": [ap50], SECONDS: [seconds], OF_PROPOSALS: [of_proposals]})


def of_generations(*times):
    return {arm: generation(*each) for arm, each in zip(generations.QUICK, times, strict=True)}


PAPERS = ((48.51, 1.51), (1.83, 1.51), (0.198, 0.01))  # the first with the search of the second


def test_the_lectures_story_of_three_generations_is_a_verdict_of_yes():
    results = of_generations(*PAPERS)
    assert list(generations.claims(results).values()) == [True] * 4
    assert list(generations.claims(of_generations(*reversed(PAPERS))).values()) == [False, False, True, True]
    assert list(generations.claims(of_generations((9, 1), (2, 0.5), (1, 0.7))).values()) == [True, True, False, False]
    diverged = {**results, generations.FAST: generation(NAN, NAN, NAN)}
    assert list(generations.claims(diverged).values()) == [False, True, False, True]
    lines = generations.table(results).splitlines()
    assert lines[3] == "| Fast R-CNN | 50.0 | 60.0 | 1.8300 | 83 % | 66.9 | 1.83 | 83 % |"
    for line in lines[3:]:  # the same seconds give the shares that stand beside them
        assert line.split(" | ")[4] == line.split(" | ")[7].removesuffix(" |")
    times = generations.figure(results).axes[0]
    widths = [bar.get_width() for bar in times.patches]
    np.testing.assert_allclose(widths[:3], [1510, 1510, 10])
    np.testing.assert_allclose(widths[3:], [47000, 320, 188])
    assert isinstance(generations.figure(diverged), Figure)


def test_seconds_are_the_fastest_of_calls_that_are_warm_and_take_turns(monkeypatch):
    ends = np.cumsum([1.0, 0.5, 7.0, 3.0, 0.25, 2.0, 8.0, 1.0])  # two rounds
    clock = iter(np.stack([np.append(0.0, ends[:-1]), ends], axis=1).ravel())
    monkeypatch.setattr(speed, "ROUNDS", 2)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    called = []
    calls = [lambda one: called.append(one), lambda one: called.append(one.upper())]
    assert speed.seconds(calls, "ab").tolist() == [[0.25, 7.0], [0.5, 1.0]]
    assert called == ["a", "A", *2 * ["a", "A", "b", "B"]]


@pytest.mark.slow  # three trainings of a step, and the programs that are timed
@pytest.mark.usefixtures("runs")
def test_the_three_generations_are_trained_timed_and_told(tmp_path, monkeypatch):
    pytest.importorskip("cv2.ximgproc", reason="the extra detection is not installed")
    monkeypatch.setattr(scenes, "COUNTS", {"train": 4, "test": 3})
    monkeypatch.setattr(scenes, "_composed", functools.cache(scenes._composed.__wrapped__))
    study = generations.study(SeededOptions())
    arms = {
        arm: dataclasses.replace(
            recipe, steps=1, log_every=1, data=dataclasses.replace(recipe.data, batch_size=2, eval_batch_size=3)
        )
        for arm, recipe in study.arms.items()
    }
    assert dataclasses.replace(study, arms=arms).run(tmp_path) in (0, 1)
    results = json.loads((tmp_path / "generations.json").read_text(encoding="utf-8"))["results"]
    for arm, result in results.items():
        (whole,), (part,) = (result["metrics"][name] for name in (SECONDS, OF_PROPOSALS))
        assert (0 if arm == generations.FASTER else 0.01) <= part < whole < 10, arm
        assert 0 <= result["metrics"]["ap50"][0] <= 1
    assert (tmp_path / "generations.md").read_text(encoding="utf-8").count("\n") == 2 + 3
    assert (tmp_path / "generations.png").stat().st_size > 5000
