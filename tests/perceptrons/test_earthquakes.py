"""The table of earthquakes beside the text of the slide."""

from tests.shared import shared
from zoo.perceptrons import EARTHQUAKES, earthquake_features


def test_table_equals_the_slide_row_by_row():
    lines = shared("lecture", "slides.txt").read_text(encoding="utf-8").splitlines()
    cells = [line.rstrip().split("\t") for line in lines if line.startswith("2009\t")]
    rows = [
        (int(year), int(month), int(day), time, *map(float, numbers), shape)
        for year, month, day, time, *numbers, shape in cells
    ]
    assert len(rows) == 22
    assert list(EARTHQUAKES) == rows


def test_first_row_is_the_one_of_the_lecture():
    assert EARTHQUAKES[0] == (2009, 1, 1, "12:43:12 PM", -15.43, -173.14, 4.0, 35.0, "Point")


def test_features_are_the_columns_that_a_linear_model_takes_as_they_are():
    inputs, targets = earthquake_features()
    assert (inputs.shape, targets.shape) == ((22, 4), (22,))
    assert inputs[0].tolist() == [1.0, -15.43, -173.14, 35.0]
    assert (targets.min(), targets.max()) == (4.0, 5.8)
