"""Taxonomies: CIFAR-100's superclasses are the data set's, and likeness is that of Wu and Palmer."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from tests.shared import shared
from zoo.hyperspheres.taxonomy import CIFAR100_SUPERCLASSES, taxonomy_of, taxonomy_similarity
from zoo.names import UnknownNameError

COARSE = """4 1 14 8 0 6 7 7 18 3 3 14 9 18 7 11 3 9 7 11 6 11 5 10 7 6 13 15 3 15 0 11 1 10 12 14 16 9 11 5 5 19 8 8 15
13 14 17 18 10 16 4 17 4 2 0 17 4 18 17 10 3 2 12 12 16 12 1 9 19 2 10 0 1 16 12 9 13 15 13 16 19 2 4 6 19 5 5 8 19 18
1 2 15 6 0 17 8 14 13"""
"""The coarse label of each fine label in the files of CIFAR-100, whose labels are in alphabetical order."""


def test_superclasses_are_those_of_the_data_sets_files():
    names = sorted(name for group in CIFAR100_SUPERCLASSES.values() for name in group)
    order = list(CIFAR100_SUPERCLASSES)
    assert len(set(names)) == 100
    assert order == sorted(order)
    assert [order.index(group) for (group,) in taxonomy_of("cifar100", names)] == [
        int(label) for label in COARSE.split()
    ]


def test_class_names_are_those_of_the_word_vectors():
    names = np.load(shared("data", "vectors", "glove_cifar_classes.npz"))["cifar100_names"].tolist()
    assert len(taxonomy_of("cifar100", names)) == 100
    with pytest.raises(UnknownNameError, match="no cifar100 class 'maple tree'; nearest: maple_tree"):
        taxonomy_of("cifar100", ["maple tree"])
    with pytest.raises(UnknownNameError, match="no taxonomy 'cifar1000'"):
        taxonomy_of("cifar1000", names)


def test_of_ten_classes_the_cat_is_nearest_to_the_dog_and_the_truck_to_the_automobile():
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]  # the data set's
    likeness = taxonomy_similarity(taxonomy_of("cifar10", names)) - np.eye(10)
    nearest = dict(zip(names, (names[i] for i in likeness.argmax(1)), strict=True))
    pairs = {"cat": "dog", "dog": "cat", "truck": "automobile", "automobile": "truck", "deer": "horse"}
    assert {name: nearest[name] for name in pairs} == pairs
    assert likeness[0, 3] == 0


def test_superclasses_alone_make_two_levels():
    found = taxonomy_similarity(["fish", "trees", "fish"])
    np.testing.assert_array_equal(found, [[1, 0, 0.5], [0, 1, 0], [0.5, 0, 1]])
    np.testing.assert_array_equal(taxonomy_similarity([1, 2, 1]), found)
    np.testing.assert_array_equal(taxonomy_similarity([("fish",), ["trees"], ("fish",)]), found)


def test_depth_is_that_of_wu_and_palmer():
    # From the root: animal 1, mammal 2, cat 3; animal 1, mammal 2, whale 3, orca 4; the two share mammal, at depth 2.
    paths = [("animal", "mammal"), ("animal", "mammal", "whale"), ("tool", "mammal"), ()]
    found = taxonomy_similarity(paths)
    assert found[0, 1] == found[1, 0] == 2 * 2 / (3 + 4)
    np.testing.assert_array_equal(found[2], [0, 0, 1, 0])  # the same name under another parent is another group
    np.testing.assert_array_equal(found[3], [0, 0, 0, 1])


def test_classes_of_one_depth_are_at_the_distances_of_a_tree():
    paths = np.random.default_rng(0).integers(0, 3, (20, 3)).tolist()
    distances = squareform(1 - taxonomy_similarity(paths))
    np.testing.assert_allclose(cophenet(linkage(distances, "single")), distances, atol=1e-12)


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="at least one class"):
        taxonomy_similarity([])
