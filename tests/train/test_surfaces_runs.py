"""Whole runs of depth and normals on rendered surfaces: they train, report, and draw and write what they predict."""

import dataclasses
import functools
import importlib
import json
import types

import flax.linen as nn
import numpy as np
import pytest
from PIL import Image

import zoo.catalog
from tests.train import harness
from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.surfaces import Surfaces
from train.engine import finish
from train.engine.assemble import assemble
from train.report import theme
from train.tasks.surfaces.task import CONSTANT
from train.use.predict import predict_images
from zoo.catalog import Ref
from zoo.nn import BatchNorm, Conv

surfaces = importlib.import_module("train.data.sources.surfaces")  # beside a function of that name
WRITE_REPORT = finish.write_report


class Maps(nn.Module):
    """A backbone of one map, quick to compile."""

    num_classes: int = 0
    dtype: object = None
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, train=False, features=False):
        x = Conv(4, (3, 3), 4, 1, name="stage1")(images)
        x = nn.relu(BatchNorm(axis_name=self.axis_name, name="norm")(x, not train))
        return {"stage1": x} if features else x.mean(axis=(1, 2))


@pytest.fixture(scope="module")
def small(engine):
    """A context of few scenes and a small network, in which drawings are coarse."""
    catalog = zoo.catalog.CATALOG
    maps = dataclasses.replace(catalog["cifar_resnet8"], name="maps", builder=f"{__name__}:Maps", options={})
    options = {"backbone": Ref("maps", num_classes=0), "width": 2}
    network = dataclasses.replace(catalog["surfaces_tiny"], name="surfaces_maps", options=options)
    with engine(), pytest.MonkeyPatch.context() as patch:
        rows = {"maps": maps, "surfaces_maps": network}
        patch.setattr("zoo.catalog.CATALOG", types.MappingProxyType({**catalog, **rows}))
        patch.setattr(surfaces, "COUNTS", {"train": 8, "test": 7})
        patch.setattr(surfaces, "_rendered", functools.cache(surfaces._rendered.__wrapped__))
        patch.setattr(theme, "DPI", 24)
        yield


@pytest.fixture(scope="module")
def recipe():
    """A batch that the test split does not fill, for two epochs; some pixels come in from outside, of nan."""
    return Recipe(
        name="surfaces",
        model=Model("surfaces_maps"),
        data=Data(source="surfaces", batch_size=4, eval_batch_size=4),
        augment=Augment(pad_crop=4, flip=True, mean=(0.6, 0.6, 0.6), std=(0.2, 0.2, 0.2)),
        task=Surfaces(maps=("normals", "depth")),
        optimizer=Optimizer("adam", learning_rate=1e-2),
        schedule=Schedule("constant"),
        epochs=2,
        log_every=1,
    )


@pytest.fixture(scope="module")
def finished(small, recipe, tmp_path_factory):
    """The folder and the outcome of a run, and what draws its report, which is left to one test."""
    path, reports = tmp_path_factory.mktemp("surfaces") / "run", []

    def later(files, *rest):
        reports.append(functools.partial(WRITE_REPORT, files, *rest))
        harness.write_no_report(files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", later)
        outcome = harness.run(recipe, path)
    return path, outcome, reports[0]


def test_run_measures_what_it_learned_beside_constants(finished):
    path, outcome, _ = finished
    evaluations = harness.lines(path, "eval")
    assert [line["step"] for line in evaluations] == [2, 4]
    for name in ("angle", "abs_rel"):
        assert outcome.metrics[name] > 0
        assert evaluations[-1][name + CONSTANT] == evaluations[0][name + CONSTANT] > 0.2
    losses = [line["loss"] for line in harness.lines(path, "train")]
    assert np.isfinite(losses).all()


def test_report_shows_the_worst_and_the_best(finished):
    path, _, draw = finished
    draw()
    html = (path / "report.html").read_text(encoding="utf-8")
    for words in ("<h2>Errors</h2>", "<h2>Angles</h2>", "<h2>Worst examples</h2>", "<h2>Best examples</h2>"):
        assert words in html
    assert (path / "predictions.png").stat().st_size


def test_prediction_of_a_file_is_drawn_and_written_in_its_own_pixels(finished, tmp_path):
    path = finished[0]
    Image.fromarray(np.full((40, 100, 3), 90, np.uint8)).save(tmp_path / "wide.png")
    (record,) = predict_images(path, (tmp_path / "wide.png",), output=tmp_path / "out")
    (written,) = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(record))
    assert (record["width"], record["height"]) == (100, 40)
    assert record["depth"]["nearest"] <= record["depth"]["mean"] <= record["depth"]["furthest"]
    with np.load(tmp_path / "out" / "wide.npz") as maps:
        assert {name: values.shape for name, values in maps.items()} == {"depth": (40, 100, 1), "normals": (40, 100, 3)}
        np.testing.assert_allclose(np.linalg.norm(maps["normals"], axis=-1), 1, rtol=1e-5)
        assert maps["depth"].min() > 0
    with Image.open(tmp_path / "out" / "wide.png") as picture:
        assert picture.mode == "RGB"


def test_network_that_predicts_no_such_maps_is_refused(recipe):
    with pytest.raises(KeyError, match="predicts"):
        assemble(dataclasses.replace(recipe, model=Model("cifar_resnet8")))
