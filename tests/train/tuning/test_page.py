"""The page of a sweep: self-contained, for every kind of space and of end, with figures that say what is true."""

import math
import re

import numpy as np
import pytest

from train.config import LOSS, Metric
from train.report.theme import DARK
from train.tuning import drawing
from train.tuning.page import Found, render
from train.tuning.search import Choices, Range
from train.tuning.trials import DIVERGED, FINISHED, INTERRUPTED, PRUNED, REFUSED, RUNNING, WAITING, Record

ACCURACY = Metric("accuracy", "Accuracy", percent=True)
SEARCHES = (
    Range("optimizer.learning_rate", 1e-4, 1.0, log=True),
    Range("epochs", 2, 20, whole=True),
    Choices("optimizer.name", ("sgd", "adamw", "lamb")),
    Range("model.options.dropout", 0.0, 0.5),
)


def record(number, state, result=math.nan, rate=0.01, epochs=11, name="sgd", dropout=0.25, **more):
    values = {search.field: v for search, v in zip(SEARCHES, (rate, epochs, name, dropout), strict=True)}
    course = {} if math.isnan(result) else {1: result / 2, 2: result}
    return Record(number, state, values, result, course, f"trial-{number}", 3.0, more.get("note", ""))


RECORDS = (
    record(0, FINISHED, 0.9, rate=1e-4, epochs=2, name="sgd", dropout=0.0),
    record(1, FINISHED, 0.95, rate=0.01, epochs=11, name="adamw", dropout=0.25),
    record(2, FINISHED, 0.95, rate=1.0, epochs=20, name="lamb", dropout=0.5),
    record(3, PRUNED, 0.4),
    record(4, DIVERGED, note="step 7: <b>not</b> finite"),
    record(5, REFUSED, note="too large"),
    record(6, INTERRUPTED),
    record(7, RUNNING, 0.2),
    Record(8, WAITING, {}, math.nan, {}, "trial-8", math.nan, ""),
)


def found(records=RECORDS, searches=SEARCHES, metric=ACCURACY, importances=None):
    best = next((r for r in records if r.state == FINISHED and r.result == 0.95), None)
    command = "python -m train fit digits" if best else ""
    return Found("digits", searches, metric, records, best, importances or {}, command)


@pytest.fixture(scope="module")
def page():
    return render(found(importances={"optimizer.learning_rate": 0.75, "epochs": 0.25}))


@pytest.mark.parametrize(("aside", "words"), [(False, "to the same bits"), (True, "measures it on the test")])
def test_the_page_says_of_what_the_best_recipe_learns(aside, words):
    assert words in render(found()._replace(aside=aside))["report.html"].decode()


def test_the_page_is_self_contained_and_has_its_figures_beside_it(page):
    assert list(page) == ["parallel.png", "slices.png", "courses.png", "history.png", "report.html"]
    text = page["report.html"].decode()
    assert not re.search(r"(src|href|srcset)=\"(?!data:)", text)
    assert "<script" not in text
    for name, content in page.items():
        assert name == "report.html" or content.startswith(b"\x89PNG")


def test_the_page_says_the_best_the_command_the_shares_and_every_trial(page):
    text = page["report.html"].decode().replace("\u202f", " ")
    assert "95.00 %" in text
    assert "python -m train fit digits" in text
    assert "75 %" in text
    rows = re.findall(r"<tr><td>(\d+)</td><td>(.*?)</td>.*<td>(.*?)</td></tr>", text)
    assert [number for number, _, _ in rows] == ["1", "2", "0", "3", "7", "4", "5", "6", "8"]
    assert ("4", "–", "diverged: step 7: &lt;b&gt;not&lt;/b&gt; finite") in rows
    assert ("5", "–", "refused: too large") in rows


def test_a_sweep_without_an_end_has_a_page_too():
    page = render(found(records=RECORDS[3:]))
    assert "no trial came to its end" in page["report.html"].decode()
    assert "parallel.png" not in page
    assert render(found(records=()))["report.html"]


def test_one_hyperparameter_needs_no_importance():
    page = render(found(searches=SEARCHES[:1]))
    assert "parallel.png" not in page
    assert "Importance" not in page["report.html"].decode()


@pytest.mark.parametrize("theme", [drawing.LIGHT, DARK])
def test_a_line_of_parallel_coordinates_meets_each_axis_at_its_value(theme):
    figure = drawing.parallel(RECORDS, SEARCHES, ACCURACY, theme)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 5]
    heights = {tuple(np.round(line.get_ydata(), 6)): line.get_color() for line in lines}
    assert set(heights) == {(0, 0, 0, 0, 0), (0.5, 0.5, 0.5, 0.5, 1), (1, 1, 1, 1, 1)}
    assert [line for line, colour in heights.items() if isinstance(colour, str) and colour == theme.orange] == [
        (0.5, 0.5, 0.5, 0.5, 1)  # of equals the first
    ]


def test_dots_stand_at_their_values_and_the_best_is_orange():
    figure = drawing.slices(RECORDS, SEARCHES, ACCURACY)
    rates = figure.axes[0]
    early, finished, best = rates.lines
    assert list(finished.get_xdata()) == [1e-4, 0.01, 1.0]
    assert list(early.get_ydata()) == [0.4, 0.2]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([0.01], [0.95])
    assert rates.get_xscale() == "log"
    names = figure.axes[2]
    assert [label.get_text() for label in names.get_xticklabels()] == ["sgd", "adamw", "lamb"]
    assert list(names.lines[1].get_xdata()) == [0, 1, 2]


def test_a_trial_that_another_went_on_with_is_not_drawn_twice():
    records = (record(0, INTERRUPTED, 0.3), record(1, PRUNED, 0.3), record(2, FINISHED, 0.9))
    rings, finished, _ = drawing.slices(records, SEARCHES[:1], ACCURACY).axes[0].lines
    assert (list(rings.get_ydata()), list(finished.get_ydata())) == ([0.3], [0.9])
    assert len(drawing.courses(records, ACCURACY).axes[0].lines) == 3  # a broken line, its cross, and a whole one


def test_the_best_so_far_follows_the_direction_of_the_metric():
    for metric, expected in ((ACCURACY, [0.9, 0.95, 0.95, 0.95]), (LOSS, [0.9, 0.9, 0.9, 0.9])):
        line = drawing.history(RECORDS, metric).axes[0].lines[0]
        assert list(line.get_ydata()) == expected
