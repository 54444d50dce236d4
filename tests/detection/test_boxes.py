"""Areas and overlaps of boxes, against counted pixels, closed forms and torchvision."""

from pathlib import Path

import jax
import numpy as np
import pytest

from tests.detection.goldens import inputs
from zoo.detection import area, at_least, clipped, flipped, generalized_iou, generalized_iou_of_pairs, iou, rescaled

GOLDEN = np.load(Path(__file__).parent / "goldens" / "operations.npz")

random = np.random.default_rng(0)


def whole(count):
    """Boxes of whole pixels in a square of sixteen."""
    low = random.integers(0, 12, (count, 2))
    return np.concatenate([low, low + random.integers(1, 5, (count, 2))], axis=1).astype(np.float64)


def pixels(box):
    """Which pixels of the square a box covers."""
    left, top, right, bottom = box.astype(int)
    mask = np.zeros((16, 16), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_iou_of_whole_boxes_is_that_of_their_pixels():
    boxes, others = whole(20), whole(15)
    found = iou(boxes, others)
    for i, j in np.ndindex(20, 15):
        one, other = pixels(boxes[i]), pixels(others[j])
        assert found[i, j] == pytest.approx((one & other).sum() / (one | other).sum())


def test_iou_of_a_box_moved_along_itself_is_a_closed_form():
    moved = np.arange(0, 5)
    boxes = np.stack([moved, 0 * moved, moved + 4, 0 * moved + 1], axis=1).astype(float)
    np.testing.assert_allclose(iou(boxes[:1], boxes)[0], (4 - moved) / (4 + moved))


def test_iou_is_the_same_in_jax_with_leading_axes_and_under_vmap():
    boxes, others = whole(12).reshape(3, 4, 4), whole(6).reshape(3, 2, 4)
    expected = np.stack([iou(*pair) for pair in zip(boxes, others, strict=True)])
    for found in (iou(boxes, others), jax.jit(iou)(boxes, others), jax.jit(jax.vmap(iou))(boxes, others)):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_empty_and_inverted_boxes_overlap_with_nothing():
    odd = np.array([[2.0, 2.0, 2.0, 5.0], [5.0, 5.0, 1.0, 1.0]])
    assert not area(odd).any()
    assert not iou(odd, np.concatenate([odd, [[0.0, 0.0, 9.0, 9.0]]])).any()


def test_clipped_boxes_end_with_the_image():
    boxes = np.array([[-3.0, -2.0, 5.0, 30.0], [7.0, 3.0, 12.0, 6.0]])
    expected = [[0.0, 0.0, 5.0, 10.0], [7.0, 3.0, 8.0, 6.0]]
    assert clipped(boxes, height=10, width=8).tolist() == expected
    assert jax.jit(clipped, static_argnums=(1, 2))(boxes, 10, 8).tolist() == expected


def test_overlaps_are_rounded_in_compiled_programs_as_in_numpy():
    boxes = inputs.crowd(0, 1000)[0]
    assert np.array_equal(jax.jit(iou)(boxes, boxes), iou(boxes, boxes))


def test_generalized_iou_is_torchvisions():
    boxes = inputs.crowd(0, 1000)[0]
    boxes = boxes[area(boxes) > 0]
    expected = GOLDEN["boxes/generalized_iou"]
    np.testing.assert_allclose(generalized_iou(boxes[:40], boxes[40:80]), expected, atol=1e-6)
    pairs = jax.jit(generalized_iou_of_pairs)(boxes[:40], boxes[40:80])
    np.testing.assert_allclose(pairs, np.diag(expected), atol=1e-6)


@pytest.mark.parametrize("function", [iou, generalized_iou])
def test_odd_boxes_have_overlaps_and_gradients_that_are_numbers(function):
    odd = np.array([[2, 2, 2, 5], [5, 5, 1, 1], [np.nan] * 4, [0, np.nan, 9, 9], [0, 0, 9, 9]], np.float32)
    with_slopes = jax.jit(jax.value_and_grad(lambda a, b: function(a, b).sum(), argnums=(0, 1)))
    assert np.isfinite(function(odd, odd)).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(with_slopes(odd, odd)))


def test_boxes_follow_the_image_when_it_is_flipped_and_resized():
    boxes = whole(9)
    for i, box in enumerate(boxes):
        assert np.array_equal(pixels(flipped(boxes, 16)[i]), pixels(box)[:, ::-1])
    np.testing.assert_array_equal(flipped(flipped(boxes, 16), 16), boxes)
    np.testing.assert_array_equal(rescaled(boxes, 2, 3), boxes * [3, 2, 3, 2])
    found = jax.jit(jax.vmap(rescaled))(np.stack([boxes, boxes]), np.array([2.0, 1.0]), np.array([3.0, 1.0]))
    np.testing.assert_allclose(found, np.stack([boxes * [3, 2, 3, 2], boxes]))


def test_sides_of_just_the_least_length_are_long_enough():
    boxes = np.array([[0, 0, 2, 9], [0, 0, 1.9, 9], [0, 0, 9, 2], [np.nan, 0, 9, 9], [9, 9, 0, 0]], np.float32)
    assert at_least(boxes, 2).tolist() == [True, False, True, False, False]
