"""Windows in normal form: padding names, integers, and what is refused."""

import pytest

from zoo.nn.window import explicit_padding, output_sizes, per_axis


def test_same_padding_at_stride_two_is_lopsided_and_an_integer_is_not():
    # XLA's rule: the output has ceil(8 / 2) places, and the odd pixel of padding goes after the image.
    assert explicit_padding("SAME", (8, 7), (3, 3), (2, 2)) == ((0, 1), (1, 1))
    assert explicit_padding("VALID", (8,), (3,), (1,)) == ((0, 0),)
    assert explicit_padding((1, (0, 2)), (8, 8), (3, 3), (2, 2)) == ((1, 1), (0, 2))


@pytest.mark.parametrize("padding", ["SAM", (1,), (1, 1, 1), -1, ((0, -1), 1), ((0, 1, 2), 1)])
def test_padding_that_is_no_padding_is_refused(padding):
    with pytest.raises(ValueError, match="padding: expected"):
        explicit_padding(padding, (8, 8), (3, 3), (1, 1))


def test_other_numbers_of_axes_and_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="strides: expected one positive integer, or 2 of them"):
        per_axis((1, 1, 1), 2, "strides")
    with pytest.raises(ValueError, match="window: expected"):
        per_axis(0, 2, "window")
    assert output_sizes((3,), (3,), (1,), ((0, 0),), "x") == (1,)
    with pytest.raises(ValueError, match="window of \\(4,\\) does not fit into an image of \\(3,\\)"):
        output_sizes((3,), (4,), (1,), ((0, 0),), "x")
