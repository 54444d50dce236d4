"""Whole runs of optical flow on moving digits: they train, report, and predict files, pairs after pairs."""

import functools
import importlib
import json

import numpy as np
import pytest
from PIL import Image

from tests.train import harness
from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.flow import Flow
from train.data.flow_files import read_flo
from train.engine import finish
from train.report import theme
from train.use.predict import predict_images
from train.use.predictor import PredictError

moving = importlib.import_module("train.data.sources.moving")  # beside a function of that name


@pytest.fixture(scope="module")
def finished(engine, tmp_path_factory):
    """A run of two epochs on few pairs, with a thin network."""
    thin = ("widths=(4,6)", "estimator=(6,)", "context=(4,)", "dilations=(1,)", "radius=1")
    recipe = Recipe(
        name="moving",
        model=Model("pwc_tiny", options=thin),
        data=Data(source="moving", batch_size=4, eval_batch_size=4),
        augment=Augment(flip=True, pad_crop=4, mean=(0.3,), std=(0.2,)),
        task=Flow(),
        optimizer=Optimizer("adam", learning_rate=1e-3),
        schedule=Schedule("constant"),
        epochs=2,
        log_every=1,
    )
    with engine(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "COUNTS", {"train": 8, "test": 6})
        patch.setattr(moving, "_composed", functools.cache(moving._composed.__wrapped__))
        patch.setattr(theme, "DPI", 24)
        path = tmp_path_factory.mktemp("flow") / "run"
        yield path, harness.run(recipe, path), finish


def test_run_measures_errors_beside_those_of_no_motion(finished):
    path, outcome, _ = finished
    flow = moving.moving("test").arrays()["flow"]
    assert outcome.metrics["epe_zero"] == pytest.approx(np.linalg.norm(flow, axis=-1).mean(), rel=1e-4)
    assert {"epe", "epe_visible", "fl_all"} <= outcome.metrics.keys()
    losses = [line["loss"] for line in harness.lines(path, "train")]
    assert np.isfinite(losses).all()


def test_consecutive_files_are_predicted_as_pairs(finished, tmp_path):
    path = finished[0]
    folder = tmp_path / "frames"
    folder.mkdir()
    random = np.random.default_rng(0)
    files = tuple(folder / f"{name}.png" for name in "abc")
    for file in files:
        Image.fromarray(random.integers(0, 256, (48, 96, 3)).astype(np.uint8)).save(file)
    records = predict_images(path, files, output=tmp_path / "out")
    assert [record["image"] for record in records] == [str(file) for file in files[:2]]
    assert [record["following"] for record in records] == [[str(file)] for file in files[1:]]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "a.flo",
        "a.png",
        "b.flo",
        "b.png",
        "predictions.json",
    ]
    flow = read_flo(tmp_path / "out" / "b.flo")
    assert flow.shape == (48, 96, 2)  # of the file, not of what the model saw
    assert np.linalg.norm(flow, axis=-1).mean() == pytest.approx(records[1]["mean"], rel=1e-5)
    written = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(records))
    with pytest.raises(PredictError, match="expected at least 2 images, one after the other, got 1"):
        predict_images(path, files[:1])
