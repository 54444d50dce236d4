"""The page around a run: it stands alone, tells what ran and how to repeat it, and odd runs have one too."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from tests.train.report.reading import Read, undrawn
from train.config import LOSS, Metric
from train.report import Results, Run, render, theme, together
from train.report.blocks import plain, section, thumbnail, tiles
from train.report.sections import Example, examples, sheet

ACCURACY = Metric("accuracy", "Accuracy", percent=True)
RESULTS = Results("97.5 %", "test accuracy", "9 wrong of 360", [section("Classes", "<p>ten</p>")], {"own.png": b"own"})


@pytest.fixture(scope="module", autouse=True)
def _coarse():
    """Figures of a few pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "DPI", 20)
        yield


RECIPE = {"name": "digits", "model": {"name": "lenet5"}, "data": {"source": "digits"}, "seed": 0, "steps": None,
          "optimizer": {"learning_rate": 1e-5, "milestones": [0.5, 0.75], "nesterov": True}}  # fmt: skip
RECORDS = [
    *({"kind": "train", "step": s, "epoch": s / 10, "loss": 1 / s, "images_per_second": 100.0 * s} for s in (10, 20)),
    {"kind": "train", "step": 30, "epoch": 3.0, "loss": 1 / 30, "images_per_second": 3000.0, "learning_rate": 0.1},
    {"kind": "eval", "step": 30, "epoch": 3.0, "loss": 0.1, "accuracy": 0.9},
]
RUN = Run(
    Path("runs/my run"),
    {
        "recipe": RECIPE,
        "versions": {"jax": "0.10.2"},
        "devices": ["cpu:0 (cpu)"],
        "model": {"parameters": 61706},
        "data": {
            "train_examples": 1437,
            "fields": {"image": {"kind": "image", "dtype": "uint8", "shape": [8, 8, 1]}, "label": {"dtype": "int32"}},
            "facts": {"classes": ["a name"] * 1000},
        },
        "metrics": [list(ACCURACY), LOSS._asdict()],
    },
    {"fingerprint": "sha256:abc", "step": 30, "seconds": 83.2},
    RECORDS,
)

BARE = Run(Path("run"))
"""Of which nothing is known: it has no curve to draw."""


@pytest.fixture
def quick():
    """Figures that are not drawn."""
    with undrawn():
        yield


@pytest.fixture(scope="module")
def finished():
    """The files of a finished run's report, and its page."""
    files = render(RUN, RESULTS, np.ones((3, 3, 1, 4)))
    return files, Read(files["report.html"])


def test_page_tells_what_ran_and_how_to_repeat_it(finished):
    _, page = finished
    for fact in ("lenet5 on digits", "61706", "1437", "1 min 23 s", "2000", "sha256:abc", "0.10.2", "cpu:0 (cpu)"):
        assert fact in page.text
    assert "python -m train rerun 'runs/my run'" in page.text  # quoted for a shell: the path has a space
    for value in ("1e-05", "0.5, 0.75", "yes", "none", "uint8, 8, 8, 1", "int32"):
        assert value in page.text
    assert "a name" not in page.text  # a thousand classes would be a page of names


def test_page_has_the_tasks_sections_between_curves_and_filters(finished):
    _, page = finished
    assert re.findall(r"<h2>(.*?)</h2>", page.source) == [
        "Curves",
        "Classes",
        "First-layer filters",
        "Recipe",
        "Repeat this run",
    ]
    assert re.findall(r"<strong>(.*?)</strong>", page.source) == ["97.5 %"]
    assert "9 wrong of 360" in page.text
    descriptions = [tag["alt"] for name, tag in page.tags if name == "img"]
    assert descriptions[:3] == ["Loss by step.", "Accuracy by step.", "Learning rate by step."]


def test_page_needs_no_other_file_no_script_and_no_network(finished):
    _, page = finished
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "script" not in {tag for tag, _ in page.tags}
    assert {"picture", "source"} <= {tag for tag, _ in page.tags}  # every figure has a dark twin
    assert not re.search(r"https?:|url\(|@import", page.source)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page.source)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_page_allows_the_one_script_that_the_results_name(quick):
    results = dataclasses.replace(RESULTS, script="'sha256-abc'")
    page = Read(render(BARE, results)["report.html"])
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page.source)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-abc'"


