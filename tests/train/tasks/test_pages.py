"""Pages of labels and values: their numbers are scikit-learn's and scipy's, single predictions are said and drawn."""

import json
import math
import re
from pathlib import Path

import matplotlib.colors
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.datasets
import sklearn.metrics

from tests.train.report.reading import Read, undrawn
from train.report import Run, render, theme
from train.tasks.classification.page import ClassPage, interval, predicted_classes
from train.tasks.classification.task import Classification
from train.tasks.joint.page import JointPage
from train.tasks.joint.task import Joint
from train.tasks.regression.page import ValuePage
from train.tasks.regression.task import Regression

RUN = Run(Path("run"))


@pytest.fixture(autouse=True)
def _undrawn():
    """But those of the pages of this module's fixtures."""
    with undrawn():
        yield


@pytest.fixture(scope="module")
def coarse():
    """Figures of a few pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "DPI", 15)
        yield


def fed(page, batch, predicted, size=100):
    """The page after it saw everything in batches."""
    count = len(next(iter(batch.values())))
    batch = {"image": np.zeros((count, 4, 4, 1), np.uint8), "index": np.arange(count), **batch}
    for first in range(0, count, size):
        part = slice(first, first + size)
        page.add(*({name: array[part] for name, array in each.items()} for each in (batch, predicted)))
    return page


def of_classes(labels, logits, names=None, **options):
    logits = np.asarray(logits, np.float32)
    names = tuple(map(str, range(logits.shape[1]))) if names is None else names
    return fed(Classification(names).page(), {"label": np.asarray(labels)}, {"logits": logits}, **options)


def of_values(targets, values, unit="", image=None):
    batch = {"target": np.asarray(targets, np.float32)} | ({} if image is None else {"image": image})
    return fed(Regression(0.0, 1.0, unit).page(), batch, {"value": np.asarray(values, np.float32)})


def read(page):
    return Read(render(RUN, page.results(RUN))["report.html"])


@pytest.fixture(scope="module")
def digits():
    """Real predictions: scikit-learn's digits by the nearest mean of the first half of them."""
    data = sklearn.datasets.load_digits()
    means = np.stack([data.data[:900][data.target[:900] == digit].mean(axis=0) for digit in range(10)])
    images = np.rint(data.images[900:] * 255 / 16).astype(np.uint8)[..., None]
    logits = -((data.data[900:, None] - means) ** 2).sum(axis=-1) / 100
    return images, data.target[900:], logits.astype(np.float32)


@pytest.fixture(scope="module")
def finished(coarse, digits):
    """The page that saw them, and as it is read."""
    images, labels, logits = digits
    names = tuple(map(str, range(10)))
    page = fed(ClassPage(names), {"image": images, "label": labels}, {"logits": logits})
    return page, read(page)


def test_confusion_counts_are_scikit_learns():
    rng = np.random.default_rng(0)
    for classes in (2, 7, 100):
        labels, guesses = rng.integers(0, classes, (2, 500))
        labels[labels == 1] = 0  # one class has no example
        page = of_classes(labels, np.eye(classes)[guesses], size=64)
        expected = sklearn.metrics.confusion_matrix(labels, guesses, labels=range(classes))
        np.testing.assert_array_equal(page.counts, expected)
        np.testing.assert_array_equal(page.support, expected.sum(axis=1))


def test_the_interval_of_the_accuracy_is_wilsons():
    z = scipy.stats.norm.ppf(0.975)
    for successes, count in ((0, 1), (1, 1), (3, 7), (359, 360), (9173, 10_000), (360, 360)):
        share, shrink = successes / count, 1 + z**2 / count
        half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / shrink
        centre = (share + z**2 / (2 * count)) / shrink
        np.testing.assert_allclose(interval(successes, count), (centre - half, centre + half), atol=1e-12)


def test_confidence_is_the_softmax_of_the_largest_logit_even_where_it_overflows():
    logits = np.random.default_rng(0).normal(size=(20, 5)) * 1000
    predicted, confidence = predicted_classes(logits)
    np.testing.assert_array_equal(predicted, logits.argmax(axis=1))
    np.testing.assert_allclose(confidence, scipy.special.softmax(logits, axis=1).max(axis=1))
    masked, _ = predicted_classes(np.array([[-np.inf, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]]))
    np.testing.assert_array_equal(masked, [1, -1, -1])


def test_headline_is_the_test_accuracy_with_the_number_of_errors(finished, digits):
    _, labels, logits = digits
    right = int(sklearn.metrics.accuracy_score(labels, logits.argmax(axis=1), normalize=False))
    _, page = finished
    assert f"{100 * right / 897:.2f}%" in page.text
    assert f"{897 - right} wrong of 897" in page.text


