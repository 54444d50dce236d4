"""Built-in graphs: the karate club as networkx has it, and superpixels beside scikit-image's own graph of regions."""

import importlib
import sys

import networkx
import numpy as np
import pytest

from train.config import Data, DataError
from train.data import load
from train.data.graph_fields import TEST, TRAINING, both_ways

superpixels = importlib.import_module("train.data.sources.superpixels")  # beside a function of that name


def test_the_karate_club_is_networkxs():
    graph, club = load(Data("karate"), "train")[0], networkx.karate_club_graph()
    np.testing.assert_array_equal(networkx.to_numpy_array(club, weight=None)[tuple(graph["edges"].T)], 1)
    assert len(graph["edges"]) == 2 * 78
    assert np.bincount(graph["labels"]).tolist() == [17, 17]
    assert np.flatnonzero(graph["parts"] == TRAINING).tolist() == [0, 33]
    assert (graph["parts"] == TEST).sum() == 32
    assert graph["labels"][[0, 33]].tolist() == [0, 1]
    np.testing.assert_array_equal(graph["nodes"], np.eye(34))


@pytest.mark.parametrize(("name", "module"), [("karate", "networkx"), ("superpixels", "skimage.segmentation")])
def test_what_is_not_installed_is_named_with_its_extra(name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=r'which is not installed: pip install -e "\.\[graphs\]"'):
        load(Data(name), "train")


def test_superpixels_are_the_nodes_of_scikit_images_graph_of_regions():
    from skimage.graph import RAG

    random = np.random.default_rng(0)
    image = np.kron(random.random((4, 4)), np.ones((6, 6))).astype(np.float32)
    found = superpixels.superpixels_of(image, 12)
    regions = RAG(found.segments, connectivity=1)
    expected = both_ways(np.array(regions.edges))
    np.testing.assert_array_equal(found.edges, expected)
    for number in range(len(found.nodes)):
        rows, columns = np.nonzero(found.segments == number)
        centre = 2 * (np.array([columns.mean(), rows.mean()]) + 0.5) / 24 - 1
        np.testing.assert_allclose(found.nodes[number], [image[rows, columns].mean(), *centre], atol=1e-6)


def test_digits_as_graphs_have_the_label_of_the_digit_and_a_picture(monkeypatch):
    digits = load(Data("digits"), "test")
    monkeypatch.setattr(superpixels, "rows_of", lambda labels, split: np.arange(len(labels))[:3])
    source = load(Data("superpixels"), "test")
    assert (len(source), source.facts.classes) == (3, digits.facts.classes)
    images, labels = superpixels.load_digits()
    for row, graph in enumerate(source.examples(range(3))):
        assert graph["label"] == labels[row]
        assert 20 <= len(graph["nodes"]) <= superpixels.MOST_NODES
        assert np.corrcoef(graph["picture"][::4, ::4, 0].ravel(), images[row].ravel())[0, 1] > 0.5
        assert {(a, b) for a, b in graph["edges"].tolist()} == {(b, a) for a, b in graph["edges"].tolist()}


@pytest.mark.slow  # makes 1797 graphs
def test_every_digit_has_no_more_superpixels_than_there_is_room_for():
    sizes = [
        [len(graph["nodes"]) for graph in load(Data("superpixels"), split).examples(range(360))]
        for split in ("train", "test")
    ]
    assert max(map(max, sizes)) <= superpixels.MOST_NODES
    assert min(map(min, sizes)) >= 20
