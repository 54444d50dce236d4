"""The page of a task on the sphere: cosines in place of probabilities, and the globe with what was followed."""

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from tests.train.report.reading import undrawn
from train.report import Run, render
from train.tasks.fitting import as_rows
from train.tasks.sphere.task import SphereClassification, SphereJoint, SphereRegression

COUNT, NAMES = 40, ("one", "two", "three")
random = np.random.default_rng(0)
LABELS = random.integers(0, 3, COUNT)
TARGETS = random.uniform(0, 90, COUNT).astype(np.float32)
POINTS = random.normal(size=(COUNT, 3)).astype(np.float32)
UNIT = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
BATCH = {"image": np.zeros((COUNT, 4, 4, 1), np.uint8), "label": LABELS, "target": TARGETS, "index": np.arange(COUNT)}
CLASSES = SphereClassification(NAMES, as_rows(np.eye(3)))  # the prototypes are the axes
VALUES = SphereRegression(0.0, 90.0, 3, "degrees")
BOTH = SphereJoint(NAMES, as_rows(np.eye(3, 2)), 0.0, 90.0, "degrees")
PREDICTED = {"cosines": UNIT, "value": TARGETS + 5, "embedding": POINTS}
SEEN = [(step, {"embedding": (UNIT + 1 / step).astype(np.float16)}) for step in (30, 10, 20)]


@pytest.fixture(scope="module", autouse=True)
def _undrawn():
    with undrawn():
        yield


def run_of(task, seen=SEEN, records=()):
    card = {"metrics": [metric._asdict() for metric in task.metrics]}
    return Run(Path("run"), card, records=records, seen=seen, followed=BATCH)


def page(task, run, predicted=PREDICTED):
    of = task.page()
    of.add(BATCH, predicted)
    return render(run, of.results(run))["report.html"].decode().replace("\u202f", "")


def data_of(found):
    """What the globe shows."""
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', found, re.DOTALL)
    return json.loads(text)


def test_an_example_is_shown_with_its_cosine_the_most_wrongly_sure_first():
    found = page(CLASSES, run_of(CLASSES))
    wrong = np.flatnonzero(UNIT.argmax(axis=1) != LABELS)
    expected = sorted(wrong, key=lambda i: -UNIT[i].max())[:24]
    titles = re.findall(
        r'<figure class="wrong" title="Example (\d+): predicted (\w+), true (\w+), cosine (-?[\d.]+)"', found
    )
    assert titles == [(str(i), NAMES[UNIT[i].argmax()], NAMES[LABELS[i]], f"{UNIT[i].max():.2f}") for i in expected]
    accuracy = sklearn.metrics.accuracy_score(LABELS, UNIT.argmax(axis=1))
    assert f"<strong>{100 * accuracy:.2f}%</strong>" in found


def test_cosines_that_are_no_numbers_are_wrong():
    cosines = np.eye(3, dtype=np.float32)[LABELS]
    cosines[:2] = np.nan
    found = page(CLASSES, run_of(CLASSES), {**PREDICTED, "cosines": cosines})
    assert "Outputs that are not finite, counted as wrong: 2." in found
    assert "<strong>95.00%</strong>" in found


def test_two_results_share_a_page_and_the_first_is_its_headline():
    found = page(BOTH, run_of(BOTH))
    accuracy = sklearn.metrics.accuracy_score(LABELS, UNIT.argmax(axis=1))
    assert re.findall(r"<strong>(.*?)</strong>", found) == [f"{100 * accuracy:.2f}%"]
    assert "test mean absolute error 5 degrees" in found
    assert re.findall(r"<h2>(.*?)</h2>", found) == [
        "Curves",
        "On the sphere",
        "Classes",
        "Wrong predictions",
        "Right predictions",
        "Predicted and true values",
        "Largest errors",
        "Examples",
        "Recipe",
        "Repeat this run",
    ]


def test_the_page_allows_the_globes_script_alone_and_without_a_globe_none():
    found = page(CLASSES, run_of(CLASSES))
    assert found.count("<h2>On the sphere</h2>") == found.count('<figure class="zoo-globe"') == 1
    (script,) = re.findall(r"<script>(.*?)</script>", found, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', found)
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert not re.search(r"https?:|url\(|@import", found)
    plain = page(CLASSES, run_of(CLASSES, seen=()))
    assert "<script" not in plain
    assert "script-src" not in plain
    assert "On the sphere" not in plain


def test_each_evaluation_is_a_frame_with_its_epoch_and_its_best_metric_in_order():
    records = [
        {"kind": "eval", "step": 10, "epoch": 1.0, "accuracy": 0.5, "mae": 7.0},
        {"kind": "train", "step": 20, "epoch": 9.0, "accuracy": 0.1, "mae": 9.0},
        {"kind": "eval", "step": 20, "epoch": 2.0},
    ]
    of_classes = data_of(page(CLASSES, run_of(CLASSES, records=records)))
    assert of_classes["titles"] == ["epoch 1: 50.0%", "epoch 2", "step 30"]
    assert of_classes["labels"] == LABELS.tolist()
    assert of_classes["values"] == []
    shown = np.array(of_classes["frames"]).reshape(3, COUNT, 3)  # unit vectors, rounded
    latest = UNIT + 1 / 30
    np.testing.assert_allclose(shown[-1], latest / np.linalg.norm(latest, axis=1, keepdims=True), atol=2e-3)
    of_values = data_of(page(VALUES, run_of(VALUES, records=records)))
    assert of_values["titles"] == ["epoch 1: mae 7", "epoch 2", "step 30"]
    assert of_values["names"] == ["0", "90"]  # the poles are its bounds
    np.testing.assert_allclose(of_values["values"], TARGETS, rtol=1e-5)
    assert of_values["unit"] == "degrees"
    assert data_of(page(BOTH, run_of(BOTH)))["labels"] == LABELS.tolist()


def test_of_many_evaluations_some_are_shown_the_first_and_the_last_among_them():
    seen = [(step, SEEN[0][1]) for step in range(1, 101)]
    titles = data_of(page(CLASSES, run_of(CLASSES, seen)))["titles"]
    assert len(titles) == 24
    assert (titles[0], titles[-1]) == ("step 1", "step 100")


def test_a_prediction_is_said_and_drawn_as_that_of_what_is_learned():
    one = {name: array[0] for name, array in PREDICTED.items()}
    assert re.fullmatch(r"(\w+ \(cosine -?[\d.]+\)(, )?){3}", CLASSES.page().words(one))
    assert VALUES.page().words(one).endswith(" degrees")
    assert set(BOTH.page().record(one)) == {"scores", "value"}
    assert BOTH.page().picture({"image": BATCH["image"][0]}, one).shape[2] == 3
