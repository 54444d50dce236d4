"""Non-maximum suppression: golden cases, and the loop that one would write by hand."""

import jax
import numpy as np

from zoo.detection import iou, suppress

random = np.random.default_rng(0)
suppressed = jax.jit(suppress, static_argnums=3)


def by_hand(boxes, scores, threshold, most, least):
    """The numbers of the boxes that stay."""
    left, kept = [i for i in np.argsort(-scores, kind="stable") if scores[i] > least], []
    while left and len(kept) < most:
        best, *others = left
        kept.append(int(best))
        left = [i for i in others if iou(boxes[[best]], boxes[[i]])[0, 0] <= threshold]
    return kept


def kept(boxes, scores, threshold, most, least=-np.inf):
    numbers, real = suppressed(boxes, scores, threshold, most, least)
    return numbers[real].tolist()


def test_equals_the_loop_by_hand():
    for threshold, most, least in ((0.3, 7, 0.0), (0.5, 40, 0.2), (0.0, 40, -np.inf), (1.0, 7, 0.5)):
        low = random.uniform(0, 20, (40, 2))
        boxes = np.concatenate([low, low + random.uniform(4, 12, (40, 2))], axis=1).astype(np.float32)
        scores = random.uniform(size=40).astype(np.float32)
        assert kept(boxes, scores, threshold, most, least) == by_hand(boxes, scores, threshold, most, least)


def test_chain_loses_its_middle_alone():
    chain = np.array([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0], [4.0, 0.0, 8.0, 4.0]])  # a third of each pair
    assert kept(chain, np.array([0.9, 0.8, 0.7]), 0.2, 3) == [0, 2]
    assert kept(chain, np.array([0.7, 0.9, 0.8]), 0.2, 3) == [1]
    assert kept(chain, np.array([0.9, 0.8, 0.7]), 0.5, 3) == [0, 1, 2]


def test_overlap_at_the_threshold_stays_and_equal_scores_are_taken_in_order():
    halves = np.array([[0.0, 0.0, 3.0, 1.0], [1.0, 0.0, 4.0, 1.0]])  # two of four
    assert kept(halves, np.array([0.5, 0.5]), 0.5, 3) == [0, 1]
    assert kept(halves, np.array([0.5, 0.5]), 0.49, 3) == [0]


def test_nothing_is_made_up_where_there_are_fewer_boxes_than_asked_for():
    same = np.tile(np.array([[1.0, 1.0, 2.0, 2.0]]), (3, 1))
    numbers, real = suppressed(same, np.array([0.1, 0.3, 0.2]), 0.5, 6)
    assert (numbers.shape, real.tolist()) == ((6,), [True, *[False] * 5])
    assert not kept(same, np.full(3, 0.2), 0.5, 6, 0.2)


def test_scores_that_are_no_numbers_are_never_taken():
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 6.0, 6.0]])
    assert kept(boxes, np.array([np.nan, 0.5]), 0.5, 3) == [1]
