"""Areas and overlaps of boxes, against counted pixels and closed forms."""

import jax
import numpy as np
import pytest

from zoo.detection import area, clipped, iou

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
