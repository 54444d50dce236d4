"""A few of many examples: the same ones however they pass by, and evenly spread ones without keeping step."""

import heapq
import pickle

import numpy as np
import pytest

from train.report.sample import Leading, spread

random = np.random.default_rng(0)
COUNT = 1000
KEYS = random.integers(0, 40, COUNT).astype(np.float64)  # with many that are equal
VALUES = random.normal(size=(COUNT, 2))


def fed(rows, most=24, size=64):
    leading = Leading(most)
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        leading.add(KEYS[part], part, lambda chosen, part=part: {"value": VALUES[part[chosen]]})
    return leading


@pytest.mark.parametrize("size", [1, 7, 64, COUNT])
def test_the_smallest_keys_lead_of_equal_ones_the_earlier_row(size):
    leading = fed(np.arange(COUNT), size=size)
    expected = heapq.nsmallest(24, range(COUNT), key=lambda row: (KEYS[row], row))
    np.testing.assert_array_equal(leading.rows, expected)
    np.testing.assert_array_equal(leading.keys, KEYS[expected])
    np.testing.assert_array_equal(leading.values["value"], VALUES[expected])
    assert [example["row"] for example in leading.examples(by_row=True)] == sorted(expected)
    np.testing.assert_array_equal([example["value"] for example in leading.examples()], VALUES[expected])


def test_parts_that_are_merged_are_the_whole_whoever_saw_what():
    whole = fed(np.arange(COUNT))
    for parts in (
        np.split(np.arange(COUNT), [300]),
        [np.arange(COUNT)[i::3] for i in range(3)],
        [np.arange(COUNT), []],
    ):
        first, *others = (pickle.loads(pickle.dumps(fed(np.asarray(part, int)))) for part in parts)
        for other in others:
            first.merge(other)
        np.testing.assert_array_equal(first.rows, whole.rows)
        np.testing.assert_array_equal(first.values["value"], whole.values["value"])


def test_what_cannot_lead_is_never_asked_for():
    asked = []
    leading = Leading(2)
    for key in (3.0, 2.0, 5.0, 1.0, 2.0):
        leading.add(np.array([key]), np.array([len(asked)]), lambda chosen, key=key: asked.append(key) or {})
    assert asked == [3, 2, 1]
    assert len(Leading(3).examples()) == 0


def test_all_are_kept_while_they_are_few():
    leading = fed(np.arange(10), most=24)
    assert sorted(leading.rows) == list(range(10))


@pytest.mark.parametrize("count", [50, 360, 10_000, 50_000])
def test_spread_rows_leave_no_gap_much_larger_than_another(count):
    leading = Leading(12)
    leading.add(spread(np.arange(count)), np.arange(count), lambda chosen: {})
    gaps = np.diff(sorted(leading.rows))
    assert len(set(gaps)) <= 3  # the three-gap theorem
    assert gaps.max() <= 3 * count / 12
    assert gaps.max() <= 2.7 * gaps.min()


@pytest.mark.parametrize("period", [2, 4, 8, 10, 16])
def test_spread_rows_keep_step_with_no_period_of_the_data(period):
    rows = np.arange(5000)
    kept = rows[np.argsort(spread(rows), kind="stable")[:12]]
    assert len(set(kept % period)) >= min(period, 12) / 2  # of every 416th row: half of them, or one alone
