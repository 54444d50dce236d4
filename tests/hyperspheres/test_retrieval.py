"""Retrieval: orders are numpy's, precision is scikit-learn's, and zero-shot answers are among the allowed classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import average_precision_score, top_k_accuracy_score

from zoo.hyperspheres.retrieval import (
    average_precision,
    mean_average_precision,
    nearest_prototype,
    precision_at,
    rank,
    recall_at,
)
from zoo.names import UnknownNameError

RANDOM = np.random.default_rng(0)
QUERIES = RANDOM.standard_normal((6, 4)).astype(np.float32)
GALLERY = RANDOM.standard_normal((15, 4)).astype(np.float32)
QUERY_LABELS = np.array([0, 1, 2, 0, 1, 9])  # 9 is nowhere in the gallery
GALLERY_LABELS = np.arange(15) % 3
RELEVANT = np.array([[1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 1], [0] * 6, [1] * 6], bool)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_order_is_that_of_scipys_distances(metric):
    distances = cdist(QUERIES, GALLERY, metric)
    indices, scores = rank(QUERIES, GALLERY, metric=metric)
    np.testing.assert_array_equal(indices, distances.argsort(axis=1))
    expected = (1 - np.sort(distances)) if metric == "cosine" else -np.sort(distances)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    first, best = rank(QUERIES, GALLERY, 3, metric)
    np.testing.assert_array_equal(first, indices[:, :3])
    np.testing.assert_array_equal(best, scores[:, :3])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_of_equal_scores_the_lower_index_is_first(metric):
    gallery = np.eye(3, dtype=np.float32)[[1, 0, 2, 0, 1, 0, 2]]
    indices, _ = rank(np.eye(3, dtype=np.float32)[:1], gallery, metric=metric)
    assert indices[0].tolist() == [1, 3, 5, 0, 2, 4, 6]


def test_small_distances_far_from_zero_are_kept_apart():
    gallery = 100_000 + np.array([[0.5], [0.25], [0.75]], np.float32)
    indices, scores = rank(np.array([[100_000.0]], np.float32), gallery, metric="euclidean")
    assert indices[0].tolist() == [1, 0, 2]
    assert scores[0].tolist() == [-0.25, -0.5, -0.75]


def test_length_does_not_count_in_a_cosine_and_zeros_have_none():
    indices, scores = rank(QUERIES * 50, GALLERY * RANDOM.uniform(0.1, 9, (15, 1)))
    expected_indices, expected = rank(QUERIES, GALLERY)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_array_equal(rank(np.zeros((1, 2)), np.array([[0.0, 0.0], [1.0, 0.0]]))[1], 0)


def test_average_precision_is_that_of_scikit_learn():
    scores = -np.arange(6)
    for batch in (RELEVANT, RELEVANT[0]):
        found = average_precision(batch)
        expected = [average_precision_score(row, scores) for row in np.atleast_2d(batch) if row.any()]
        np.testing.assert_allclose(np.atleast_1d(found)[np.atleast_2d(batch).any(1)], expected, rtol=1e-6)
    assert average_precision(RELEVANT[2]) == 0
    np.testing.assert_allclose(jax.jit(average_precision)(RELEVANT)[0], (1 + 2 / 3 + 3 / 6) / 3, rtol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_its_mean_is_over_the_queries_that_can_be_answered(metric):
    distances = cdist(QUERIES, GALLERY, metric)
    pairs = zip(QUERY_LABELS[:-1], distances[:-1], strict=True)
    expected = np.mean([average_precision_score(label == GALLERY_LABELS, -row) for label, row in pairs])
    found = mean_average_precision(QUERIES, GALLERY, QUERY_LABELS, GALLERY_LABELS, metric)
    assert found == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="none of the 1 queries has its label in the gallery"):
        mean_average_precision(QUERIES[5:], GALLERY, QUERY_LABELS[5:], GALLERY_LABELS)


def test_precision_and_recall_are_shares_of_the_first_and_of_the_relevant():
    np.testing.assert_allclose(precision_at(RELEVANT, 3), [2 / 3, 0, 0, 1])
    np.testing.assert_allclose(recall_at(RELEVANT, 3), [2 / 3, 0, 0, 0.5])
    np.testing.assert_allclose(recall_at(RELEVANT, 6), [1, 1, 0, 1])
    assert precision_at(RELEVANT[0], 1) == 1


def test_the_nearest_prototypes_are_the_best_cosines_of_the_allowed_classes():
    cosines = 1 - cdist(QUERIES, GALLERY, "cosine")
    np.testing.assert_array_equal(nearest_prototype(QUERIES, GALLERY)[:, 0], cosines.argmax(axis=1))
    allowed = [9, 2, 14, 5]
    expected = np.array(allowed)[(-cosines[:, allowed]).argsort(axis=1)]
    np.testing.assert_array_equal(nearest_prototype(QUERIES, GALLERY, allowed, k=4), expected)
    np.testing.assert_array_equal(nearest_prototype(QUERIES, GALLERY, allowed, k=2), expected[:, :2])
    np.testing.assert_array_equal(jax.jit(lambda z: nearest_prototype(z, GALLERY, allowed))(QUERIES), expected[:, :1])
    labels = RANDOM.integers(0, 15, 6)
    found = (nearest_prototype(QUERIES, GALLERY, k=5) == labels[:, None]).any(axis=1).mean()
    assert found == pytest.approx(top_k_accuracy_score(labels, cosines, k=5, labels=range(15)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank(QUERIES, GALLERY, 16), "k: expected 1 to 15, the size of the gallery, got 16"),
        (lambda: precision_at(RELEVANT, 0), "k: expected 1 to 6, the size of the gallery, got 0"),
        (lambda: recall_at(RELEVANT, 7), "k: expected 1 to 6, the size of the gallery, got 7"),
        (lambda: nearest_prototype(QUERIES, GALLERY, [1, 15]), r"different classes of 0 to 14, got \[1, 15\]"),
        (lambda: nearest_prototype(QUERIES, GALLERY, [-1]), r"different classes of 0 to 14, got \[-1\]"),
        (lambda: nearest_prototype(QUERIES, GALLERY, [1, 1]), r"different classes of 0 to 14, got \[1, 1\]"),
        (lambda: nearest_prototype(QUERIES, GALLERY, [1, 2], k=3), "k: expected 1 to 2, the number of allowed classes"),
        (lambda: nearest_prototype(QUERIES, GALLERY, []), "k: expected 1 to 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_metric_is_refused():
    with pytest.raises(UnknownNameError, match="no metric 'euclid'; nearest: euclidean"):
        rank(jnp.ones((1, 2)), jnp.ones((1, 2)), metric="euclid")
