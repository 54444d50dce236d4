"""Whole runs on clips: they train, go on, report, and predict video files."""

import functools
import json
import shutil
import sys
import types
from fractions import Fraction

import flax.linen as nn
import jax
import numpy as np
import PIL.Image
import pytest

import zoo.catalog
from tests.train import harness
from tests.train.data.test_video_file import ramp, written
from train import cli
from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.video import VideoClassification
from train.data import evaluation_batches, flowing, load, preprocess
from train.data.sources import moving_clips as source
from train.data.video_file import Video
from train.engine import finish
from train.experiments.video.held_out import accuracy, chances_of
from train.report import theme
from train.use.clip_predictor import RunClipPredictor, joined
from train.use.open_run import open_run

clips = sys.modules[source.__module__]
COUNTS = {"train": 24, "test": 6}
FRAMES, CLIPS = 8, 2


class Small(nn.Module):
    """Sees clips, or stacks of flow; quick to compile."""

    num_classes: int = 4
    dtype: type = np.float32

    @nn.compact
    def __call__(self, seen, train=False):
        x = nn.Dense(8)(seen.reshape(len(seen), -1)[:, ::7])
        return nn.Dense(self.num_classes)(nn.Dropout(0.1, deterministic=not train)(nn.relu(x)))


ENTRY = zoo.catalog.Entry("small_clips", f"{__name__}:Small", "video_classification", (8, 32, 32, 3), "", "")
CATALOG = types.MappingProxyType({**zoo.catalog.CATALOG, "small_clips": ENTRY})


def recipe(cache, epochs=2, **changes):
    data = {
        "frames": FRAMES,
        "batch_size": 8,
        "eval_batch_size": 5,
        "clips": CLIPS,
        "flow": True,
        "flow_cache": str(cache),
    }
    return Recipe(
        name="clips",
        model=Model("small_clips"),
        data=Data("moving_clips:motion", **data | changes),
        augment=Augment(pad_crop=2, mean=(0.3,), std=(0.2,)),
        task=VideoClassification(sees="flow"),
        optimizer=Optimizer("adam", learning_rate=1e-3),
        schedule=Schedule("constant"),
        epochs=epochs,
        log_every=1,
    )


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Few clips, the small network, and quick pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.catalog.CATALOG", CATALOG)
        patch.setattr(clips, "COUNTS", COUNTS)
        patch.setattr(clips, "_composed", functools.cache(clips._composed.__wrapped__))
        patch.setattr(theme, "DPI", 24)
        patch.setattr(flowing, "SETTINGS", {**flowing.SETTINGS, "num_warp": 1, "num_iter": 2})
        yield tmp_path_factory.mktemp("flow")


@pytest.fixture(scope="module")
def finished(few, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    return path, harness.run(recipe(few), path)


def test_a_run_measures_videos_and_clips_and_shows_strips(finished, few):
    path, outcome = finished
    assert {"accuracy", "clip_accuracy", "loss"} <= outcome.metrics.keys()
    assert np.isfinite([line["loss"] for line in harness.lines(path, "train")]).all()
    assert (path / "predictions.png").is_file()
    assert "Wrong predictions" in (path / "report.html").read_text(encoding="utf-8")
    run = open_run(path)
    assert run.spec["flows"].shape == (CLIPS * (FRAMES - 1), 32, 32, 2)
    _, variables = run.variables()
    (batch,) = evaluation_batches(load(recipe(few).data, "test"), COUNTS["test"])
    seen = preprocess(run.recipe.augment, run.spec)(batch)
    logits = np.asarray(jax.jit(run.model().apply)(variables, *run.task.inputs(seen)))
    logits = logits.reshape(COUNTS["test"], CLIPS, -1)
    assert outcome.metrics["clip_accuracy"] == pytest.approx(np.mean(logits.argmax(-1) == batch["label"][:, None]))


def test_resumed_run_equals_the_uninterrupted_one(finished, few, tmp_path):
    """Frames of clips, and the pixels of flow, are drawn again as they were."""
    path, outcome = finished
    copy = shutil.copytree(path, tmp_path / "copy")
    (copy / "fingerprint.json").unlink()
    shutil.rmtree(copy / "checkpoints" / str(outcome.step))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", harness.write_no_report)
        assert harness.run(recipe(few), copy, resume=True).fingerprint == outcome.fingerprint


def test_a_video_is_predicted_window_by_window_and_as_a_whole(finished, tmp_path, capsys):
    path, _ = finished
    count = 11
    film = written(tmp_path / "film.mp4", ramp(count), [Fraction(i, 10) for i in range(count)])
    assert cli.main(["predict", str(path), str(film), "--output", str(tmp_path / "out")]) == 0
    records = json.loads((tmp_path / "out" / "film.json").read_text(encoding="utf-8"))
    assert [record.get("frame") for record in records] == [0, 3, None]
    assert [record["seconds"] for record in records[:-1]] == pytest.approx([0, 0.3], abs=1e-4)
    assert records[-1]["whole"] is True
    for record in records:
        names = [name for name, _ in record["scores"]]
        assert sorted(names) == sorted(clips.CLASSES["motion"])
        assert sum(share for _, share in record["scores"]) == pytest.approx(1, abs=1e-5)
    with Video(tmp_path / "out" / "film.mp4") as video:
        frames = list(video)
    assert len(frames) == count
    assert [float(frame.time) for frame in frames] == pytest.approx(np.arange(count) / 10, abs=1e-4)
    assert f"({count} frames)" in capsys.readouterr().out


def test_the_whole_is_what_evaluation_says_of_the_same_video(finished, few, tmp_path):
    """A held-out clip as a file of its own: without loss, so that flow is that of its frames."""
    path, _ = finished
    folder = tmp_path / "film"
    folder.mkdir()
    run = open_run(path)
    (batch,) = evaluation_batches(load(recipe(few).data, "test"), COUNTS["test"])
    _, variables = run.variables()
    seen = preprocess(run.recipe.augment, run.spec)(batch)
    model = run.model()
    apply = jax.jit(lambda params, *inputs: (model.apply(params, *inputs), {}))
    expected = run.task.predict(apply, variables, seen, None)["logits"][0]
    frames = clips.moving_clips("motion", "test")[0]["clip"]
    of = RunClipPredictor(run)
    numbers = of.sampling.still(np.arange(len(frames)) / 25).reshape(CLIPS, FRAMES)
    (predicted,) = of.predict([joined(of.example(frames[clip]) for clip in numbers)], 1)
    np.testing.assert_allclose(predicted["logits"], expected, atol=1e-4)


def test_experiments_ask_a_run_of_its_own_test_and_of_others(finished):
    path, outcome = finished
    chances, labels = chances_of(path)
    assert accuracy(chances, labels) == pytest.approx(outcome.metrics["accuracy"])
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    others, same = chances_of(path, "moving_clips:no_actor")
    np.testing.assert_array_equal(same, labels)
    assert np.abs(others - chances).max() > 1e-4


@pytest.mark.parametrize(
    ("name", "count", "said"),
    [("short.mp4", 5, "expected at least 8 frames for a clip of 8, found 5"), ("image.png", 0, "expected videos, got")],
)
def test_what_is_no_clip_is_named_and_nothing_is_written(finished, tmp_path, capsys, name, count, said):
    file = tmp_path / name
    if count:
        written(file, ramp(count), [Fraction(i, 10) for i in range(count)])
    else:
        PIL.Image.new("RGB", (32, 32)).save(file)
    assert cli.main(["predict", str(finished[0]), str(file), "--output", str(tmp_path / "out")]) == 1
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list((tmp_path / "out").glob("*"))
