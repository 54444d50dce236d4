"""Strips: captions stand right under the pictures, however flat these are."""

import numpy as np
import pytest

from train.report.strips import LINE, Strip, board


@pytest.mark.parametrize(("shape", "tallest"), [((8, 8, 3), 2.0), ((4, 8, 3), 1.0), ((8, 4, 3), 2.0)])
def test_a_row_is_as_high_as_its_highest_picture_and_its_caption_stands_under_it(shape, tallest):
    strips = [Strip([np.zeros(shape, np.uint8)], f"strip {number}") for number in range(2)]
    figure, axes, top = board(strips, ["image"], columns=1, side=2.0, below=0.0)
    places = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert places["strip 0"] == pytest.approx(LINE + tallest + 0.04)
    assert places["strip 1"] - places["strip 0"] == pytest.approx(tallest + 1.5 * LINE)
    assert figure.get_figheight() == pytest.approx(top) == pytest.approx(LINE + 2 * (tallest + 1.5 * LINE))


def test_pictures_stand_beside_each_other_under_their_titles_and_inside_the_figure():
    strips = [Strip([np.full((6, 8, 3), 10 * number, np.uint8)] * 3, f"strip {number}") for number in range(3)]
    figure, axes, top = board(strips, ["one", "two", "three"], columns=2, side=1.0, below=0.5)
    boxes = [image.get_extent() for image in axes.images]  # left, right, bottom, top, from the upper left corner
    assert [image.get_array()[0, 0, 0] for image in axes.images] == [0] * 3 + [10] * 3 + [20] * 3
    for number, (left, right, bottom, upper) in enumerate(boxes):
        assert (right - left, bottom - upper) == pytest.approx((1.0, 0.75))
        assert 0 < left < right < figure.get_figwidth()
        assert bottom < top < figure.get_figheight()
        for other in boxes[:number]:
            assert left >= other[1] or right <= other[0] or upper >= other[2] or bottom <= other[3]
    titles = [(text.get_text(), text.get_position()[0]) for text in axes.texts if "strip" not in text.get_text()]
    assert [name for name, _ in titles] == ["one", "two", "three"] * 2
    assert [place for _, place in titles] == [left for left, *_ in boxes[:6]]
    assert figure.get_figheight() == pytest.approx(top + 0.5)
    assert board(strips[:1], ["one", "two", "three"], 1, 1.0, 0.0, least=9.0).figure.get_figwidth() == 9.0
