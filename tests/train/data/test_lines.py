"""Lines of digits: every column has the class of the digit that is there."""

import numpy as np

from train.config import Data
from train.data import load
from train.data.sources.digits import load_digits
from train.data.sources.lines import DIGITS, GAP, WIDTH


def test_columns_have_the_class_of_the_digit_that_is_there_and_gaps_are_empty():
    images, labels = load_digits()
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    lines = load(Data("lines"), "test").arrays()
    for image, tags in zip(lines["image"][:50], lines["tags"][:50], strict=True):
        column, digits = 0, 0
        while column < WIDTH:
            if tags[column] == GAP:
                assert not image[:, column].any()
                column += 1
            else:
                digit = np.ascontiguousarray(image[:, column : column + 8, 0])
                assert (tags[column : column + 8] == known[digit.tobytes()]).all()
                column, digits = column + 8, digits + 1
        assert DIGITS[0] <= digits <= DIGITS[1]


def test_lines_are_the_same_every_time_and_tests_are_of_other_digits():
    first, again = (load(Data("lines"), "train").arrays() for _ in range(2))
    np.testing.assert_array_equal(first["image"], again["image"])

    def digits(split):
        lines = load(Data("lines"), split).arrays()
        found = set()
        for image, tags in zip(lines["image"], lines["tags"], strict=True):
            column = 0
            while column < WIDTH:
                if tags[column] == GAP:
                    column += 1
                else:
                    found.add(np.ascontiguousarray(image[:, column : column + 8, 0]).tobytes())
                    column += 8
        return found

    assert not digits("train") & digits("test")
