"""Whole runs on the sphere: what they leave, what their report lets one turn, and what is made of them later."""

import base64
import dataclasses
import functools
import hashlib
import html.parser
import json
import shutil
import signal

import numpy as np
import PIL.Image
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error

import zoo
from tests.train import harness
from tests.train.harness import lines
from train import cli, data
from train.config import Data, Model, Optimizer, Recipe, Schedule, settings_of
from train.data import sources
from train.engine import finish
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.feed import MemoryFeed
from train.store.workdir import Workdir
from train.use.evaluate import evaluate_run
from train.use.open_run import open_run
from train.use.predict import predict_images

WRITE_REPORT = finish.write_report

QUIET = Console(quiet=True)
CLASSES = ("1", "4", "7")
DIMS = {"sphere_classification": 3, "sphere_joint": 4, "sphere_regression": 2, "class_means": 3}
LEARNS_VALUE = ("sphere_joint", "sphere_regression")
ON_THE_SPHERE = [name for name in DIMS if name.startswith("sphere_")]


def recipe_of(task, **changes):
    """Two epochs of a small network, one task with a moving average; upright digits where there is nothing to turn."""
    source = "rotated_digits" if task in LEARNS_VALUE else "digits"
    average = 0.5 if task == "sphere_joint" else None
    base = Recipe(
        name=f"small-{task}",
        model=Model("mlp", options=("hidden=(16,)",)),
        data=Data(source=source, classes=CLASSES, limit=128, batch_size=32, eval_batch_size=64),
        task=settings_of(task)(dims=DIMS[task]),
        optimizer=Optimizer(learning_rate=0.05, momentum=0.0, ema=average),
        schedule=Schedule("constant"),
        epochs=2,
        steps_per_dispatch=1,
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module", autouse=True)
def _turned_once():
    """Turning the digits takes most of the time of reading them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "rotated_digits", functools.cache(sources.rotated_digits))
        yield


@pytest.fixture(scope="module")
def done(engine, tmp_path_factory):
    """The folder and the outcome of a task's run, with a report whose figures are left undrawn."""
    found = {}

    def run(task):
        if task not in found:
            path = tmp_path_factory.mktemp("sphere") / task
            with engine(), pytest.MonkeyPatch.context() as patch:
                patch.setattr(finish, "write_report", WRITE_REPORT)
                patch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
                found[task] = path, harness.run(recipe_of(task), path)
        return found[task]

    return run


def held_out(task):
    return data.load(Data(recipe_of(task).data.source, classes=CLASSES), "test").arrays()


class Page(html.parser.HTMLParser):
    """What of a report decides which scripts run."""

    def __init__(self, path):
        super().__init__()
        self.policy, self.globes, self.data, self.scripts, self.inside = "", 0, [], [], None
        self.text = (path / "report.html").read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        self.globes += tag == "figure" and attributes.get("class") == "zoo-globe"
        self.inside = attributes.get("type", "script") if tag == "script" else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.inside == "application/json":
            self.data.append(json.loads(text))
        elif self.inside:
            self.scripts.append(text)


def directions(task, path):
    """What the trained network makes of the held-out images, as unit vectors."""
    images = (held_out(task)["image"] / 255).astype(np.float32)
    model = zoo.create("mlp", num_classes=DIMS[task], hidden=(16,))
    variables = zoo.load_weights(model, path / "model.safetensors", images.shape[1:])
    outputs = np.asarray(model.apply(variables, images))
    return outputs / np.linalg.norm(outputs, axis=1, keepdims=True)


@pytest.mark.parametrize("task", DIMS)
def test_the_card_gives_the_task_back_without_the_data(task, done):
    path, _ = done(task)
    run = open_run(path)
    assert run.task == assemble(recipe_of(task)).task
    assert run.spec["image"].shape == held_out(task)["image"].shape[1:]
    written = json.loads((path / "recipe.json").read_text())["task"]["fitted"]
    if "prototypes" in written:  # three classes are 120 degrees apart
        prototypes = np.array(written["prototypes"])
        np.testing.assert_allclose(prototypes @ prototypes.T, 1.5 * np.eye(3) - 0.5, atol=1e-6)
    if "lower" in written:
        targets = data.load(Data("rotated_digits", limit=128, classes=CLASSES), "train").arrays()["target"]
        assert [written["lower"], written["upper"]] == [targets.min(), targets.max()]
        assert written["unit"] == "degrees"


@pytest.mark.parametrize("task", ON_THE_SPHERE)
def test_every_evaluation_leaves_where_the_examples_lie(task, done):
    path, _ = done(task)
    steps = [line["step"] for line in lines(path, "eval")]
    assert len(steps) == 2
    assert {file.name for file in (path / "seen").iterdir()} == {f"{step}.npz" for step in steps}
    last, previous = (np.load(path / "seen" / f"{step}.npz")["embedding"].astype(np.float32) for step in steps[::-1])
    np.testing.assert_allclose(last, directions(task, path), atol=2e-3)  # half precision
    assert np.abs(last - previous).max() > 0.01


@pytest.mark.parametrize("task", ON_THE_SPHERE)
def test_the_report_has_one_globe_with_a_frame_an_evaluation_and_allows_its_script_alone(task, done):
    path, _ = done(task)
    page, arrays, records = Page(path), held_out(task), lines(path, "eval")
    assert page.globes == len(page.data) == len(page.scripts) == 1
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
    }
    (globe,) = page.data
    assert len(globe["frames"]) == len(globe["titles"]) == len(records)
    for title, record in zip(globe["titles"], records, strict=True):
        best = f"mae {record['mae']:.3g}" if task == "sphere_regression" else f"{100 * record['accuracy']:.1f}%"
        assert title == f"epoch {record['epoch']:g}: {best}"
    values = task == "sphere_regression"  # colours are the classes' where there are any
    assert globe["labels"] == ([] if values else arrays["label"].tolist())
    np.testing.assert_allclose(globe["values"], arrays["target"] if values else [], rtol=1e-5)
    assert globe["unit"] == ("" if task == "sphere_classification" else "degrees")
    if task == "sphere_classification":  # three dimensions are shown as they are
        np.testing.assert_allclose(np.reshape(globe["frames"][-1], (-1, 3)), directions(task, path), atol=3e-3)
        assert globe["names"] == list(CLASSES)


