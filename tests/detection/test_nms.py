"""Non-maximum suppression: what torchvision keeps, the loop by hand, golden cases, and the formulas of soft-NMS."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.detection.goldens import inputs
from zoo.detection import batched_nms, iou, nms, soft_nms
from zoo.detection.nms import _below, _by_best, _of_all, _row_by_row, _until_settled

GOLDEN = np.load(Path(__file__).parent / "goldens" / "operations.npz")

QUICK = ((2000, 0.5), (1000, 0.2))

suppressed = jax.jit(nms, static_argnums=(2, 3))
suppressed_apart = jax.jit(batched_nms, static_argnums=(3, 4))
softly = jax.jit(soft_nms, static_argnums=(2, 3))


def by_hand(boxes, scores, threshold, most, least):
    """The numbers of the boxes that stay."""
    left, kept = [i for i in np.argsort(-scores, kind="stable") if scores[i] > least], []
    while left and len(kept) < most:
        best, *others = left
        kept.append(int(best))
        left = [i for i in others if iou(boxes[[best]], boxes[[i]])[0, 0] <= threshold]
    return kept


def kept(boxes, scores, threshold, most, least=-np.inf):
    numbers, real = jax.device_get(suppressed(boxes, scores, threshold, most, scores > least))
    return numbers[real].tolist()


@pytest.mark.parametrize(
    ("count", "threshold"),
    # Of the same programs, two sizes at three thresholds: two of the six say most, and each takes two seconds.
    [
        pytest.param(count, threshold, marks=[] if (count, threshold) in QUICK else pytest.mark.slow)
        for count in inputs.NMS_COUNTS
        for threshold in inputs.NMS_THRESHOLDS
    ],
)
def test_boxes_that_stay_are_torchvisions(count, threshold):
    drawn = [inputs.crowd(seed, count) for seed in inputs.NMS_SEEDS]
    for name in ("nms", "batched_nms"):
        rows = GOLDEN[f"{name}/{threshold}"][inputs.NMS_COUNTS.index(count) :: len(inputs.NMS_COUNTS)]
        for (boxes, scores, labels), bits in zip(drawn, rows, strict=True):
            labels = labels if name == "batched_nms" else None
            numbers, real = jax.device_get(suppressed_apart(boxes, scores, labels, threshold, count))
            assert np.array_equal(np.sort(numbers[real]), np.flatnonzero(np.unpackbits(bits)))


def test_order_is_torchvisions_also_of_equal_scores_and_the_best_few_are_its_first():
    boxes, scores, _ = inputs.crowd(0, 1000)
    expected = GOLDEN["nms_order"].tolist()
    assert kept(boxes, scores, 0.5, 1000) == expected
    assert kept(boxes, scores, 0.5, 100) == expected[:100]  # by the form for few outputs


def test_every_form_gives_the_same():
    boxes, scores, labels = inputs.crowd(3, 300)
    labels, valid = jnp.asarray(labels), jnp.asarray(scores > 0.1)
    for threshold in (0.2, 0.5):
        arguments = jnp.asarray(boxes), jnp.asarray(scores), labels, valid, _below(threshold), 300
        for one, other in zip(_by_best(*arguments), _of_all(*arguments), strict=True):
            assert np.array_equal(one, other)
        overlapping = jnp.asarray(iou(boxes, boxes) > _below(threshold))
        assert np.array_equal(_row_by_row(overlapping, valid), _until_settled(overlapping, valid))


def test_equals_the_loop_by_hand():
    random = np.random.default_rng(0)
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
    fifths = np.array([[0.0, 0.0, 3.0, 1.0], [2.0, 0.0, 5.0, 1.0]])  # float32's 0.2, which is above 0.2, is dropped
    assert kept(fifths, np.array([0.5, 0.5]), 0.2, 3) == [0]


def test_nothing_is_made_up_where_there_are_fewer_boxes_than_asked_for():
    same = np.tile(np.array([[1.0, 1.0, 2.0, 2.0]]), (3, 1))
    numbers, real = suppressed(same, np.array([0.1, 0.3, 0.2]), 0.5, 6)
    assert (numbers.tolist(), real.tolist()) == ([1, 0, 0, 0, 0, 0], [True, *[False] * 5])
    assert not kept(same, np.full(3, 0.2), 0.5, 6, 0.2)
    numbers, real = suppressed(np.zeros((0, 4)), np.zeros(0), 0.5, 2)
    assert (numbers.tolist(), real.tolist()) == ([0, 0], [False, False])


def test_what_is_no_number_is_never_taken():
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 6.0, 6.0], [np.nan, 0.0, 1.0, 1.0], [0.0, 0.0, np.inf, 1.0]])
    assert kept(boxes, np.array([np.nan, 0.5, 0.9, 0.8]), 0.5, 3) == [1]


def test_works_under_vmap_and_takes_no_gradient():
    boxes, scores = (np.stack(each) for each in zip(*(inputs.crowd(seed, 60)[:2] for seed in range(3)), strict=True))
    for most in (5, 60):  # both forms
        many = jax.jit(jax.vmap(lambda b, s, most=most: nms(b, s, 0.5, most)))(boxes, scores)
        for i in range(3):
            one = suppressed(boxes[i], scores[i], 0.5, most)
            assert all(np.array_equal(each[i], alone) for each, alone in zip(many, one, strict=True))

    def best(boxes):
        return boxes[nms(boxes, scores[0], 0.5, 60)[0]].sum()

    assert np.isfinite(jax.jit(jax.grad(best))(boxes[0])).all()


def soft_by_hand(boxes, scores, most, factor):
    scores, found = scores.astype(np.float64), []
    left = list(range(len(scores)))
    while left and len(found) < most:
        best = left.pop(int(np.argmax(scores[left])))
        if scores[best] <= 1e-3:
            break
        found.append((best, scores[best]))
        for i in left:
            scores[i] *= factor(float(iou(boxes[[best]], boxes[[i]])[0, 0]))
    return found


@pytest.mark.parametrize(
    ("decay", "factor"),
    [("gaussian", lambda o: np.exp(-(o**2) / 0.5)), ("linear", lambda o: 1 - o if o > 0.3 else 1.0)],
)
def test_soft_nms_is_the_papers_loop(decay, factor):
    boxes, scores, _ = inputs.crowd(1, 50)
    numbers, found, real = jax.device_get(softly(boxes, scores, 40, decay))
    expected = soft_by_hand(boxes, scores, 40, factor)
    assert numbers[real].tolist() == [number for number, _ in expected]
    np.testing.assert_allclose(found[real], [score for _, score in expected], rtol=1e-5)


def test_soft_nms_leaves_other_labels_alone_and_what_is_not_there():
    same = np.tile(np.array([[1.0, 1.0, 2.0, 2.0]], np.float32), (3, 1))
    scores, labels = np.array([0.5, 0.8, 0.9], np.float32), np.array([1, 2, 2])
    numbers, found, real = soft_nms(same, scores, 3, "linear", labels=labels)
    assert (numbers[real].tolist(), found[real].tolist()) == ([2, 0], scores[[2, 0]].tolist())
    assert soft_nms(same, scores, 3, "linear", valid=np.array([True, False, False]))[2].tolist() == [True, False, False]


def test_wrong_input_is_refused():
    boxes, scores = np.zeros((3, 4)), np.zeros(3)
    with pytest.raises(ValueError, match=r"expected boxes \(n, 4\) and scores \(n\), got \(3, 4\) and \(2,\)"):
        nms(boxes, scores[:2], 0.5, 3)
    with pytest.raises(ValueError, match="expected at least one output, got max_outputs=0"):
        nms(boxes, scores, 0.5, 0)
    with pytest.raises(ValueError, match=r"expected valid of shape \(3,\), got \(2,\)"):
        nms(boxes, scores, 0.5, 3, np.ones(2, bool))
    with pytest.raises(ValueError, match="expected a decay of gaussian, linear, got 'hard'"):
        soft_nms(boxes, scores, 3, "hard")


def test_soft_suppression_survives_boxes_that_are_the_same():
    boxes = jnp.array([[0.0, 0, 64, 64], [0, 0, 64, 64], [80, 80, 90, 90]])
    for decay in ("linear", "gaussian"):
        kept, scores, real = soft_nms(boxes, jnp.array([0.9, 0.8, 0.7]), 3, decay, valid=jnp.array([True, False, True]))
        assert kept[real].tolist() == [0, 2]
        assert np.isfinite(scores).all()
