"""Whole runs of detection on scenes: they train, resume, report, draw what they predict, and compile once."""

import dataclasses
import functools
import importlib
import json
import shutil
import types

import jax
import numpy as np
import pytest
from PIL import Image

import zoo.catalog
from tests.train import harness
from train.config import Augment, Data, Model, Optimizer, Recipe, RecipeError, RunError, Schedule
from train.config.tasks.detection import Detection
from train.data.rle import decoded
from train.engine import finish
from train.engine.assemble import assemble
from train.engine.console import Console
from train.report import theme
from train.store.workdir import Workdir
from train.use.evaluate import evaluate_run
from train.use.open_run import flipping
from train.use.predict import predict_images

scenes = importlib.import_module("train.data.sources.scenes")  # beside a function of that name
WRITE_REPORT = finish.write_report
TERMS = {"objectness", "box", "classes", "mask", "keypoints"}
SCENES = Recipe(
    name="scenes",
    model=Model("cells"),
    data=Data(source="scenes", batch_size=4, eval_batch_size=4),
    augment=Augment(pad_crop=6, flip=True, mean=(0.3, 0.3, 0.3), std=(0.2, 0.2, 0.2)),
    task=Detection(masks=True, keypoints=True),
    optimizer=Optimizer("adam", learning_rate=1e-2, ema=0.9),
    schedule=Schedule("constant"),
    epochs=3,
    log_every=1,
)


@pytest.fixture(scope="module")
def small(engine):
    """A context of few scenes and the smallest detector, in which drawings are coarse."""
    builder = "tests.train.tasks.detection.cells:CellDetector"
    row = dataclasses.replace(zoo.catalog.CATALOG["cifar_resnet8"], name="cells", builder=builder, options={})
    with engine(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.catalog.CATALOG", types.MappingProxyType({**zoo.catalog.CATALOG, "cells": row}))
        patch.setattr(scenes, "COUNTS", {"train": 8, "test": 7})
        patch.setattr(scenes, "_composed", functools.cache(scenes._composed.__wrapped__))
        patch.setattr(theme, "DPI", 24)
        yield


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    """The folder and the outcome of a run, the step before which each program was compiled, and its report."""
    path, reports, at, compiled = tmp_path_factory.mktemp("detection") / "run", [], [-1], []
    advance = harness.MemoryFeed.advance

    def later(files, *rest):
        reports.append(functools.partial(WRITE_REPORT, files, *rest))
        harness.write_no_report(files)

    def noted(self, state, step, *rest):
        at.append(step)
        return advance(self, state, step, *rest)

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(at[-1])

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(finish, "write_report", later)
            patch.setattr(harness.MemoryFeed, "advance", noted)
            outcome = harness.run(SCENES, path)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return path, outcome, compiled, reports[0]


def test_run_learns_and_every_term_is_in_its_lines(finished):
    path, outcome, *_ = finished
    first, *_, last = harness.lines(path, "train")
    assert first.keys() >= TERMS
    assert last["loss"] < first["loss"]
    assert last["loss"] == pytest.approx(sum(last[name] for name in TERMS), rel=1e-5)
    evaluated = harness.lines(path, "eval")
    assert [line["step"] for line in evaluated] == [2, 4, 6]
    assert evaluated[-1].keys() >= {"ap50", "ema_ap50", "ema_loss", *TERMS}
    assert np.isfinite(outcome.metrics["loss"])


def test_resumed_run_equals_the_uninterrupted_one(finished, tmp_path):
    path, outcome, *_ = finished
    copy = shutil.copytree(path, tmp_path / "run")
    shutil.rmtree(copy / "checkpoints" / "6")  # as if the power had failed in the last epoch
    for file in (Workdir(copy).report, Workdir(copy).fingerprint):
        file.unlink()
    assert harness.run(SCENES, copy, resume=True).fingerprint == outcome.fingerprint
    harness.check_lines(copy, path)


@pytest.mark.slow  # draws 14 figures
def test_report_shows_curves_best_and_worst_images_and_boxes_over_the_run(finished):
    path, *_, draw = finished
    draw()
    html = (path / "report.html").read_text(encoding="utf-8")
    for words in ("Average precision", "Classes", "Boxes over the run", "Best examples", "Worst examples"):
        assert f"<h2>{words}</h2>" in html
    assert (path / "predictions.png").stat().st_size
    assert [step for step, _ in Workdir(path).read_seen()] == [2, 4, 6]


def test_prediction_of_an_image_file_is_drawn_and_written_as_coco_has_it(finished, tmp_path):
    wide = tmp_path / "wide.png"
    Image.open(finished[0] / "example.png").resize((96, 48)).save(wide)
    (record,) = predict_images(finished[0], (wide,), output=tmp_path / "out")
    (written,) = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(record))
    assert (written["width"], written["height"]) == (96, 48)
    assert written["detections"]
    for said in written["detections"]:
        left, top, width, height = said["bbox"]
        assert 0 <= left <= left + width <= 96.01
        assert 0 <= top <= top + height <= 48.01
        assert said["segmentation"]["size"] == [48, 96]
        assert decoded(said["segmentation"], 48, 96).shape == (48, 96)
        assert len(said["keypoints"]) == 2 * 3
    with Image.open(tmp_path / "out" / "wide.png") as picture:
        assert picture.mode == "RGB"