def test_figures_come_by_name_and_the_page_last(finished):
    files, _ = finished
    assert list(files) == ["curves.png", "own.png", "filters.png", "report.html"]
    assert files["own.png"] == b"own"


def test_a_dense_matrix_is_no_filter(quick):
    for matrix in (np.ones((64, 100)), None):
        assert "filters.png" not in render(BARE, RESULTS, matrix)


def test_names_from_outside_are_escaped_everywhere(quick):
    evil = "<script>alert(1)</script>"
    card = {
        "recipe": {"name": evil, evil: evil},
        "versions": {evil: evil},
        "devices": [evil],
        "model": {evil: evil},
        "data": {evil: [evil], "fields": {evil: {"dtype": evil}}},
        "metrics": [[evil, evil, evil, False, False]],
    }
    records = [{"kind": "eval", "step": 1, evil: 1.0}]
    shown = [Example(1, np.zeros((2, 2, 1), np.uint8), (evil, evil))]
    sections = [examples(evil, shown, evil, wrong=True)]
    results = Results(evil, evil, evil, sections, {}, [evil])
    page = Read(render(Run(Path(evil), card, {evil: evil}, records, [evil]), results)["report.html"])
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(evil) >= 15


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_report_says_that_a_part_of_the_training_examples_was_evaluated(share):
    run = Run(Path("run"), {"recipe": {"data": {"validation": share}}})
    assert [note for note in run.warnings if "20 % of the training examples" in note] == run.warnings
    assert bool(run.warnings) == bool(share)


def test_a_run_of_which_nothing_is_known_has_a_report(quick):
    page = Read(render(Run(Path("/somewhere/else"), notes=["recipe.json is missing."]), RESULTS)["report.html"])
    assert "recipe.json is missing." in page.text
    assert "No metrics were recorded." in page.text
    assert "else" in page.text
    assert Run(Path("x"), {"metrics": 3}).metrics == [LOSS]
    assert Run(Path("x"), {"recipe": 3, "model": []}).facts == []


def test_a_diverged_run_has_a_report_that_says_so():
    records = [{"kind": "train", "step": s, "loss": loss} for s, loss in ((1, 2.0), (2, float("nan")), (3, None))]
    page = Read(render(Run(Path("run"), {}, {}, records), RESULTS, np.full((3, 3, 1, 4), np.nan))["report.html"])
    assert "not finite, first at step 2." in page.text
    assert Run(Path("run"), {}, {}, records).facts == [("Steps", "3")]


def test_the_metrics_of_a_run_are_those_of_its_card():
    assert RUN.metrics == [ACCURACY, LOSS]


def test_results_that_are_put_together_have_the_first_ones_headline():
    second = Results("5 degrees", "test mean absolute error", "", ["b"], {"own.png": b"x", "b.png": b"b"}, ["n"], "s")
    both = together(RESULTS, second)
    assert (both.value, both.label) == ("97.5 %", "test accuracy")
    assert both.detail == "9 wrong of 360; test mean absolute error 5 degrees"
    assert both.sections == [*RESULTS.sections, "b"]
    assert both.pictures == {"own.png": b"own", "b.png": b"b"}
    assert (both.notes, both.script) == (["n"], "s")


def test_zero_and_no_are_not_written_as_none():
    assert [plain(value) for value in (0, 0.0, False, None, ())] == ["0", "0.0", "no", "none", "none"]


def test_a_large_image_is_reduced_once_and_a_small_one_not_at_all():
    random = np.random.default_rng(0)
    for shape in ((8, 8, 1), (160, 90, 3), (8, 8, 7)):
        image = random.integers(0, 256, shape, dtype=np.uint8)
        np.testing.assert_array_equal(thumbnail(image), image)
    for shape, expected in (
        ((400, 200, 1), (160, 80, 1)),
        ((200, 400, 4), (80, 160, 4)),
        ((320, 320, 2), (160, 160, 1)),
    ):
        image = random.integers(0, 256, shape, dtype=np.uint8)
        assert thumbnail(image).shape == expected
        same = [tiles([each], [("a",)], ["b"], wrong=False) for each in (image, thumbnail(image))]
        assert same[0] == same[1]


def test_no_example_is_said_in_words_and_leaves_an_empty_sheet():
    assert "None." in examples("Wrong predictions", [], "surest first")
    assert sheet([], [])[:4] == b"\x89PNG"
