"""What is seen in frames and in flow, and without background: what differs between arms, and which stories hold."""

import dataclasses
import math
import sys

import numpy as np
import pytest

import zoo
from train.config import RunError
from train.config.tasks.video import VideoClassification
from train.data.sources import moving_clips as source
from train.engine.console import Console
from train.experiments import EXPERIMENTS, SeededOptions
from train.experiments.study import Result, Study
from train.experiments.video import context, motion
from train.experiments.video.held_out import accuracy

clips = sys.modules[source.__module__]


def test_networks_differ_in_what_they_are_given_and_sorts_of_clips_in_nothing_else():
    study = motion.study(SeededOptions(seed=3))
    assert (study.name in EXPERIMENTS, study.first, study.seeds) == (True, 3, 1)
    assert [recipe.task.sees for recipe in study.arms.values()] == ["frame", "flow", "frame_and_flow", "clip"] * 2
    for network in motion.NETWORKS:
        one, other = (study.arms[motion.arm_of(network, what)] for what in (motion.MOTION, motion.BOTH))
        assert (one.data.source, other.data.source) == ("moving_clips:motion", "moving_clips:both")
        assert dataclasses.replace(one, name=other.name, data=other.data) == other
    alike = {
        (recipe.optimizer, recipe.schedule, recipe.epochs, recipe.data.batch_size) for recipe in study.arms.values()
    }
    assert len(alike) == 1
    paper = motion.recipes_of(SeededOptions(scale="paper"))
    assert [recipe.epochs for recipe in paper.values()] == [2 * recipe.epochs for recipe in study.arms.values()]


def test_chance_and_what_a_frame_can_say_follow_from_the_classes():
    for what, chance in motion.CHANCE.items():
        assert chance == 1 / len(clips.CLASSES[what])
    digits = {name.split()[0] for name in clips.CLASSES["both"]}
    assert motion.ALONE[motion.BOTH] == len(digits) / len(clips.CLASSES["both"])
    assert motion.ALONE[motion.MOTION] == motion.CHANCE[motion.MOTION]


def results_of(experiment, rows):
    """Two seeds a point apart, in percent."""
    return {
        arm: Result({name: [value / 100 - 0.005, value / 100 + 0.005] for name, value in metrics.items()})
        for arm, metrics in rows.items()
    }


def of_motion(**changed):
    said = {
        (motion.FRAME, motion.MOTION): 11,
        (motion.FLOW, motion.MOTION): 90,
        (motion.MEAN, motion.MOTION): 88,
        (motion.LEARNED, motion.MOTION): 91,
        (motion.CLIP, motion.MOTION): 80,
        (motion.FRAME, motion.BOTH): 25,
        (motion.FLOW, motion.BOTH): 70,
        (motion.MEAN, motion.BOTH): 95,
        (motion.LEARNED, motion.BOTH): 96,
        (motion.CLIP, motion.BOTH): 85,
    }
    keys = {"spatial": (motion.FRAME, motion.MOTION), "mean": (motion.MEAN, motion.BOTH)}
    said |= {keys[name]: value for name, value in changed.items()}
    return results_of(motion, {motion.arm_of(*key): {"accuracy": value} for key, value in said.items()})


def test_the_story_of_streams_is_a_verdict_of_yes_and_others_are_not():
    assert list(motion.claims(of_motion()).values()) == [True] * 5
    assert list(motion.claims(of_motion(spatial=40)).values()) == [False, True, True, True, True]
    assert list(motion.claims(of_motion(mean=69)).values()) == [True, True, True, True, False]
    assert not motion.claims(of_motion(mean=math.nan))["and the mean of both streams is ahead of either"]


def test_the_table_has_every_network_and_the_papers():
    table = motion.table(of_motion())
    for words in (
        *motion.PUBLISHED.values(),
        "| one frame | 11.0 ± 0.7 | 25.0 ± 0.7 |",
        "8.3",
        "the most of one frame",
    ):
        assert words in table
    assert motion.figure(of_motion()).axes


def test_the_mean_of_streams_is_that_of_their_probabilities(tmp_path, monkeypatch):
    """Two streams that are each right where the other is not sure."""
    labels = np.array([0, 1, 2, 2])
    spatial = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.1, 0.1, 0.8], [0.9, 0.1, 0.0]])
    temporal = np.array([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.4, 0.3, 0.3], [0.0, 0.2, 0.8]])
    study = motion.study(SeededOptions(seed=1))
    monkeypatch.setattr(Study, "train", lambda self, workdir, console: {arm: Result({}) for arm in self.arms})
    with pytest.raises(RunError, match="expected what the run says of each held-out video"):
        study.train(tmp_path, Console(quiet=True))
    for what in (motion.MOTION, motion.BOTH):
        for network, chances in ((motion.FRAME, spatial), (motion.FLOW, temporal)):
            folder = tmp_path / study.arms[motion.arm_of(network, what)].name / "seed-1"
            folder.mkdir(parents=True)
            np.savez(folder / "held_out.npz", chances=chances, labels=labels)
    found = study.train(tmp_path, Console(quiet=True))
    for what in (motion.MOTION, motion.BOTH):
        assert found[motion.arm_of(motion.MEAN, what)].metrics["accuracy"] == [0.75]
    assert (accuracy(spatial, labels), accuracy(temporal, labels)) == (0.5, 0.75)


def of_context(all_frames=(99, 20, 90, 60), flow=(80, 75, 10, 8)):
    rows = dict(zip(context.NETWORKS, (all_frames, flow), strict=True))
    return results_of(
        context, {arm: dict(zip(context.SETTINGS.values(), row, strict=True)) for arm, row in rows.items()}
    )


def test_the_order_of_settings_is_read_off_their_means():
    assert context.order_of(of_context(), context.CLIP) == context.SLIDE
    assert list(context.claims(of_context()).values()) == [True] * 4
    knows_actors = of_context((99, 90, 12, 5))
    assert list(context.order_of(knows_actors, context.CLIP).values()) == [1, 2, 3, 4]
    assert next(iter(context.claims(knows_actors).values())) is False


def test_the_table_says_the_slides_order_and_that_it_is_our_reading():
    table = context.table(of_context())
    assert "| the slide's, as we read it | 1 | 4 | 2 | 3 |" in table
    assert "which belongs to which is our reading" in table
    assert "| flow alone, place | 1 | 2 | 3 | 4 |" in table
    assert context.figure(of_context()).axes


def test_every_setting_is_a_source_and_training_sees_normal_videos_alone():
    study = context.study(SeededOptions())
    assert {recipe.data.source for recipe in study.arms.values()} == {"moving_clips:context"}
    for name in context.SETTINGS.values():
        if name != "accuracy":
            assert name.removeprefix("accuracy_") in clips.CLASSES
    assert study.measure is context.measure
    assert "context" in EXPERIMENTS


def test_recipes_name_models_of_the_catalog_and_clips_that_are_there():
    from train.recipes.video import RECIPES

    for recipe in RECIPES:
        assert zoo.describe(recipe.model.name).inputs
        kind, _, what = recipe.data.source.partition(":")
        assert kind == "tfds" or what.partition(":")[0] in clips.CLASSES
        if isinstance(recipe.task, VideoClassification):
            assert recipe.data.flow == ("flow" in recipe.task.sees)