def test_wrong_predictions_are_shown_most_confident_first(finished, digits):
    _, labels, logits = digits
    _, page = finished
    words = [tag["title"] for name, tag in page.tags if name == "figure" and tag.get("class") == "wrong"]
    shown = [int(re.match(r"Example (\d+): predicted", line)[1]) for line in words]
    probabilities = scipy.special.softmax(logits.astype(np.float64), axis=1)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    expected = sorted(wrong, key=lambda i: -probabilities[i].max())[:24]
    assert shown == expected
    assert all(f"true {labels[i]}" in line for i, line in zip(shown, words, strict=True))


def test_right_predictions_are_spread_over_all_in_the_order_of_the_data(finished, digits):
    images, labels, logits = digits
    page, _ = finished
    rows = np.array([example["row"] for example in page.right.examples(by_row=True)])
    assert len(rows) == 12
    assert (logits[rows].argmax(axis=1) == labels[rows]).all()
    assert np.diff(rows).min() > 30  # an even spread has 81
    assert np.diff(rows).max() < 160
    np.testing.assert_array_equal(page.right.examples(by_row=True)[3]["image"], images[rows[3]])


def test_ties_of_confidence_and_few_examples_are_shown_as_they_come():
    page = of_classes([0, 1, 0, 1, 1, 0], np.eye(2)[[0, 0, 1, 1, 0, 0]], size=4)
    titles = [tag["title"] for name, tag in read(page).tags if name == "figure" and "title" in tag]
    wrong, right = (1, 2, 4), (0, 3, 5)
    assert [int(re.search(r"\d+", title)[0]) for title in titles] == [*wrong, *right]


def test_a_run_without_errors_and_with_one_example_has_a_page():
    page = read(of_classes([1], [[0.0, 3.0]]))
    assert "100.00%" in page.text
    assert "0 wrong of 1" in page.text
    assert re.search(r"Wrong predictions\s*None\.\s*Right predictions\s*1 shown", page.text)
    assert "none" in page.text  # of class 0 there is no example


def test_outputs_that_are_not_finite_are_wrong_and_come_last():
    nothing = [np.nan, np.nan]
    page = read(of_classes([1, 0, 1, 1], [[0.0, 1.0], nothing, nothing, [1.0, 0.0]]))
    assert "not finite, counted as wrong: 2." in page.text
    assert "25.00%" in page.text
    titles = [tag.get("title") for name, tag in page.tags if name == "figure" and tag.get("class") == "wrong"]
    assert titles == [
        "Example 3: predicted 0, true 1, 73.1\u202f%",
        "Example 1: predicted not finite, true 0",
        "Example 2: predicted not finite, true 1",
    ]


def test_a_hundred_classes_have_their_top_confusions_as_a_table():
    labels = np.repeat(np.arange(99), 2)  # none of class 99
    predicted = labels.copy()
    predicted[labels == 7] = 8
    page = read(of_classes(labels, 9.0 * np.eye(100)[predicted]))
    assert "Most frequent confusions" in page.text
    assert re.search(r"Of the class\s*7\s*8\s*2\s*100.0%", page.text)


def test_class_names_from_outside_are_escaped():
    evil = "<script>alert(1)</script>"
    for classes in (2, 21):  # 21: all tables of many classes as well
        page = read(of_classes([0, 1, 1], np.eye(classes)[[0, 0, 1]], [f'{evil}"{i}' for i in range(classes)]))
        assert "script" not in {tag for tag, _ in page.tags}
        assert page.text.count("<script>alert(1)") >= 4


@pytest.fixture(scope="module")
def angles(coarse):
    """Targets, outputs, the page that saw them, and its pictures."""
    rng = np.random.default_rng(0)
    targets = np.sort(rng.uniform(-90, 90, 230)).astype(np.float32) + 1000  # batches of very different means
    outputs = (targets + rng.normal(0, 5, 230)).astype(np.float32)
    images = rng.integers(0, 256, (230, 70, 70, 3), dtype=np.uint8)  # larger than a thumbnail is kept exactly
    page = of_values(targets, outputs, "degrees", images)
    return targets, outputs, page, page.results(RUN).pictures


def test_regression_reports_scikit_learns_errors_in_their_unit(angles):
    targets, outputs, page, _ = angles
    text = read(page).text
    assert f"{sklearn.metrics.mean_absolute_error(targets, outputs):.3g} degrees" in text
    assert f"root mean square {sklearn.metrics.root_mean_squared_error(targets, outputs):.3g} degrees" in text
    assert f"median {sklearn.metrics.median_absolute_error(targets, outputs):.3g} degrees" in text
    assert f"R² {sklearn.metrics.r2_score(targets, outputs):.3f}" in text
    worst = np.abs(outputs - targets).argmax()
    assert f"true {targets[worst]:.0f}" in text
    assert "spread evenly, as in the median" not in text  # all are there


