"""Predictions of image files: any size and mode, many files, the best checkpoint or the moving average."""

import io
import json
import math
import shutil
import types

import numpy as np
import PIL.Image
import pytest

from tests.train.harness import begin, lines, recipe
from train import cli
from train.config import Augment, Data, DataError
from train.data import Facts, Field, Kind, framing_of, load, read_image
from train.data.frame_rules import FRAME
from train.data.framing import evaluated, unframed
from train.engine.console import Console
from train.store.checkpoint import CheckpointError
from train.store.workdir import Workdir, WorkdirError
from train.tasks.detection.page import DetectionPage
from train.tasks.detection.task import Detection
from train.tasks.regression.page import ValuePage
from train.tasks.regression.task import Regression
from train.tasks.segmentation.task import Segmentation
from train.use.predict import predict_images
from train.use.predictor import RunPredictor, example_of

QUIET = Console(quiet=True)


def image_of(*shape):
    return Field(Kind.IMAGE, shape, "uint8")


def gradient(mode, size=(20, 12)):
    """A ramp from black to white in a mode of Pillow's, saved and read as that mode."""
    ramp = np.linspace(0, 255, size[0])[None, :].repeat(size[1], axis=0)
    if mode == "I;16":
        return PIL.Image.fromarray(np.rint(ramp * 257).astype(np.uint16))
    return PIL.Image.fromarray(np.rint(ramp).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGB", "jpg"), ("RGBA", "png"), ("CMYK", "jpg"),
     ("I;16", "png"), ("I;16", "tiff"), ("RGB", "webp"), ("RGB", "bmp")],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_of_any_mode_becomes_bytes_of_the_trained_shape(mode, suffix, channels, tmp_path):
    path = tmp_path / f"image.{suffix}"
    gradient(mode).save(path)
    pixels = read_image(path, image_of(8, 10, channels))
    assert (pixels.shape, pixels.dtype) == ((8, 10, channels), np.uint8)
    columns = pixels.mean(axis=(0, 2))
    expected = np.linspace(0, 255, 20).reshape(10, 2).mean(axis=1)
    assert np.abs(columns - expected).max() < (90 if mode == "1" else 8)  # resizing is not quite a mean of two


def test_an_image_of_the_trained_size_is_taken_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "image.png")
    np.testing.assert_array_equal(read_image(tmp_path / "image.png", image_of(8, 8, 3)), pixels)


def test_what_is_no_image_is_named(tmp_path):
    with pytest.raises(DataError, match=r"missing.png: no such file"):
        read_image(tmp_path / "missing.png", image_of(8, 8, 1))
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(DataError, match=r"text.png: expected a readable image"):
        read_image(tmp_path / "text.png", image_of(8, 8, 1))
    gradient("L").save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"half.png: expected a readable image"):
        read_image(tmp_path / "half.png", image_of(8, 8, 1))
    with pytest.raises(DataError, match=r"expected a readable image"):
        read_image(tmp_path, image_of(8, 8, 1))


@pytest.fixture
def images(data, tmp_path):
    """Files of the held-out examples."""
    arrays = load(Data(f"npz:{data}"), "test").arrays()
    paths = tuple(tmp_path / f"{row}.png" for row in range(len(arrays["image"])))
    for path, pixels in zip(paths, arrays["image"], strict=True):
        PIL.Image.fromarray(pixels[..., 0]).save(path)
    return paths, arrays


@pytest.mark.usefixtures("runs")
def test_many_files_give_the_accuracy_of_the_evaluation(whole, images, monkeypatch):
    paths, arrays = images
    monkeypatch.setattr("train.use.predict._BATCH", 8)  # the last batch is partial
    for ema, name in ((False, "accuracy"), (True, "ema_accuracy")):
        records = predict_images(whole[0], paths, ema=ema, console=QUIET)
        assert [record["image"] for record in records] == [str(path) for path in paths]
        right = [int(record["scores"][0][0]) == label for record, label in zip(records, arrays["label"], strict=True)]
        assert np.mean(right) == pytest.approx(whole[1].metrics[name])
    scores = [score for _, score in records[0]["scores"]]
    assert sum(scores) == pytest.approx(1, abs=1e-6)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.usefixtures("runs")
