"""The report of a task on the sphere: cosines in place of probabilities, two results on one page, and the globe."""

import base64
import functools
import hashlib
import re

import numpy as np
import pytest
import sklearn.metrics

from train.report import Predictions, write, write_report
from zoo.hyperspheres import globe

COUNT, NAMES = 40, ("one", "two", "three")
random = np.random.default_rng(0)
IMAGES = np.zeros((COUNT, 4, 4, 1), np.uint8)
LABELS = random.integers(0, 3, COUNT)
TARGETS = random.uniform(0, 90, COUNT).astype(np.float32)
POINTS = random.normal(size=(COUNT, 3)).astype(np.float32)
UNIT = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
NEAREST = Predictions(IMAGES, LABELS, UNIT, NAMES, "nearest")  # the prototypes are the axes
VALUES = Predictions(IMAGES, TARGETS, TARGETS + 5, (), "regression", "degrees")


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    monkeypatch.setattr(write, "png", functools.partial(write.png, dpi=10))


def page(workdir, *predictions, **options):
    return write_report(workdir, predictions, **options).read_text(encoding="utf-8").replace("\u202f", "")


def test_an_example_is_shown_with_its_cosine_the_most_wrongly_sure_first(tmp_path):
    found = page(tmp_path, NEAREST)
    wrong = np.flatnonzero(UNIT.argmax(axis=1) != LABELS)
    expected = sorted(wrong, key=lambda i: -UNIT[i].max())[:24]
    titles = re.findall(
        r'<figure class="wrong" title="Example (\d+): predicted (\w+), true (\w+), cosine (-?[\d.]+)"', found
    )
    assert titles == [(str(i), NAMES[UNIT[i].argmax()], NAMES[LABELS[i]], f"{UNIT[i].max():.2f}") for i in expected]
    accuracy = sklearn.metrics.accuracy_score(LABELS, UNIT.argmax(axis=1))
    assert f"<strong>{100 * accuracy:.2f}%</strong>" in found


def test_cosines_that_are_no_numbers_are_wrong(tmp_path):
    cosines = np.eye(3, dtype=np.float32)[LABELS]
    cosines[:2] = np.nan
    found = page(tmp_path, Predictions(IMAGES, LABELS, cosines, NAMES, "nearest"))
    assert "Outputs that are not finite, counted as wrong: 2." in found
    assert "<strong>95.00%</strong>" in found


def test_two_results_share_a_page_and_the_first_is_its_headline(tmp_path):
    found = page(tmp_path, NEAREST, VALUES)
    accuracy = sklearn.metrics.accuracy_score(LABELS, UNIT.argmax(axis=1))
    assert re.findall(r"<strong>(.*?)</strong>", found) == [f"{100 * accuracy:.2f}%"]
    assert "test mean absolute error 5 degrees" in found
    assert re.findall(r"<h2>(.*?)</h2>", found) == [
        "Curves",
        "Classes",
        "Wrong predictions",
        "Right predictions",
        "Predicted and true values",
        "Largest errors",
        "Examples",
        "Recipe",
        "Repeat this run",
    ]
    names = {file.name for file in tmp_path.glob("*.png")}
    assert {"confusion.png", "residuals.png", "predictions.png"} <= names


def test_the_page_allows_the_globes_script_alone_and_without_a_globe_none(tmp_path):
    found = page(tmp_path, NEAREST, sphere=globe(np.eye(3), POINTS, LABELS, NAMES))
    assert found.count("<h2>On the sphere</h2>") == found.count('<figure class="zoo-globe"') == 1
    (script,) = re.findall(r"<script>(.*?)</script>", found, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', found)
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert not re.search(r"https?:|url\(|@import", found)
    plain = page(tmp_path, NEAREST)
    assert "<script" not in plain
    assert "script-src" not in plain
    assert "On the sphere" not in plain
