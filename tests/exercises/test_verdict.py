"""Verdicts of exercises: a right answer passes, any other is told what was expected, and nothing is raised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.exercises.verdict import Verdict, Wrong, judged, same


def compared(got, expected, tolerance=1e-5) -> Verdict:
    """What a check says that compares alone."""

    def check() -> str:
        same("w", got, expected, tolerance)
        return "equal"

    return judged(check)


def test_a_verdict_is_true_where_it_is_right_and_says_so():
    right, wrong = Verdict(True, "all 5"), Verdict(False, "expected 3, got 4")
    assert right
    assert not wrong
    assert repr(right) == "Right: all 5"
    assert repr(wrong) == "Not yet: expected 3, got 4"


def test_a_verdict_in_a_notebook_is_text_and_no_markup_of_its_own():
    shown = Verdict(False, "expected <b>, got x & y")._repr_html_()
    assert "Not yet: expected &lt;b&gt;, got x &amp; y" in shown
    assert "✗" in shown
    assert "✓" in Verdict(True, "")._repr_html_()


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (3, 3.0),
        ([1, 2], np.array([1.0, 2.0])),
        (jnp.array([1.0, 2.0]), [1, 2]),
        (jnp.array([1.0, 2.0], jnp.bfloat16), [1, 2]),
        (np.array([True, False]), [1, 0]),
        ([1, 0], np.array([True, False])),
        (np.float32(0.1), 0.1),
        ([1e6, 0.5], [1e6, 0.0]),  # within 1e-5 of the largest
        ([np.inf, -np.inf, np.nan, 1.0], [np.inf, -np.inf, np.nan, 1.0]),
        (np.zeros((0, 3)), np.zeros((0, 3))),
    ],
)
def test_equal_numbers_are_right_whatever_holds_them(got, expected):
    assert compared(got, expected), compared(got, expected)


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        (None, 1.0, "w: nothing came back yet"),
        (..., 1.0, "w: nothing came back yet"),
        ([1.0, 2.0], [[1.0, 2.0]], "w: expected shape (1, 2), got (2,)"),
        ([1.0, 2.0], [1.0, 3.0], "w at (1,): expected 3, got 2"),
        (2.0, 3.0, "w: expected 3, got 2"),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [5.0, 4.0]], "w at (1, 0): expected 5, got 3"),
        (np.array([True]), np.array([False]), "w at (0,): expected 0, got 1"),
        ([np.nan], [1.0], "w at (0,): expected 1, got nan"),
        ([1.0], [np.nan], "w at (0,): expected nan, got 1"),
        ([np.inf], [1.0], "w at (0,): expected 1, got inf"),
        ([7.0, np.inf], [1.0, np.inf], "w at (0,): expected 1, got 7"),  # an infinity is no scale
        ([-np.inf], [np.inf], "w at (0,): expected inf, got -inf"),
        ([1 + 0j], [1.0], "w: expected real numbers, got complex128"),
        (["a"], [1.0], "w: expected real numbers, got <U1"),
        ({"a": 1}, 1.0, "w: expected real numbers, got dict"),
        ([[1.0], [1.0, 2.0]], [[1.0], [2.0]], "w: expected one array of numbers, got a list that is none"),
    ],
)
def test_what_is_unlike_is_told(got, expected, said):
    verdict = compared(got, expected)
    assert not verdict
    assert verdict.said == said


def test_the_tolerance_is_a_share_of_the_largest_number_and_of_one_at_least():
    assert compared([100.5], [100.0], tolerance=0.01)
    assert not compared([101.5], [100.0], tolerance=0.01)
    assert compared([0.0015], [0.001], tolerance=0.001)


def test_what_a_check_says_of_a_right_answer_is_the_verdict():
    assert judged(lambda: "all of it") == Verdict(True, "all of it")


def test_a_wrong_answer_is_a_verdict():
    def check() -> str:
        raise Wrong("expected 3, got 4")

    assert judged(check) == Verdict(False, "expected 3, got 4")


def test_an_answer_that_fails_is_told_with_its_error_and_its_line():
    def answer(x):
        return x / len([])

    verdict = judged(lambda: answer(1))
    assert not verdict
    assert verdict.said.startswith("ZeroDivisionError: division by zero (in answer, line ")
    assert verdict.said.endswith(": return x / len([]))")


def test_an_answer_that_fails_inside_a_library_is_told_by_the_line_that_called_it():
    def answer():
        return jnp.ones(2) + jnp.ones(3)

    verdict = judged(answer)
    assert verdict.said.startswith("TypeError: add got incompatible shapes for broadcasting: (2,), (3,).")
    assert "(in answer, line" in verdict.said
    assert verdict.said.endswith(": return jnp.ones(2) + jnp.ones(3))")


def test_a_long_error_is_cut_to_its_first_line():
    def answer(x):
        return x if x > 0 else -x

    verdict = judged(lambda: jax.jit(answer)(1.0))
    assert verdict.said.startswith("TracerBoolConversionError: ")
    assert "\n" not in verdict.said
    assert "in answer, line" in verdict.said


def test_an_answer_without_source_and_an_error_without_words_are_told():
    scope: dict = {}
    exec("def answer():\n    raise NotImplementedError", scope)
    assert judged(scope["answer"]).said == "NotImplementedError (in answer, line 2)"


def test_an_interrupt_of_the_cell_is_no_verdict():
    def answer():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(answer)
