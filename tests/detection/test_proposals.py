"""Selective search, where OpenCV is; and how many objects proposals find."""

import builtins

import numpy as np
import pytest

from zoo.detection.proposals import padded, recall, selective_search


def scene():
    """Three bright squares on a dark ground, and their boxes."""
    image = np.full((64, 80, 3), 40, np.uint8)
    boxes = np.array([[8, 8, 24, 24], [40, 10, 60, 30], [30, 40, 50, 60]], np.float32)
    for (left, top, right, bottom), colour in zip(
        boxes.astype(int), [(250, 40, 40), (40, 250, 40), (60, 60, 250)], strict=True
    ):
        image[top:bottom, left:right] = colour
    return image, boxes


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_selective_search_finds_what_stands_out(mode):
    pytest.importorskip("cv2.ximgproc", reason="the extra detection is not installed")
    image, boxes = scene()
    proposals = selective_search(image, mode)
    assert len(np.unique(proposals, axis=0)) == len(proposals)
    assert np.all(proposals >= 0)
    assert np.all(proposals <= np.float32([80, 64, 80, 64]) + 0.5)  # of the enlarged image, rounded
    found, objects = recall(proposals[None], boxes[None], np.ones((1, 3), bool), [len(proposals)], 0.75)
    assert (found.tolist(), objects.item()) == ([3], 3)
    assert len(selective_search(image, mode, most=2)) == 2


def test_boxes_of_an_image_do_not_depend_on_what_was_searched_before():
    pytest.importorskip("cv2.ximgproc", reason="the extra detection is not installed")
    image, _ = scene()
    other = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    first = [selective_search(each, most=5) for each in (image, other)]
    again = [selective_search(each, most=5) for each in (other, image)]
    for one, two in zip(first, again[::-1], strict=True):
        np.testing.assert_array_equal(one, two)


def test_selective_search_says_what_it_needs(monkeypatch):
    wanted = builtins.__import__

    def refuse(name, *rest, **more):
        if name.startswith("cv2"):
            raise ImportError(name)
        return wanted(name, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", refuse)
        with pytest.raises(ImportError, match=r'pip install -e "\.\[detection\]"'):
            selective_search(scene()[0])
    pytest.importorskip("cv2.ximgproc", reason="the extra detection is not installed")
    with pytest.raises(ValueError, match="expected a mode of fast, quality, got 'best'"):
        selective_search(scene()[0], "best")
    with pytest.raises(ValueError, match=r"expected pixels uint8 \(height, width, 3\), got float32 \(4, 4, 3\)"):
        selective_search(np.zeros((4, 4, 3), np.float32))


def test_recall_counts_objects_among_the_first_proposals():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (2, 30, 2))
    proposals = np.concatenate([corners, corners + random.uniform(5, 40, (2, 30, 2))], -1).astype(np.float32)
    truth = proposals[:, [4, 17, 29]] + random.uniform(-2, 2, (2, 3, 4)).astype(np.float32)
    valid = np.array([[True, True, True], [True, False, True]])
    counts = [1, 5, 20, 30]
    found, objects = recall(proposals, truth, valid, counts, 0.6)

    def by_hand(count):
        total = 0
        for boxes, objects, real in zip(proposals, truth, valid, strict=True):
            for (x, y, right_end, end), there in zip(objects, real, strict=True):
                overlaps = []
                for left, top, right, bottom in boxes[:count]:
                    inter = max(0, min(right_end, right) - max(x, left)) * max(0, min(end, bottom) - max(y, top))
                    both = (right_end - x) * (end - y) + (right - left) * (bottom - top) - inter
                    overlaps.append(inter / both)
                total += there and max(overlaps) >= 0.6
        return total

    assert found.tolist() == [by_hand(count) for count in counts]
    assert objects == 5


def test_padding_keeps_the_first():
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert padded(boxes, 2).tolist() == boxes[:2].tolist()
    assert padded(boxes, 4)[3].tolist() == [0, 0, 0, 0]
