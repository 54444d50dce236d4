"""Counts of pixels and what follows from them, against scikit-learn."""

import jax
import numpy as np
import pytest
from sklearn import metrics

from zoo.dense import accuracy, class_accuracies, confusion, frequency_weighted_iou, intersection_over_union

random = np.random.default_rng(0)
TRUE, GUESS = random.integers(0, 5, (2, 3, 16, 16))
COUNTED = random.random((3, 16, 16)) < 0.8
confused = jax.jit(confusion, static_argnums=3)
COUNTS = np.asarray(confused(TRUE, GUESS, COUNTED, 5))


def test_confusion_is_scikit_learns_of_the_pixels_that_count():
    expected = metrics.confusion_matrix(TRUE[COUNTED], GUESS[COUNTED], labels=np.arange(5))
    np.testing.assert_array_equal(COUNTS, expected)
    assert COUNTS.sum() == COUNTED.sum()


def test_intersection_over_union_is_scikit_learns_jaccard_score():
    expected = metrics.jaccard_score(TRUE[COUNTED], GUESS[COUNTED], average=None)
    np.testing.assert_allclose(intersection_over_union(COUNTS), expected, rtol=1e-12)


def test_accuracy_is_scikit_learns():
    assert accuracy(COUNTS) == pytest.approx(metrics.accuracy_score(TRUE[COUNTED], GUESS[COUNTED]))


def test_accuracy_of_each_class_is_scikit_learns_recall():
    expected = metrics.recall_score(TRUE[COUNTED], GUESS[COUNTED], average=None)
    np.testing.assert_allclose(class_accuracies(COUNTS), expected, rtol=1e-12)
    assert np.isnan(class_accuracies(np.array([[3, 1], [0, 0]]))[1])


def test_frequency_weighted_iou_is_scikit_learns_weighted_jaccard_score():
    expected = metrics.jaccard_score(TRUE[COUNTED], GUESS[COUNTED], average="weighted")
    assert frequency_weighted_iou(COUNTS) == pytest.approx(expected)
    assert np.isnan(frequency_weighted_iou(np.zeros((2, 2))))


def test_class_that_is_nowhere_has_no_intersection_over_union():
    counts = np.array([[3, 0, 0], [0, 0, 0], [1, 0, 2]])
    np.testing.assert_allclose(intersection_over_union(counts), [3 / 4, np.nan, 2 / 3])
    assert np.isnan(accuracy(np.zeros((2, 2))))


def test_counts_are_exact_where_float32_would_stop_counting():
    pixels = np.zeros((1, 2**12, 2**12 + 1), np.int8)  # 2^24 + 2^12 of one kind
    counts = confused(pixels, pixels, pixels == 0, 2)
    assert int(counts[0, 0]) == 2**24 + 2**12


def test_label_that_does_not_count_may_be_any_number():
    labels = np.array([-1, 255, 1])
    counts = confused(labels, np.array([0, 1, 1]), labels == 1, 2)
    np.testing.assert_array_equal(counts, [[0, 0], [0, 1]])


@pytest.mark.parametrize("narrow", ["int8", "uint8", "int16"])
def test_labels_of_narrow_types_are_counted_alike(narrow):
    labels = np.array([0, 100, 119], narrow)
    counts = np.asarray(confused(labels, labels[::-1], np.ones(3, bool), 120))
    assert np.argwhere(counts).tolist() == [[0, 119], [100, 100], [119, 0]]
