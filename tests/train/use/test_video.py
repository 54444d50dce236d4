"""Predictions of videos: every frame, its time and its number, in memory for a few frames at a time."""

import functools
import json
import shutil
import sys
import weakref
from fractions import Fraction

import numpy as np
import PIL.Image
import pytest

from tests.train.data.test_video_file import TIMES, ramp, written
from train import cli
from train.config import DataError
from train.data.video_file import Video, VideoError
from train.engine.console import Console
from train.tasks.detection.task import Detection
from train.tasks.segmentation.task import Segmentation
from train.use.predict import predict_images
from train.use.predictor import Predictor, Ready
from train.use.video import BATCH, predict_videos

QUIET = Console(quiet=True)
COUNT = 2 * BATCH + 3


class Brightness(Predictor):
    """Says how bright a picture is; its own is larger where it is brighter."""

    def __init__(self, grows=False):
        self.traced = self.alive = 0
        self.grows = grows
        self.pictures = []

    @functools.cached_property
    def ready(self):
        return Ready("eye", self._measure, None)

    def _measure(self, variables, batch):
        self.traced += 1
        return {"mean": batch["image"].astype("float32").mean((1, 2, 3))}

    def example(self, picture):
        self.pictures.append(weakref.ref(picture))
        self.alive = max(self.alive, sum(picture() is not None for picture in self.pictures))
        return {"image": np.asarray(picture)}

    def record(self, size, predicted):
        return {"mean": float(predicted["mean"]), "size": size, "text": "bright"}

    def drawn(self, picture, example, predicted):
        pixels = np.asarray(picture())
        return np.pad(pixels, ((0, 20 * (self.grows and predicted["mean"] > 100)), (0, 1), (0, 0)))


@pytest.fixture
def clip(tmp_path):
    return written(tmp_path / "clip.mp4", ramp(COUNT), [Fraction(i, 10) for i in range(COUNT)])


def read(path):
    with Video(path) as video:
        return list(video)


def test_every_frame_is_predicted_by_one_program_and_keeps_its_time(clip, tmp_path):
    predictor = Brightness()
    (done,) = predict_videos(predictor, [clip], tmp_path / "out", QUIET)
    assert (done.frames, predictor.traced) == (COUNT, 1)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"clip.mp4", "clip.json"}
    records = json.loads(done.records.read_text(encoding="utf-8"))
    assert [record["frame"] for record in records] == list(range(COUNT))
    assert [record["seconds"] for record in records] == pytest.approx(np.arange(COUNT) / 10, abs=1e-4)
    before, after = read(clip), read(done.video)
    means = [np.asarray(frame.picture).mean() for frame in before]
    assert [record["mean"] for record in records] == pytest.approx(means, abs=1e-3)
    assert [float(frame.time) for frame in after] == pytest.approx([float(frame.time) for frame in before], abs=1e-4)
    assert {frame.picture.size for frame in after} == {(66, 48)}  # 65 pixels wide, and H.264 takes even numbers
    for old, new in zip(before, after, strict=True):
        assert np.abs(np.asarray(old.picture, float) - np.asarray(new.picture, float)[:, :64]).mean() < 6


def test_pictures_of_one_batch_are_in_memory_at_a_time(clip, tmp_path):
    predictor = Brightness()
    predict_videos(predictor, [clip], tmp_path / "out", QUIET)
    assert BATCH <= predictor.alive <= 2 * BATCH < COUNT


def test_pictures_that_grow_are_fitted_into_the_first(clip, tmp_path):
    (done,) = predict_videos(Brightness(grows=True), [clip], tmp_path / "out", QUIET)
    assert {frame.picture.size for frame in read(done.video)} == {(66, 48)}


def test_videos_of_one_name_get_files_of_their_own_and_no_video_is_written_over(clip, tmp_path):
    (tmp_path / "other").mkdir()
    twin = shutil.copy(clip, tmp_path / "other" / "clip.mp4")
    done = predict_videos(Brightness(), [clip, twin], tmp_path / "out", QUIET)
    assert [each.records.name for each in done] == ["clip.json", "clip-2.json"]
    before = clip.read_bytes()
    with pytest.raises(DataError, match="expected another folder for what is written"):
        predict_videos(Brightness(), [clip], tmp_path, QUIET)
    assert clip.read_bytes() == before


def test_a_video_that_breaks_off_leaves_nothing_half_written(clip, tmp_path, monkeypatch):
    def broken(self, size, predicted):
        if predicted["mean"] > 100:
            raise KeyboardInterrupt
        return {"text": ""}

    monkeypatch.setattr(Brightness, "record", broken)
    with pytest.raises(KeyboardInterrupt):
        predict_videos(Brightness(), [clip], tmp_path / "out", QUIET)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("runs")
def test_a_run_says_of_each_frame_what_it_says_of_an_image_of_it(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    clip = written(tmp_path / "clip.mp4", ramp(3), TIMES[:3], Fraction(20, 3))
    photograph = tmp_path / "one.png"
    PIL.Image.fromarray(ramp(1)[0]).save(photograph)
    assert cli.main(["predict", str(whole[0]), str(clip), str(photograph), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "3 frames, " in printed
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "clip.mp4", "clip.json", "one.png", "predictions.json",
    }  # fmt: skip
    records = json.loads((tmp_path / "out/clip.json").read_text(encoding="utf-8"))
    last = tmp_path / "last.png"
    read(clip)[-1].picture.save(last)
    (expected,) = predict_images(whole[0], (last,), console=QUIET)
    assert records[-1]["text"] == expected["text"]
    assert dict(records[-1]["scores"]) == pytest.approx(dict(expected["scores"]), abs=1e-5)
    assert len({frame.picture.size for frame in read(tmp_path / "out/clip.mp4")}) == 1


def test_what_cannot_be_done_with_a_video_is_said(whole, clip, tmp_path, capsys, monkeypatch):
    weights = ["--weights", str(whole[0] / "model.safetensors"), "--model.name", "tiny"]
    assert cli.main(["predict", str(clip), *weights]) == 2
    assert "expected --output DIR with a video" in capsys.readouterr().err
    (tmp_path / "text.mp4").write_text("no video")
    assert cli.main(["predict", str(whole[0]), str(tmp_path / "text.mp4"), "--output", str(tmp_path / "out")]) == 1
    assert "text.mp4: expected a readable video" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match=r"\[video\]"):
        predict_videos(Brightness(), [clip], tmp_path / "out", QUIET)


def test_pictures_of_images_of_one_size_have_one_size_whatever_is_predicted():
    """So that frames of a video are not fitted; `Page.picture` promises it."""
    names, image = tuple(map(str, range(10))), {"image": np.zeros((40, 60, 3), np.uint8)}
    boxes = np.tile(np.float32([5, 5, 30, 30]), (10, 1))
    detections = {"boxes": boxes, "classes": np.arange(10), "scores": np.ones(10, np.float32)}
    page = Detection(names).page()
    drawn = [page.picture(image, {**detections, "valid": np.arange(10) < count}) for count in (0, 1, 10)]
    assert len({picture.shape for picture in drawn}) == 1
    page = Segmentation(names, 0, -1).page()
    maps = [np.full((40, 60), 3), np.arange(2400).reshape(40, 60) % 10]
    assert len({page.picture(image, {"label_map": labels}).shape for labels in maps}) == 1
