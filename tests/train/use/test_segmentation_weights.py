"""A segmentation network by name with weights alone: label maps of pictures of any size, drawn over them."""

import dataclasses
import json

import jax
import numpy as np
import PIL.Image
import pytest

import zoo
from tests.detection.drawn import drawn
from train import cli
from train.use.predictor import SegmenterPredictor, predictor_of
from train.use.segmenter import segmenter_of
from train.use.with_weights import WeightsAloneError
from zoo.catalog.pretrained import class_list, table

NAME, SIDE = "lraspp_tiny", 40
VOC = class_list("voc")
SIZES = {"high": (60, 50), "higher": (90, 75), "wide": (50, 63)}
"""Heights and widths of pictures, of which the network sees two alike."""


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small network of VOC's classes with weights that somebody published, in the cache; returns both."""
    row = table()["fcn_resnet50"][0]
    how = dataclasses.replace(row.preprocessing, resize=SIDE)
    row = dataclasses.replace(row, name="MADE_UP", url="http://127.0.0.1/w.safetensors", sha256="", preprocessing=how)
    monkeypatch.setattr("zoo.catalog.pretrained.table", lambda: {NAME: (row,)})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = zoo.create(NAME, num_classes=len(VOC))
    variables = drawn(model, np.zeros((1, 64, 64, 3), np.float32))
    folder = tmp_path / "cache" / "lecture-vision-zoo" / "weights"
    folder.mkdir(parents=True)
    zoo.save_weights(variables, folder / "w.safetensors")
    return model, variables


def test_label_maps_are_those_of_the_network_in_the_pixels_of_each_picture(published, tmp_path, capsys):
    model, variables = published
    random, files = np.random.default_rng(0), []
    for name, size in SIZES.items():
        coarse = PIL.Image.fromarray(random.integers(0, 256, (6, 5, 3), np.uint8))
        files.append(tmp_path / f"{name}.png")
        coarse.resize(size[::-1], PIL.Image.Resampling.BICUBIC).save(files[-1])
    command = ["predict", "--weights", "MADE_UP", "--model.name", NAME, *map(str, files), "--output"]
    assert cli.main([*command, str(tmp_path / "to")]) == 0
    printed = capsys.readouterr().out
    assert "images: as for MADE_UP" in printed
    assert f"{NAME} (MADE_UP)" in printed
    records = json.loads((tmp_path / "to/predictions.json").read_text())
    apply, found = jax.jit(model.apply), set()
    for file, record in zip(files, records, strict=True):
        height, width = SIZES[file.stem]
        assert (record["height"], record["width"], tuple(record["names"])) == (height, width, VOC)
        if file.stem == "wide":
            continue  # the same by another program
        seen = zoo.preprocess(NAME, "MADE_UP")(file)
        labels = np.asarray(apply(variables, seen[None])[0].argmax(axis=-1))
        assert labels.shape == (48, 40)
        rows, columns = (
            ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip((height, width), labels.shape, strict=True)
        )
        expected = labels[rows[:, None], columns]
        again = np.concatenate([np.full(length, label) for label, length in record["runs"]])
        np.testing.assert_array_equal(again.reshape(height, width), expected)
        found |= set(labels.ravel().tolist())
        assert next(name for name in record["shares"] if name != "__background__") in record["text"]
        with PIL.Image.open(tmp_path / "to" / file.name) as drawn_over:
            assert np.ptp(drawn_over) > 100
        with PIL.Image.open(tmp_path / "to" / f"{file.stem}.labels.png") as written:
            np.testing.assert_array_equal(np.asarray(written), expected)
    assert len(found) > 2


def test_weights_without_a_preset_see_the_whole_picture_at_the_size_of_the_catalog(published, tmp_path):
    zoo.save_weights(published[1], tmp_path / "w.safetensors")
    segmenter = segmenter_of(NAME, str(tmp_path / "w.safetensors"), mean=(0.5,), std=(0.5,))
    assert segmenter.sees == "whole, the shorter side resized to 64 pixels, in [0, 1], less 0.5, divided by 0.5"
    seen = segmenter.prepare(PIL.Image.new("RGB", (100, 50), (255, 0, 0)))
    assert seen.shape == (64, 128, 3)
    assert seen[0, 0].tolist() == [1, -1, -1]
    with pytest.raises(WeightsAloneError, match="at most 16 times as long as it is wide or high, got 2000 x 1 pixels"):
        segmenter.prepare(PIL.Image.new("RGB", (2000, 1)))
    assert isinstance(predictor_of(NAME), SegmenterPredictor)


def test_a_network_of_another_task_is_refused(tmp_path):
    with pytest.raises(WeightsAloneError, match="retinanet_tiny: expected a classifier of images, got detection"):
        predictor_of("retinanet_tiny", str(tmp_path / "w.safetensors"))
    with pytest.raises(WeightsAloneError, match="expected a segmentation network of images, got classification"):
        segmenter_of("resnet_tiny", str(tmp_path / "w.safetensors"))