def test_a_regression_gives_the_value_itself(regression, images):
    paths, arrays = images
    records = predict_images(regression, paths, console=QUIET)
    error = np.mean([abs(record["value"] - target) for record, target in zip(records, arrays["target"], strict=True)])
    assert error == pytest.approx(lines(regression, "eval")[-1]["mae"], rel=1e-5)
    assert records[0]["text"] == f"{records[0]['value']:.4g}"
    page = Regression(0, 1, unit="degrees").page()
    assert (page.record({"value": np.float32(30)}), page.words({"value": np.float32(30)})) == (
        {"value": 30},
        "30 degrees",
    )
    with pytest.raises(CheckpointError, match="keeps no moving average"):
        predict_images(regression, paths, ema=True, console=QUIET)


@pytest.mark.usefixtures("runs")
def test_predict_prints_a_table_a_file_a_row(whole, images, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    paths, _ = images
    assert cli.main(["predict", str(whole[0]), *map(str, paths[:3]), "--best", "--output", str(tmp_path / "to")]) == 0
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if ".png" in line]
    assert len(rows) == 3
    assert all(row.count("%") == 3 for row in rows)


@pytest.fixture
def strange(whole, tmp_path):
    """A finished run one of whose classes is called in Chinese, the others by what clears a terminal."""
    path = shutil.copytree(whole[0], tmp_path / "run")
    files = Workdir(path)
    card = files.read_card()
    names = ["\u732b", "\x1b[2Jdog", "\x9b2Jfish", "a\u202eb"]
    card["task"]["fitted"]["class_names"] = card["data"]["facts"]["classes"] = names
    files.card.write_text(json.dumps(card))
    return path