def test_a_task_without_a_sphere_leaves_no_points_and_a_report_without_a_script(done):
    path, _ = done("class_means")
    assert not (path / "seen").exists()
    page = Page(path)
    assert "<script" not in page.text
    assert page.policy.startswith("default-src 'none'")
    assert "script-src" not in page.policy


def test_a_report_of_both_shows_confusions_and_residuals(done):
    path, outcome = done("sphere_joint")
    text = Page(path).text
    for heading in ("On the sphere", "Classes", "Wrong predictions", "Predicted and true values", "Largest errors"):
        assert text.count(f"<h2>{heading}</h2>") == 1
    assert f"{100 * outcome.metrics['accuracy']:.2f}\u202f%" in text
    assert f"test mean absolute error {outcome.metrics['mae']:.3g} degrees" in text
    assert (path / "confusion.png").exists()
    assert (path / "residuals.png").exists()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("task", DIMS)
def test_a_run_measured_again_gives_its_last_line(task, done):
    path, outcome = done(task)
    last = lines(path, "eval")[-1]
    found = evaluate_run(path, console=QUIET)
    assert {"loss", "accuracy" if task != "sphere_regression" else "mae"} <= set(found)
    assert found == pytest.approx({name: last[name] for name in outcome.metrics}, rel=1e-6)


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("task", DIMS)
def test_image_files_are_predicted_as_well_as_the_evaluation_says(task, done, tmp_path):
    path, outcome = done(task)
    arrays, files = held_out(task), []
    for row, pixels in enumerate(arrays["image"]):
        files.append(tmp_path / f"{row}.png")
        PIL.Image.fromarray(pixels[..., 0]).save(files[-1])
    records = predict_images(path, tuple(files), console=QUIET)
    assert ("scores" in records[0], "value" in records[0]) == ("regression" not in task, task in LEARNS_VALUE)
    if "scores" in records[0]:
        found = [CLASSES.index(record["scores"][0][0]) for record in records]
        assert accuracy_score(arrays["label"], found) == pytest.approx(outcome.metrics["accuracy"])
        scores = np.array([[score for _, score in record["scores"]] for record in records])
        np.testing.assert_array_equal(np.sort(scores)[:, ::-1], scores)
        if task == "class_means":
            np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        else:
            assert "(cosine" in records[0]["text"]
            assert np.abs(scores).max() <= 1 + 1e-6
            np.testing.assert_allclose(scores.sum(axis=1), 0, atol=1e-5)  # prototypes of a simplex cancel
    if "value" in records[0]:
        found = [record["value"] for record in records]
        assert mean_absolute_error(arrays["target"], found) == pytest.approx(outcome.metrics["mae"], rel=1e-5)
        assert records[0]["text"].endswith(" degrees")


@pytest.mark.usefixtures("runs")
def test_an_interrupted_run_goes_on_to_the_same_bits_and_the_same_points(done, tmp_path):
    whole, outcome = done("sphere_joint")
    recipe = recipe_of("sphere_joint")
    with pytest.MonkeyPatch.context() as patch:
        harness.signal_at(patch, MemoryFeed, "advance", signal.SIGINT)
        assert harness.run(recipe, tmp_path / "run").fingerprint is None
    assert not (tmp_path / "run" / "seen").exists()  # its first evaluation was cut short
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.tasks.sphere.task.prototypes_of", placed_anew)
        assert harness.run(recipe, tmp_path / "run", resume=True).fingerprint == outcome.fingerprint
    harness.check_lines(tmp_path / "run", whole)
    for file in (whole / "seen").iterdir():
        assert (tmp_path / "run" / "seen" / file.name).read_bytes() == file.read_bytes()


def placed_anew(*_):
    raise AssertionError("the prototypes are placed anew")


def test_prototypes_of_a_run_are_those_that_it_was_trained_with(done, monkeypatch):
    """On another kind of processor a search finds others, and a file may have been written over."""
    path, outcome = done("sphere_classification")
    monkeypatch.setattr("train.tasks.sphere.task.prototypes_of", placed_anew)
    found = evaluate_run(path, console=QUIET)["accuracy"]
    assert found == pytest.approx(outcome.metrics["accuracy"])


def test_what_is_no_frame_of_a_run_or_a_damaged_one_is_left_out_of_the_globe(done, tmp_path):
    path, _ = done("sphere_classification")
    copy = Workdir(shutil.copytree(path, tmp_path / "copy"))
    steps = [step for step, _ in copy.read_seen()]
    assert len(steps) == 2
    (copy.seen / "notes.npz").write_bytes(b"mine")
    (copy.seen / f"{steps[0]}.npz").write_bytes((copy.seen / f"{steps[0]}.npz").read_bytes()[:100])
    assert [step for step, _ in copy.read_seen()] == steps[1:]


@pytest.mark.parametrize("task", DIMS)
def test_explain_refuses_in_one_line(task, done, tmp_path, capsys):
    path, _ = done(task)
    output = tmp_path / "explained.png"
    assert cli.main(["explain", str(path), str(path / "example.png"), "--output", str(output)]) == 1
    assert capsys.readouterr().err == (f"error: {path} learned {task}: explain looks into classification by logits\n")
    assert not output.exists()
