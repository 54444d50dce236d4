"""Proposals of examples, with a search that says what it was given."""

import numpy as np
import pytest

from train.config import Data, DataError
from train.data import load, proposed
from train.data.fields import SIZE


def example(**more):
    image = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8, 1)
    return {"image": image, **more}


@pytest.fixture
def searched(monkeypatch):
    """The images that were searched."""
    seen = []

    def search(image, most):
        seen.append(image)
        return np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)[:most]

    monkeypatch.setattr(proposed, "selective_search", search)
    return seen


def test_of_an_image_on_a_canvas_the_image_alone_is_searched(searched):
    assert proposed.proposals_of(example(), 5).tolist() == [[0, 0, 8, 6]]
    of_canvas = proposed.proposals_of(example(**{SIZE: np.array([4.0, 5.0], np.float32)}), 5)
    assert of_canvas.tolist() == [[0, 0, 5, 4]]
    np.testing.assert_array_equal(searched[1], np.repeat(example()["image"][:4, :5], 3, axis=-1))


def test_a_source_with_a_test_of_its_own_holds_nothing_out():
    with pytest.raises(DataError, match=r"data\.held_out: digits has a test of its own: expected 0, got 5"):
        load(Data("digits", held_out=5), "train")