@pytest.mark.usefixtures("runs")
def test_names_that_a_terminal_obeys_or_lacks_are_written_out(strange, images, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    for encoding in ("cp1252", "utf-8"):
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr("sys.stdout", out)
        file = shutil.copy(images[0][0], tmp_path / "\x1b[31m.png")
        assert cli.main(["predict", str(strange), str(file), *map(str, images[0])]) == 0
        out.flush()
        printed = out.buffer.getvalue().decode(encoding)
        assert ("\\u732b" if encoding == "cp1252" else "\u732b") in printed
        assert all(name in printed for name in (r"\x1b[2Jdog", r"\x9b2Jfish", r"a\u202eb", r"\x1b[31m.png"))
        assert not {"\x1b", "\x9b", "\u202e"} & set(printed)


@pytest.mark.usefixtures("runs")
def test_what_is_not_finite_is_null_in_predictions(regression, images, tmp_path, monkeypatch):
    monkeypatch.setattr(ValuePage, "record", lambda self, predicted: {"value": math.nan, "pair": [math.inf, 1.0]})
    predict_images(regression, images[0][:1], output=tmp_path / "to", console=QUIET)
    (record,) = json.loads((tmp_path / "to/predictions.json").read_text(), parse_constant=pytest.fail)
    assert (record["value"], record["pair"]) == (None, [None, 1.0])


def test_a_run_leaves_an_image_to_predict(whole, data):
    path, _ = whole
    expected = load(Data(f"npz:{data}"), "test")[0]["image"]
    np.testing.assert_array_equal(read_image(path / "example.png", image_of(*expected.shape)), expected)


def test_predict_says_what_is_missing(whole, tmp_path, capsys):
    assert cli.main(["predict", str(whole[0]), str(tmp_path / "no.png")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/no.png: no such file\n"
    assert cli.main(["predict", str(tmp_path), "no.png"]) == 1
    assert "holds no run" in capsys.readouterr().err
    assert cli.main(["predict", str(whole[0])]) == 2
    assert "expected one or more image files" in capsys.readouterr().err


@pytest.mark.usefixtures("runs")
def test_predict_leaves_a_picture_an_image_and_its_records_as_json(whole, images, tmp_path):
    paths, _ = images
    (tmp_path / "other").mkdir()
    twin = shutil.copy(paths[0], tmp_path / "other" / paths[0].name)
    records = predict_images(whole[0], (*paths[:2], twin), output=tmp_path / "out", console=QUIET)
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == json.loads(json.dumps(records))
    names = ["0.png", "1.png", "0-2.png"]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {*names, "predictions.json"}
    for name in names:
        with PIL.Image.open(tmp_path / "out" / name) as picture:
            assert picture.mode == "RGB"
            assert min(picture.size) >= 8


@pytest.mark.usefixtures("runs")
def test_a_run_that_never_came_to_training_is_refused(data, tmp_path):
    path = begin(recipe(data), tmp_path / "run")
    with pytest.raises(WorkdirError, match="never came to training"):
        predict_images(path, (path / "none.png",), console=QUIET)


@pytest.mark.parametrize("shape", [[100_000, 100_000, 3], [8, -8, 1], [8.5, 8, 1]])
def test_a_card_with_images_that_cannot_be_is_refused(shape, whole, tmp_path):
    card = json.loads((whole[0] / "recipe.json").read_text())
    card["data"]["fields"]["image"]["shape"] = shape
    (tmp_path / "recipe.json").write_text(json.dumps(card))
    with pytest.raises(
        WorkdirError, match=r"does not say what the run learned: .*expected (sizes|an example of at most)"
    ):
        predict_images(tmp_path, (tmp_path / "none.png",), console=QUIET)


SIDE = 64
FRAMINGS = {"resized": Data(), "canvas": Data(canvas=SIDE), "centre": Data(crop=SIDE, resize=80)}
SHAPES = {"wide": (256, 128), "tall": (120, 200), "large": (2560, 1280)}
"""Width and height of a file, of which the rectangle of `bright` covers the same share."""


def bright(size):
    """A white rectangle on black, enlarged by nearest, and its corners in pixels of the file."""
    small = np.zeros((20, 20), np.uint8)
    small[7:13, 8:14] = 255
    file = PIL.Image.fromarray(small).resize(size, PIL.Image.Resampling.NEAREST).convert("RGB")
    return file, np.array([8, 7, 14, 13]) / 20 * np.tile(size, 2)


@pytest.fixture
def seeing(monkeypatch):
    """A run whose model takes what is bright of the image that it is given for a digit 1."""

    def install(task, data):
        spec = {"image": image_of(SIDE, SIDE, 3)}
        recipe = types.SimpleNamespace(data=data, augment=Augment(), model=types.SimpleNamespace(name="eye"))
        facts, files = Facts(("0", "1"), background=0), types.SimpleNamespace(path="here")
        run = types.SimpleNamespace(
            files=files, task=task, recipe=recipe, spec=spec, facts=facts, model=lambda: None,
            variables=lambda *_: (1, None),
        )  # fmt: skip
        monkeypatch.setattr("train.use.predict.open_run", lambda *_: run)
        monkeypatch.setattr(RunPredictor, "predict", lambda _, examples, size: [seen(each) for each in examples])

    def seen(example):
        there = example["image"].mean(axis=-1) > 127
        (top, left), (bottom, right) = np.argwhere(there)[[0, -1]]
        box = np.array([[left, top, right + 1, bottom + 1], [0, 0, 0, 0]], np.float32)
        scores, valid = np.array([0.9, 0.0], np.float32), np.array([True, False])
        classes = np.array([1, 0], np.int32)
        return {"label_map": there.astype(np.int32), "boxes": box, "scores": scores, "classes": classes, "valid": valid}

    return install


def corners(found):
    """Left, top, right and bottom of a detection as COCO writes it."""
    left, top, width, height = found["bbox"]
    return [left, top, left + width, top + height]


def test_a_picture_says_how_large_it_is_on_its_canvas_where_the_runs_examples_do():
    picture, _ = bright((256, 128))
    sizes = {"size": Field(Kind.PLAIN, (2,), "int32")}
    for more, names in (({}, {"image"}), (sizes, {"image", "size", "original_size"})):
        run = types.SimpleNamespace(
            spec={"image": image_of(SIDE, SIDE, 3), **more},
            recipe=types.SimpleNamespace(data=Data(canvas=SIDE)),
            facts=Facts(),
        )
        example = example_of(run, picture)
        assert example.keys() == names
    assert (example["size"].tolist(), example["original_size"].tolist()) == ([32, 64], [128, 256])


@pytest.mark.parametrize("data", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("size", SHAPES.values(), ids=SHAPES)
def test_boxes_are_in_pixels_of_the_file_however_it_was_framed(data, size, seeing, tmp_path, monkeypatch):
    seeing(Detection(("0", "1")), data)
    file, expected = bright(size)
    file.save(tmp_path / "file.png")
    drawn = []
    monkeypatch.setattr(
        DetectionPage, "picture", lambda _, *given: drawn.append(given) or np.zeros((8, 8, 3), np.uint8)
    )
    (record,) = predict_images(tmp_path, (tmp_path / "file.png",), output=tmp_path / "out", console=QUIET)
    assert (record["width"], record["height"]) == size
    (found,) = record["detections"]
    pixel = max(size) / SIDE  # of the model, in pixels of the file
    np.testing.assert_allclose(corners(found), expected, atol=pixel)
    ((example, predicted),) = drawn
    image = example["image"]
    reduced = min(1, 1024 / max(size))
    assert image.shape == (round(size[1] * reduced), round(size[0] * reduced), 3)
    left, top, right, bottom = np.argwhere(image[..., 0] > 127)[[0, -1]][:, ::-1].ravel()
    np.testing.assert_allclose(predicted["boxes"][0], [left, top, right + 1, bottom + 1], atol=1 + pixel * reduced)


def test_boxes_are_in_pixels_of_the_photograph_when_it_is_upright(seeing, tmp_path):
    seeing(Detection(("0", "1")), Data(canvas=SIDE))
    file, expected = bright((256, 128))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    file.transpose(PIL.Image.Transpose.ROTATE_90).save(tmp_path / "file.png", exif=exif)
    (record,) = predict_images(tmp_path, (tmp_path / "file.png",), console=QUIET)
    assert (record["width"], record["height"]) == (256, 128)
    np.testing.assert_allclose(corners(record["detections"][0]), expected, atol=256 / SIDE)


@pytest.mark.parametrize("data", FRAMINGS.values(), ids=FRAMINGS)
def test_label_maps_have_the_size_of_the_file_and_say_where_the_model_saw_nothing(data, seeing, tmp_path):
    seeing(Segmentation(("0", "1"), 0, -1), data)
    file, _ = bright((256, 128))
    file.save(tmp_path / "file.png")
    (record,) = predict_images(tmp_path, (tmp_path / "file.png",), output=tmp_path / "out", console=QUIET)
    assert (record["width"], record["height"]) == (256, 128)
    labels = np.concatenate([np.full(length, label) for label, length in record["runs"]]).reshape(128, 256)
    known = labels != record["ignore"]
    true = np.asarray(file)[..., 0] > 127
    both, either = (labels == 1) & true, (labels == 1) | true
    assert both.sum() / either.sum() > 0.8
    assert sum(record["shares"].values()) == pytest.approx(1)
    if data.crop:  # 64 of 80 pixels of the shorter side, of 128
        assert (known.any(axis=1).sum(), known.any(axis=0).sum()) == (pytest.approx(102.4, abs=1),) * 2
        assert known[64, 128]
        assert not known[:, 0].any()
    else:
        assert known.all()
    assert (tmp_path / "out" / "file.png").stat().st_size


@pytest.mark.parametrize("data", FRAMINGS.values(), ids=FRAMINGS)
def test_keypoints_and_maps_find_back_to_where_they_were(data):
    random = np.random.default_rng(0)
    move = evaluated(framing_of(data, "test"), image_of(SIDE, SIDE, 3), (50, 30), Facts())
    points = np.ones((5, 3), np.float32)
    points[:, :2] = random.uniform((21, 11), (29, 19), (5, 2))
    points[0] = 0  # not in the image
    np.testing.assert_allclose(unframed(FRAME[Kind.KEYPOINTS](points, move), Kind.KEYPOINTS, move), points, atol=1e-4)
    places = np.stack(np.meshgrid(np.arange(50.0), np.arange(30.0)), axis=-1)  # each pixel holds its own place
    found = unframed(FRAME[Kind.MAP](places, move), Kind.MAP, move)
    known = ~np.isnan(found[..., 0])
    assert known.all() == (not data.crop)
    assert known[15, 25]
    assert np.abs(found - places)[known].max() < 1
