"""Anchors: those of torchvision's detectors, in its order, and their number at each place."""

import numpy as np
import pytest

from zoo.detection.anchors import Anchors


def test_the_anchors_around_a_place_are_torchvisions():
    """What AnchorGenerator(((32,),), ((0.5, 1.0, 2.0),)) and two sizes on one map give there."""
    (found,) = Anchors(((32,),)).of_maps([(1, 1)], (16, 16))
    assert found.tolist() == [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    (found,) = Anchors(((32, 64),), (1.0, 2.0)).of_maps([(1, 1)], (16, 16))
    assert found.tolist() == [[-16, -16, 16, 16], [-32, -32, 32, 32], [-11, -23, 11, 23], [-23, -45, 23, 45]]


def test_places_are_a_stride_apart_by_row_and_column():
    anchors = Anchors(((4,), (8,)), (1.0,))
    fine, coarse = anchors.of_maps([(2, 3), (1, 2)], canvas=(16, 25))
    assert fine.shape == (6, 4)
    centres = (fine[:, :2] + fine[:, 2:]) / 2
    assert centres.tolist() == [[0, 0], [8, 0], [16, 0], [0, 8], [8, 8], [16, 8]]
    assert np.unique(fine[:, 2:] - fine[:, :2]).tolist() == [4]
    assert ((coarse[:, :2] + coarse[:, 2:]) / 2).tolist() == [[0, 0], [12, 0]]  # 25 // 2 pixels
    assert [anchors.per_place(level) for level in (0, 1)] == [1, 1]
    with pytest.raises(ValueError, match="a map for each of 2 tuples of sizes, got 1 maps"):
        anchors.of_maps([(2, 2)], (16, 16))
