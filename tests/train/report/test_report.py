"""The report of a run: its numbers are scikit-learn's and scipy's, its page stands alone, and odd runs have one too."""

import functools
import html.parser
import json
import re

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.datasets
import sklearn.metrics

from train.report import Predictions, write, write_report
from train.report.blocks import plain
from train.report.run import read_records, read_run

VOID = {"meta", "img", "source", "br"}


class _Page(html.parser.HTMLParser):
    """The page as text, tags and addresses; refuses tags that do not close in order."""

    def __init__(self, path):
        super().__init__()
        self.text, self.tags, self.addresses, self.open = "", [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.addresses += [value for name, value in attrs if name in ("src", "srcset", "href", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data.replace("\u202f", "") if "style" not in self.open else ""


def _classification(targets, logits, names=(), size=4):
    images = np.zeros((len(targets), size, size, 1), np.uint8)
    return Predictions(images, np.asarray(targets), np.asarray(logits, np.float32), tuple(names), "classification")


def _describe(workdir, records=(), **card):
    (workdir / "recipe.json").write_text(json.dumps(card))
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    """Figures of a few pixels, but for the module's one finished run."""
    monkeypatch.setattr(write, "png", functools.partial(write.png, dpi=20))


@pytest.fixture(scope="module")
def digits():
    """Real predictions: scikit-learn's digits by the nearest mean of the first half of them."""
    data = sklearn.datasets.load_digits()
    means = np.stack([data.data[:900][data.target[:900] == digit].mean(axis=0) for digit in range(10)])
    images = np.rint(data.images[900:] * 255 / 16).astype(np.uint8)[..., None]
    logits = -((data.data[900:, None] - means) ** 2).sum(axis=-1) / 100
    names = tuple(map(str, range(10)))
    return Predictions(images, data.target[900:], logits.astype(np.float32), names, "classification")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, digits):
    """The work directory of a finished run, and its report."""
    workdir = tmp_path_factory.mktemp("runs") / "my run"
    workdir.mkdir()
    recipe = {"name": "digits", "model": {"name": "lenet5"}, "data": {"source": "digits"}, "seed": 0, "steps": None}
    recipe["optimizer"] = {"learning_rate": 1e-5, "milestones": [0.5, 0.75], "nesterov": True}
    records = [{"kind": "train", "step": s, "epoch": s / 10, "loss": 1 / s, "images_per_second": 100.0 * s}
               for s in (10, 20, 30)]  # fmt: skip
    records.append({"kind": "eval", "step": 30, "epoch": 3.0, "loss": 0.1, "accuracy": 0.9})
    _describe(workdir, records, recipe=recipe, versions={"jax": "0.10.2"}, devices=["cpu:0 (cpu)"],
              model={"parameters": 61706})  # fmt: skip
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # killed while writing
    (workdir / "fingerprint.json").write_text('{"fingerprint": "sha256:abc", "step": 30, "seconds": 83.2}')
    return workdir, _Page(write_report(workdir, digits, np.ones((3, 3, 1, 4))))


def test_confusion_counts_are_scikit_learns():
    rng = np.random.default_rng(0)
    for classes in (2, 7, 100):
        targets, predicted = rng.integers(0, classes, (2, 500))
        targets[targets == 1] = 0  # one class has no example
        expected = sklearn.metrics.confusion_matrix(targets, predicted, labels=range(classes))
        np.testing.assert_array_equal(write.confusion_counts(targets, predicted, classes), expected)


def test_wilson_interval_is_scipys():
    for successes, count in ((0, 1), (1, 1), (3, 7), (359, 360), (9173, 10_000), (360, 360)):
        expected = scipy.stats.binomtest(successes, count).proportion_ci(method="wilson")
        np.testing.assert_allclose(write.wilson_interval(successes, count), expected, atol=1e-12)


def test_confidence_is_the_softmax_of_the_largest_logit_even_where_it_overflows():
    logits = np.random.default_rng(0).normal(size=(20, 5)) * 1000
    predicted, confidence = write.predicted_classes(logits)
    np.testing.assert_array_equal(predicted, logits.argmax(axis=1))
    np.testing.assert_allclose(confidence, scipy.special.softmax(logits, axis=1).max(axis=1))
    masked, _ = write.predicted_classes(np.array([[-np.inf, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]]))
    np.testing.assert_array_equal(masked, [1, -1, -1])


def test_headline_is_the_test_accuracy_with_the_number_of_errors(finished, digits):
    right = int(sklearn.metrics.accuracy_score(digits.targets, digits.outputs.argmax(axis=1), normalize=False))
    _, page = finished
    assert f"{100 * right / 897:.2f}%" in page.text
    assert f"{897 - right} wrong of 897" in page.text


def test_wrong_predictions_are_shown_most_confident_first(finished, digits):
    _, page = finished
    words = [tag["title"] for name, tag in page.tags if name == "figure" and tag.get("class") == "wrong"]
    shown = [int(re.match(r"Example (\d+): predicted", line)[1]) for line in words]
    probabilities = scipy.special.softmax(digits.outputs.astype(np.float64), axis=1)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != digits.targets)
    expected = sorted(wrong, key=lambda i: -probabilities[i].max())[:24]
    assert shown == expected
    assert all(f"true {digits.targets[i]}" in line for i, line in zip(shown, words, strict=True))


def test_page_tells_what_ran_and_how_to_repeat_it(finished):
    workdir, page = finished
    for fact in ("lenet5 on digits", "61706", "1 min 23 s", "200", "sha256:abc", "0.10.2", "cpu:0 (cpu)"):
        assert fact in page.text
    assert f"python -m train rerun '{workdir}'" in page.text  # quoted for a shell: the path has a space
    for value in ("1e-05", "0.5, 0.75", "yes", "none"):
        assert value in page.text


def test_page_needs_no_other_file_no_script_and_no_network(finished):
    _, page = finished
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "script" not in {tag for tag, _ in page.tags}
    assert {"picture", "source"} <= {tag for tag, _ in page.tags}  # every figure has a dark twin
    source = (finished[0] / "report.html").read_text()
    assert not re.search(r"https?:|url\(|@import", source)


def test_figures_lie_beside_the_page_and_no_temporary_file_is_left(finished):
    workdir, _ = finished
    written = {path.name for path in workdir.iterdir()} - {"recipe.json", "metrics.jsonl", "fingerprint.json"}
    assert written == {"report.html", "curves.png", "confusion.png", "predictions.png", "filters.png"}


def test_names_from_outside_are_escaped_everywhere(tmp_path):
    evil = "<script>alert(1)</script>"
    names = [f'{evil}"{i}' for i in range(21)]  # 21: all tables of many classes as well
    _describe(tmp_path, recipe={"name": evil, evil: evil}, versions={evil: evil}, devices=[evil], model={evil: evil})
    page = _Page(write_report(tmp_path, _classification([0, 1, 2], np.eye(21)[[0, 2, 2]], names)))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(evil) >= 10
    small = _Page(write_report(tmp_path, _classification([0, 1, 1], np.eye(2)[[0, 0, 1]], names[:2])))
    assert "script" not in {tag for tag, _ in small.tags}


def test_a_run_without_errors_without_files_and_with_one_example_has_a_report(tmp_path):
    page = _Page(write_report(tmp_path, _classification([1], [[0.0, 3.0]])))
    assert "100.00%" in page.text
    assert "0 wrong of 1" in page.text
    assert re.search(r"Wrong predictions\s*None\.\s*Right predictions\s*1 shown", page.text)
    assert "recipe.json is missing." in page.text
    assert "No metrics were recorded." in page.text
    assert tmp_path.name in page.text
    assert "none" in page.text  # of class 0 there is no example


def test_a_diverged_run_has_a_report_that_says_so(tmp_path):
    records = [{"kind": "train", "step": s, "loss": loss} for s, loss in ((1, 2.0), (2, float("nan")))]
    _describe(tmp_path, records)
    (tmp_path / "recipe.json").write_text("{")
    logits = [[0.0, 1.0], [np.nan, np.nan], [np.nan, np.nan]]
    page = _Page(write_report(tmp_path, _classification([1, 0, 1], logits), np.full((3, 3, 1, 4), np.nan)))
    assert "not finite, first at step 2." in page.text
    assert "not finite, counted as wrong: 2." in page.text
    assert "33.33%" in page.text
    assert "Example 1: predicted not finite, true 0" in [tag.get("title") for _, tag in page.tags]
    assert "recipe.json is not readable." in page.text


def test_a_hundred_classes_have_their_top_confusions_as_a_table(tmp_path):
    targets = np.repeat(np.arange(99), 2)  # none of class 99
    predicted = targets.copy()
    predicted[targets == 7] = 8
    page = _Page(write_report(tmp_path, _classification(targets, 9.0 * np.eye(100)[predicted]), np.ones((64, 100))))
    assert "Most frequent confusions" in page.text
    assert re.search(r"Of the class\s*7\s*8\s*2\s*100.0%", page.text)
    assert not (tmp_path / "filters.png").exists()  # a dense matrix is no filter


def test_regression_reports_scikit_learns_errors_in_their_unit(tmp_path):
    rng = np.random.default_rng(0)
    targets = rng.uniform(-90, 90, 200).astype(np.float32)
    outputs = (targets + rng.normal(0, 5, 200)).astype(np.float32)
    images = rng.integers(0, 256, (200, 70, 70, 3), dtype=np.uint8)  # larger than a thumbnail is kept exactly
    page = _Page(write_report(tmp_path, Predictions(images, targets, outputs, (), "regression", "degrees")))
    assert f"{sklearn.metrics.mean_absolute_error(targets, outputs):.3g} degrees" in page.text
    assert f"root mean square {sklearn.metrics.root_mean_squared_error(targets, outputs):.3g} degrees" in page.text
    assert f"median {sklearn.metrics.median_absolute_error(targets, outputs):.3g} degrees" in page.text
    assert f"R² {sklearn.metrics.r2_score(targets, outputs):.3f}" in page.text
    worst = np.abs(outputs - targets).argmax()
    assert f"true {targets[worst]:.1f}" in page.text
    assert (tmp_path / "residuals.png").exists()


def test_regression_of_one_example_or_of_nothing_finite_has_a_report(tmp_path):
    one = np.zeros((1, 4, 4, 1), np.uint8), np.zeros(1, np.float32)
    assert "in units of the target" in _Page(write_report(tmp_path, Predictions(*one, one[1], (), "regression"))).text
    broken = Predictions(*one, np.array([np.nan], np.float32), (), "regression")
    assert "not finite, left out: 1." in _Page(write_report(tmp_path, broken)).text


def test_records_come_in_order_and_a_step_repeated_after_a_resume_counts_once(tmp_path):
    lines = ['{"kind": "train", "step": 2, "loss": 9}', '{"kind": "train", "step": 1}', "[1]", '{"step": 3}', "",
             '{"kind": "train", "step": 2, "loss": 5}', '{"kind": "eval", "step": 2}', '{"kind": "tr']  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    records = read_records(tmp_path / "metrics.jsonl")
    assert [(record["kind"], record["step"], record.get("loss")) for record in records] == [
        ("train", 1, None),
        ("train", 2, 5),
        ("eval", 2, None),
    ]
    assert read_run(tmp_path).facts == [("Steps", "2")]


def test_predictions_that_do_not_fit_are_refused_in_words():
    images = np.zeros((2, 4, 4, 1), np.uint8)
    labels, logits = np.array([0, 1]), np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"outputs \(n, classes\), n >= 1; got \(2, 4, 4, 1\), \(2,\) and \(3, 3\)"):
        Predictions(images, labels, np.zeros((3, 3)), (), "classification")
    with pytest.raises(ValueError, match=r"regression: expected .* outputs \(n,\)"):
        Predictions(images, np.zeros(2), np.zeros((2, 1)), (), "regression")
    with pytest.raises(ValueError, match="n >= 1"):
        Predictions(images[:0], labels[:0], logits[:0], (), "classification")
    with pytest.raises(ValueError, match="expected 3 class names, one an output, got 2"):
        Predictions(images, labels, logits, ("a", "b"), "classification")
    with pytest.raises(ValueError, match=r"expected labels in \[0, 3\), got labels from 0 to 3"):
        Predictions(images, np.array([0, 3]), logits, (), "classification")


def test_a_report_needs_a_work_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the work directory of a run, found none at"):
        write_report(tmp_path / "typo", _classification([0], [[1.0, 0.0]]))


def test_zero_and_no_are_not_written_as_none():
    assert [plain(value) for value in (0, 0.0, False, None, ())] == ["0", "0.0", "no", "none", "none"]
