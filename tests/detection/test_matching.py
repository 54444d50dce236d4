"""Which object a box is to find, beside loops; and which boxes are drawn to learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.detection.matching import match
from zoo.detection.sampling import sample

RANDOM = np.random.default_rng(0)


def some_boxes(count, largest=30.0):
    corners = RANDOM.uniform(0, 60, (count, 2))
    return np.concatenate([corners, corners + RANDOM.uniform(4, largest, (count, 2))], axis=1).astype(np.float32)


def overlap(a, b):
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@pytest.mark.parametrize("low_quality", [False, True])
def test_matches_are_those_of_loops(low_quality):
    boxes, objects = some_boxes(200), some_boxes(5)
    valid = np.array([True, True, False, True, True])
    found = jax.jit(match, static_argnums=(3, 4, 5))(boxes, objects, valid, 0.5, 0.3, low_quality)
    table = np.array(
        [[overlap(box, each) if real else -1 for each, real in zip(objects, valid, strict=True)] for box in boxes]
    )
    best = table.max(axis=1)
    positive, negative = best >= 0.5, best < 0.3
    if low_quality:
        for number in np.flatnonzero(valid):
            chosen = np.abs(table[:, number] - table[:, number].max()) < 1e-7
            positive |= chosen
            negative &= ~chosen
    assert found.positive.tolist() == positive.tolist()
    assert found.negative.tolist() == negative.tolist()
    assert 0 < positive.sum() < 200
    np.testing.assert_array_equal(found.objects[positive], table[positive].argmax(axis=1))
    np.testing.assert_allclose(found.overlaps, np.maximum(best, 0), atol=1e-6)


def test_without_objects_all_is_background():
    boxes = some_boxes(7)
    for objects, valid in ((np.zeros((2, 4), np.float32), np.zeros(2, bool)), (np.zeros((0, 4)), np.zeros(0, bool))):
        found = match(boxes, jnp.asarray(objects), jnp.asarray(valid), 0.5, 0.5, low_quality=True)
        assert not found.positive.any()
        assert found.negative.all()


def test_an_object_that_no_box_overlaps_has_no_boxes():
    far = np.array([[500, 500, 510, 510]], np.float32)
    found = match(some_boxes(7), far, np.array([True]), 0.5, 0.3, low_quality=True)
    assert not found.positive.any()


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"), [(3, 100, (3, 13)), (40, 100, (4, 12)), (2, 5, (2, 5)), (0, 0, (0, 0))]
)
def test_a_share_of_positive_boxes_is_drawn_and_the_rest_is_negative(positives, negatives, expected):
    kinds = RANDOM.permutation([1] * positives + [0] * negatives + [-1] * 9)
    positive, negative = kinds == 1, kinds == 0
    drawn, real = sample(jax.random.key(0), positive, negative, count=16, positive_share=0.25)
    chosen = np.asarray(drawn)[np.asarray(real)]
    assert (positive[chosen].sum(), negative[chosen].sum()) == expected
    assert len(set(chosen.tolist())) == len(chosen) == sum(expected)
    assert positive[chosen[: expected[0]]].all()  # they come first
    assert not np.asarray(drawn)[~np.asarray(real)].any()


def test_all_boxes_are_drawn_alike_and_a_key_draws_the_same():
    positive = jnp.arange(40) < 20

    def draw(key):
        drawn, real = sample(key, positive, ~positive, count=8, positive_share=0.5)
        return jnp.zeros(40).at[drawn].add(real)

    counts = jax.vmap(draw)(jax.random.split(jax.random.key(1), 2000)).sum(axis=0)
    assert counts.sum() == 8 * 2000
    assert np.all(np.abs(counts - 400) < 5 * np.sqrt(400))  # of a mean of 400
    assert draw(jax.random.key(3)).tolist() == draw(jax.random.key(3)).tolist()
