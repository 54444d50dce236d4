"""Whole runs of segmentation on scenes: they train, resume bit by bit, report, and draw what they predict."""

import dataclasses
import functools
import importlib
import json
import shutil
import types

import flax.linen as nn
import numpy as np
import pytest
from PIL import Image

import zoo.catalog
from tests.train import harness
from train.config import Augment, Data, Model, Optimizer, Recipe, RecipeError, Schedule
from train.config.tasks.segmentation import Segmentation
from train.engine import finish
from train.engine.assemble import assemble
from train.report import theme
from train.store.workdir import Workdir
from train.tasks.segmentation.task import MEAN_IOU
from train.use.predict import predict_images
from zoo.names import UnknownNameError
from zoo.nn import BatchNorm, Conv

scenes = importlib.import_module("train.data.sources.scenes")  # beside a function of that name
WRITE_REPORT = finish.write_report


class Maps(nn.Module):
    """A backbone of two maps, quick to compile."""

    num_classes: int = 0
    dtype: object = None
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, train=False, features=False):
        named, x = {}, images
        for name, strides in (("stage1", 4), ("stage2", 2)):
            x = Conv(4, (3, 3), strides, 1, name=name)(x)
            named[name] = x = nn.relu(BatchNorm(axis_name=self.axis_name, name=f"{name}_norm")(x, not train))
        return named if features else x.mean(axis=(1, 2))


@pytest.fixture(scope="module")
def small(engine):
    """A context of few scenes and a small backbone, in which drawings are coarse."""
    row = dataclasses.replace(zoo.catalog.CATALOG["cifar_resnet8"], name="maps", builder=f"{__name__}:Maps", options={})
    with engine(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.catalog.CATALOG", types.MappingProxyType({**zoo.catalog.CATALOG, "maps": row}))
        patch.setattr(scenes, "COUNTS", {"train": 8, "test": 7})
        patch.setattr(scenes, "_composed", functools.cache(scenes._composed.__wrapped__))
        patch.setattr(theme, "DPI", 24)
        for split in scenes.COUNTS:
            scenes.scenes(split)
        yield


def recipe(**changes):
    """Shifted and mirrored scenes, a batch that the test split does not fill, for two epochs."""
    base = Recipe(
        name="scenes",
        model=Model("maps"),
        data=Data(source="scenes", batch_size=4, eval_batch_size=4),
        augment=Augment(pad_crop=6, flip=True, mean=(0.3, 0.3, 0.3), std=(0.2, 0.2, 0.2)),
        task=Segmentation(),
        optimizer=Optimizer("sgd", learning_rate=1e-2),
        schedule=Schedule("constant"),
        epochs=2,
        log_every=1,
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    """The folder and the outcome of a run, and what draws its report, which is left to one test."""
    path, reports = tmp_path_factory.mktemp("segmentation") / "run", []

    def later(files, *rest):
        reports.append(functools.partial(WRITE_REPORT, files, *rest))
        harness.write_no_report(files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", later)
        outcome = harness.run(recipe(), path)
    return path, outcome, reports[0]


def test_run_measures_what_it_learned(finished):
    path, outcome, _ = finished
    assert {MEAN_IOU.name, "loss"} <= outcome.metrics.keys()
    assert np.isfinite(outcome.metrics["loss"])
    assert [line["step"] for line in harness.lines(path, "eval")] == [2, 4]


def test_report_shows_what_the_run_learned(finished):
    path, _, draw = finished
    draw()
    html = (path / "report.html").read_text(encoding="utf-8")
    for words in ("<h2>Classes</h2>", "<h2>Examples</h2>", "<h2>Worst examples</h2>", f"test {MEAN_IOU.title}"):
        assert words.lower() in html.lower()
    assert (path / "predictions.png").stat().st_size


def test_resumed_run_equals_the_uninterrupted_one(finished, tmp_path):
    path, outcome, _ = finished
    copy = shutil.copytree(path, tmp_path / "run")
    shutil.rmtree(copy / "checkpoints" / "4")  # as if the power had failed in the second epoch
    for file in (Workdir(copy).report, Workdir(copy).fingerprint):
        file.unlink()
    assert harness.run(recipe(), copy, resume=True).fingerprint == outcome.fingerprint
    harness.check_lines(copy, path)


def test_prediction_of_an_image_file_is_drawn_and_written_down(finished, tmp_path):
    path = finished[0]
    (record,) = predict_images(path, (path / "example.png",), output=tmp_path)
    (written,) = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(record))
    assert sum(length for _, length in written["runs"]) == 64 * 64
    with Image.open(tmp_path / "example.png") as picture:
        assert picture.mode == "RGB"
        assert min(picture.size) > 200


def test_labels_are_written_in_the_pixels_of_the_picture(finished, tmp_path):
    path = finished[0]
    with Image.open(path / "example.png") as example:
        example.convert("RGB").resize((100, 40)).save(tmp_path / "wide.png")
    (record,) = predict_images(path, (tmp_path / "wide.png",), output=tmp_path / "out")
    with Image.open(tmp_path / "out" / "wide.labels.png") as labels:
        written = np.asarray(labels)
    assert written.shape == (record["height"], record["width"]) == (40, 100)
    again = np.concatenate([np.full(length, label) for label, length in record["runs"]])
    np.testing.assert_array_equal(written.ravel(), again)
    counts = np.bincount(written.ravel(), minlength=len(record["names"]))
    assert record["shares"] == {record["names"][label]: counts[label] / 4000 for label in np.flatnonzero(counts)}


def test_source_without_the_fields_is_refused_in_one_line():
    of_digits = recipe(data=Data(source="digits"), model=Model("cifar_resnet8"))
    with pytest.raises(RecipeError) as refused:
        assemble(of_digits)
    found = "found image uint8[8,8,1], label int32[]"
    assert str(refused.value) == f"segmentation on digits: expected examples with label_map, {found}"


def test_map_that_the_model_does_not_have_is_refused(small):
    with pytest.raises(UnknownNameError, match="stage22'; nearest: stage2"):
        assemble(recipe(task=Segmentation(maps=("stage22",))))