def test_a_run_is_measured_and_predicts_with_its_moving_average_and_with_flips(finished):
    path, outcome, *_ = finished
    quiet = Console(quiet=True)
    flipped = evaluate_run(path, console=quiet, flips=True)
    assert flipped.keys() == outcome.metrics.keys()
    assert flipped["loss"] == pytest.approx(outcome.metrics["loss"], rel=1e-5)  # of the images as they are
    image = (Workdir(path).example,)
    usual, average, both = (
        predict_images(path, image, console=quiet, **how)[0]["detections"]
        for how in ({}, {"ema": True}, {"flips": True})
    )
    boxes = [[each["bbox"] for each in found] for found in (usual, average, both)]
    assert boxes[0] != boxes[1]
    assert boxes[0] != boxes[2]
    assert set(map(tuple, boxes[0])) & set(map(tuple, boxes[2]))  # what is surer in the image as it is stays


def test_flips_are_of_tasks_that_have_them():
    with pytest.raises(RunError, match="--flips: classification does not predict mirror images too"):
        flipping(Recipe(), {"class_names": ["a"]})


def test_no_program_is_compiled_after_the_first_epoch(finished):
    """Ragged numbers of objects and a last batch that is not full are data, not shapes."""
    compiled = finished[2]
    assert 0 in compiled
    assert [step for step in compiled if step in (2, 3)] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"data": Data(source="digits")},
            "detection on digits: expected examples with boxes, classes, masks, keypoints",
        ),
        ({"model": Model("cifar_resnet8")}, "such as fasterrcnn_resnet50_fpn, got CifarResNet"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(small, changes, said):
    with pytest.raises(RecipeError) as refused:
        assemble(dataclasses.replace(SCENES, **changes))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow  # a run of its own
def test_a_detector_that_is_given_proposals_trains_and_predicts_with_them(small, tmp_path, monkeypatch):
    def search(image, most):
        """A grid, in place of selective search, which needs OpenCV."""
        corners = np.stack(np.meshgrid(np.arange(0, 48, 12), np.arange(0, 48, 12)), -1).reshape(-1, 2)
        return np.concatenate([corners, corners + 16], axis=1)[:most].astype(np.float32)

    monkeypatch.setattr("train.data.proposed.selective_search", search)
    options = ("map='stage3'", "hidden=(8,)", "box_batch_size_per_image=8", "box_score_thresh=0.0")
    data = dataclasses.replace(SCENES.data, proposals=20)
    recipe = dataclasses.replace(
        SCENES, model=Model("fast_rcnn_tiny", options=options), data=data, task=Detection(), epochs=1
    )
    recipe = dataclasses.replace(recipe, augment=dataclasses.replace(SCENES.augment, flip=False))
    outcome = harness.run(recipe, tmp_path / "run")
    assert np.isfinite(outcome.metrics["loss"])
    assert {"class", "box"} <= outcome.metrics.keys()
    (record,) = predict_images(tmp_path / "run", (Workdir(tmp_path / "run").example,))
    assert record["detections"]
    with pytest.raises(RecipeError, match=r"is given proposals: expected data.proposals of at least 1, got 0"):
        assemble(dataclasses.replace(recipe, data=SCENES.data))
    with pytest.raises(RecipeError, match=r"CellDetector makes proposals of its own, or none: expected"):
        assemble(dataclasses.replace(recipe, model=Model("cells")))
