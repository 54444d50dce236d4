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
