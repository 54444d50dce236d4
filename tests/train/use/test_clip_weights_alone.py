"""A network of clips with weights alone: which frames it sees, prepared as published, and what is refused."""

import dataclasses
import json
import types
from fractions import Fraction

import flax.linen as nn
import jax
import numpy as np
import PIL.Image
import pytest
from scipy.special import log_softmax, softmax

import zoo
import zoo.catalog
from tests.train.data.test_video_file import ramp, written
from train import cli
from train.data.video_file import Video
from train.use.clip_predictor import WeightsClipPredictor
from train.use.with_weights import WeightsAloneError
from zoo.catalog.inputs import Input
from zoo.catalog.pretrained import CIFAR10, table

FRAMES, SIDE, COUNT = 4, 32, 13
CLIPS = [[0, 2, 4, 6], [4, 6, 8, 10]]
"""In 1.3 seconds there are six looks at a video: a window from the first, and one that ends with the last."""


class Small(nn.Module):
    """Sees clips; quick to compile."""

    num_classes: int = 10
    dtype: type = np.float32

    @nn.compact
    def __call__(self, clips, train=False):
        return nn.Dense(self.num_classes, name="head")(clips.reshape(len(clips), -1)[:, ::61])


ENTRY = zoo.catalog.Entry(
    "small_clips",
    f"{__name__}:Small",
    "video_classification",
    (Input("clips", (FRAMES, SIDE, SIDE, 3), kind="clip"),),
    "",
    "",
)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A network of the catalog, and a file of its weights; returns these and the file."""
    monkeypatch.setattr("zoo.catalog.CATALOG", types.MappingProxyType({**zoo.catalog.CATALOG, ENTRY.name: ENTRY}))
    monkeypatch.setattr("zoo.catalog.pretrained.table", dict)
    shapes = jax.eval_shape(lambda: zoo.init(zoo.create(ENTRY.name), jax.random.key(0), (FRAMES, SIDE, SIDE, 3)))
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: random.standard_normal(leaf.shape).astype(leaf.dtype) / 6, shapes)
    zoo.save_weights(variables, tmp_path / "w.safetensors")
    return variables, tmp_path / "w.safetensors"


@pytest.fixture
def published(weights, tmp_path, monkeypatch):
    """The same weights as somebody published them: they want five frames a second, and two clips of a video."""
    row = table()["r3d_18"][0]
    how = dataclasses.replace(row.preprocessing, resize=(36, 44), crop=SIDE, frames=FRAMES, frame_rate=5.0, clips=2)
    row = dataclasses.replace(
        row, name="MADE_UP", url="http://127.0.0.1/w.safetensors", sha256="", preprocessing=how, classes="cifar10"
    )
    monkeypatch.setattr("zoo.catalog.pretrained.table", lambda: {ENTRY.name: (row,)})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "lecture-vision-zoo" / "weights"
    folder.mkdir(parents=True)
    weights[1].rename(folder / "w.safetensors")
    return weights[0]


@pytest.fixture
def film(tmp_path):
    """Ten frames a second, and all of them as they are decoded."""
    path = written(tmp_path / "film.mp4", ramp(COUNT), [Fraction(i, 10) for i in range(COUNT)])
    with Video(path) as video:
        return path, [np.asarray(frame.picture) for frame in video]


def scores_of(record, names):
    found = dict(record["scores"])
    return [found[name] for name in names]


def test_published_weights_see_clips_as_their_preset_says(published, film, tmp_path, capsys):
    path, every = film
    command = ["predict", "--weights", "MADE_UP", "--model.name", ENTRY.name, str(path)]
    assert cli.main([*command, "--output", str(tmp_path / "out")]) == 0
    assert "clips: 4 frames at 5 a second, as for MADE_UP" in capsys.readouterr().out
    records = json.loads((tmp_path / "out" / "film.json").read_text(encoding="utf-8"))
    assert [(each.get("frame"), each.get("seconds")) for each in records] == [(0, 0), (4, 0.4), (None, None)]
    seen = np.stack([zoo.preprocess(ENTRY.name, "MADE_UP")([every[i] for i in clip]) for clip in CLIPS])
    chances = softmax(np.asarray(zoo.create(ENTRY.name).apply(published, seen), np.float64), axis=-1)
    for record, expected in zip(records, [*chances, chances.mean(axis=0)], strict=True):
        np.testing.assert_allclose(scores_of(record, CIFAR10), expected, atol=1e-5)
    with Video(tmp_path / "out" / "film.mp4") as video:
        assert len(list(video)) == COUNT


@pytest.mark.filterwarnings("default:left out")  # the command says it in a line
def test_published_weights_are_measured_on_videos_of_the_same_classes(published, tmp_path, capsys):
    shades = {"air plane": 60, "truck": 120, "Cat": 200}  # of which none is called as an output is, to the letter
    for label, shade in shades.items():
        for split, count in (("train", 1), ("val", 2)):
            (tmp_path / "videos" / split / label).mkdir(parents=True)
            for number in range(count):
                frames = np.full((COUNT, 48, 64, 3), shade + 20 * number, np.uint8)
                times = [Fraction(i, 10) for i in range(COUNT)]
                written(tmp_path / "videos" / split / label / f"{number}.mp4", frames, times)
    (tmp_path / "videos" / "val" / "truck" / "00.mp4").write_bytes(b"")
    files = sorted((tmp_path / "videos" / "val").rglob("[01].mp4"))
    seen = []
    for file in files:
        with Video(file) as video:
            every = [np.asarray(frame.picture) for frame in video]
        seen += [zoo.preprocess(ENTRY.name, "MADE_UP")([every[i] for i in clip]) for clip in CLIPS]
    logits = np.asarray(zoo.create(ENTRY.name).apply(published, np.stack(seen)), np.float64)
    labels = np.repeat([CIFAR10.index("cat"), CIFAR10.index("airplane"), CIFAR10.index("truck")], 2)
    chances = softmax(logits, axis=-1).reshape(len(files), 2, -1).mean(axis=1)
    command = ["evaluate", "--weights", "MADE_UP", "--model.name", ENTRY.name]
    assert cli.main([*command, "--data.source", f"clips:{tmp_path}/videos"]) == 1
    assert "expected names among the classes of small_clips (MADE_UP)" in " ".join(capsys.readouterr().err.split())
    for split in ("train", "val"):
        (tmp_path / "videos" / split / "air plane").rename(tmp_path / "videos" / split / "airplane_")
    assert cli.main([*command, "--data.source", f"clips:{tmp_path}/videos"]) == 0
    printed, said = capsys.readouterr()
    assert "00.mp4: expected a readable video" in said
    assert "as for MADE_UP, 2 of a video" in printed
    assert f"{100 * np.mean(chances.argmax(axis=1) == labels):.2f} %" in printed
    losses = -np.log(chances[np.arange(len(labels)), labels])
    assert f"{losses.mean():.3g}" in printed


def test_a_file_of_weights_sees_clips_as_the_catalog_has_them(weights, film):
    variables, file = weights
    predictor = WeightsClipPredictor(ENTRY.name, str(file), mean=(0.3,), std=(0.2,))
    assert predictor.sees == "4 frames, resized to 32x32 pixels, in [0, 1], less 0.3, divided by 0.2"
    assert predictor.sampling.still(np.arange(COUNT) / 10).tolist() == [4, 5, 6, 7]
    frames = np.stack(film[1][:FRAMES])
    pictures = [PIL.Image.fromarray(frame).resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR) for frame in frames]
    seen = (np.stack(pictures)[None] / np.float32(255) - 0.3) / 0.2
    (predicted,) = predictor.predict([predictor.example(frames)], 1)
    expected = log_softmax(zoo.create(ENTRY.name).apply(variables, np.float32(seen))[0])
    np.testing.assert_allclose(predicted["logits"], expected, atol=1e-4)


def test_folders_of_videos_and_of_frames_are_taken(weights, film, tmp_path):
    """Frames as files that keep them: what is said of them is what is said of the video."""
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(film[1]):
        PIL.Image.fromarray(frame).save(tmp_path / "frames" / f"{number}.png")
    (tmp_path / "films").mkdir()
    film[0].rename(tmp_path / "films" / "film.mp4")
    command = ["predict", "--weights", str(weights[1]), "--model.name", ENTRY.name, "--output", str(tmp_path / "out")]
    assert cli.main([*command, str(tmp_path / "films"), str(tmp_path / "frames")]) == 0
    of_film, of_frames = (json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in ("film", "frames"))
    assert [each.get("frame") for each in of_film] == [0, 4, 8, 9, None]
    for one, other in zip(of_film, of_frames, strict=True):
        assert (one["text"], one.get("frame")) == (other["text"], other.get("frame"))
    assert [each.get("seconds") for each in of_frames] == [0, 0.16, 0.32, 0.36, None]
    with Video(tmp_path / "out" / "frames.mp4") as video:
        assert [float(frame.time) for frame in video] == pytest.approx(np.arange(COUNT) / 25, abs=1e-4)


def test_what_does_not_go_together_is_refused(weights, film, tmp_path, capsys):
    with pytest.raises(WeightsAloneError, match=r"two_stream_tiny: expected a classifier of clips, got .* image, flow"):
        WeightsClipPredictor("two_stream_tiny", str(weights[1]))
    with pytest.raises(WeightsAloneError, match="c3d_tiny has no published weights: name a file with --weights"):
        WeightsClipPredictor("c3d_tiny")
    with pytest.raises(WeightsAloneError, match=r"augment\.std: expected one value, or one for each of 3 channels"):
        WeightsClipPredictor(ENTRY.name, str(weights[1]), std=(1.0, 2.0))
    PIL.Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "image.png")
    command = ["predict", "--weights", str(weights[1]), "--model.name", ENTRY.name]
    assert cli.main([*command, str(tmp_path / "image.png"), "--output", str(tmp_path / "out")]) == 1
    assert "small_clips takes clips: expected videos, got" in " ".join(capsys.readouterr().err.split())
    assert cli.main([*command, str(film[0])]) == 2
    assert "expected --output DIR with a video" in capsys.readouterr().err