def test_pictures_of_values_are_drawn(angles):
    pictures = angles[3]
    assert set(pictures) == {"residuals.png", "predictions.png"}
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())


def test_regression_of_one_example_or_of_nothing_finite_has_a_page():
    assert "in units of the target" in read(of_values([0], [0])).text
    assert "not finite, left out: 1." in read(of_values([0], [np.nan])).text


def test_both_have_one_page_and_the_label_is_its_headline():
    labels, targets = np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0], np.float32)
    page = fed(
        Joint(("a", "b"), 0.0, 1.0, "degrees").page(),
        {"label": labels, "target": targets},
        {"logits": np.eye(2, dtype=np.float32)[[0, 1, 0]], "value": targets + 5},
    )
    results = page.results(RUN)
    assert results.label == "test accuracy"
    assert results.detail.endswith("; test mean absolute error 5 degrees")
    found = [re.search("<h2>(.*)</h2>", part)[1] for part in results.sections]
    assert found == [
        "Classes",
        "Wrong predictions",
        "Right predictions",
        "Predicted and true values",
        "Largest errors",
        "Examples",
    ]
    assert set(results.pictures) == {"confusion.png", "residuals.png", "predictions.png"}


def test_predictions_that_do_not_fit_are_refused_in_words():
    with pytest.raises(ValueError, match=r"expected labels \(n,\) and logits \(n, 3\), got \(2,\) and \(3, 3\)"):
        ClassPage("abc").add({"label": np.array([0, 1])}, {"logits": np.zeros((3, 3))})
    with pytest.raises(ValueError, match=r"and cosines \(n, 2\), got \(2,\) and \(2, 3\)"):
        ClassPage("ab", "cosines").add({"label": np.array([0, 1])}, {"cosines": np.zeros((2, 3))})
    with pytest.raises(ValueError, match=r"expected labels in \[0, 3\), got labels from 0 to 3"):
        of_classes([0, 3], np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"expected targets \(n,\) and values \(n,\), got \(2,\) and \(2, 1\)"):
        of_values([0, 1], np.zeros((2, 1)))
    for page in (ClassPage("ab"), ValuePage()):
        with pytest.raises(ValueError, match="at least one example"):
            page.results(RUN)


LOGITS = np.log(np.array([0.2, 0.5, 0.3], np.float32))


def test_a_prediction_is_recorded_with_all_its_classes_best_first_and_said_in_a_line():
    page = ClassPage(("cat", "dog", "$x"))
    record = json.loads(json.dumps(page.record({"logits": LOGITS})))
    assert [name for name, _ in record["scores"]] == ["dog", "$x", "cat"]
    np.testing.assert_allclose([share for _, share in record["scores"]], [0.5, 0.3, 0.2], rtol=1e-6)
    assert page.words({"logits": LOGITS}) == "dog 50.0 %, $x 30.0 %, cat 20.0 %"
    nearest = ClassPage(("cat", "dog"), "cosines")
    cosines = np.array([-0.25, 0.9375], np.float32)
    assert nearest.record({"cosines": cosines}) == {"scores": [("dog", 0.9375), ("cat", -0.25)]}
    assert nearest.words({"cosines": cosines}) == "dog (cosine 0.938), cat (cosine -0.250)"
    value = {"value": np.float32(12.34567)}
    assert ValuePage("years").words(value) == "12.35 years"
    assert ValuePage().words(value) == "12.35"
    assert ValuePage().record(value) == {"value": pytest.approx(12.34567)}
    both = JointPage(("cat", "dog", "$x"), "years")
    assert both.words({"logits": LOGITS, **value}) == "dog 50.0 %, $x 30.0 %, cat 20.0 %; 12.35 years"
    assert set(both.record({"logits": LOGITS, **value})) == {"scores", "value"}


def test_a_prediction_is_drawn_with_the_leading_classes_or_the_value():
    example = {"image": np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)}
    blue = np.round(255 * np.array(matplotlib.colors.to_rgb(theme.LIGHT.blue)))
    value = {"value": np.float32(3)}
    of_labels = ClassPage(("cat", "dog", "$x")).picture(example, {"logits": LOGITS})
    of_value = ValuePage("years").picture(example, value)
    of_both = JointPage(("cat", "dog", "$x"), "years").picture(example, {"logits": LOGITS, **value})
    for picture in (of_labels, of_value, of_both):
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
    assert [(picture == blue).all(axis=2).any() for picture in (of_labels, of_value, of_both)] == [True, False, True]
    assert of_both.shape[0] > of_labels.shape[0]
