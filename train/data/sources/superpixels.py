"""Digits as graphs: a node a superpixel, and edges between those that touch. Lecture row L78.

Achanta et al., 2012, SLIC Superpixels, as scikit-image has it, of scikit-learn's digits (see `digits.py`); Monti et
al., 2017, Geometric Deep Learning on Graphs and Manifolds, section 5.1, for digits as graphs of superpixels.
"""

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.config import DataError
from train.data.fields import Facts, Field, Kind
from train.data.graph_fields import EDGES, NODES, both_ways, graph_spec
from train.data.source import ArraySource, stacked
from train.data.sources.digits import NAMES, load_digits, rows_of

PICTURE = "picture"
"""The field that shows a graph: its superpixels in their mean brightness, for people alone."""
SIDE = 32
"""Pixels a side to which digits are enlarged."""
SUPERPIXELS, COMPACTNESS = 40, 0.2
"""What SLIC is asked for: about so many, and how much nearness counts beside brightness of 0 to 1."""
MOST_NODES, MOST_EDGES = 40, 240
SPEC = {
    **graph_spec(MOST_NODES, MOST_EDGES, 3),
    "label": Field(Kind.LABEL, (), "int32"),
    PICTURE: Field(Kind.PLAIN, (SIDE, SIDE, 1), "uint8"),
}


class Superpixels(NamedTuple):
    """An image as a graph."""

    nodes: Float[np.ndarray, "nodes 3"]
    """Mean brightness, 0 to 1, and the centre, x and y from -1 (left, top) to 1."""
    edges: Int[np.ndarray, "edges 2"]
    """Between superpixels that share a side of a pixel, both ways."""
    segments: Int[np.ndarray, "height width"]
    """The superpixel that each pixel belongs to."""


def superpixels(split: Literal["train", "test"]) -> ArraySource:
    """1437 training and 360 test graphs of up to 40 superpixels, with the digit that they show, "label".

    Raises:
      DataError: scikit-image is not installed.
    """
    images, labels = load_digits()
    examples = [
        _example(image, label)
        for image, label in zip(*(a[rows_of(labels, split)] for a in (images, labels)), strict=True)
    ]
    return ArraySource("superpixels", stacked(examples, SPEC), SPEC, Facts(NAMES))


def _example(image: UInt8[np.ndarray, "side side"], label: int) -> dict[str, Any]:
    from scipy.ndimage import zoom

    large = np.clip(
        zoom(image.astype(np.float32) / 255, SIDE / len(image), order=1, mode="grid-constant", grid_mode=True), 0, 1
    )
    graph = superpixels_of(large)
    brightness = np.rint(255 * graph.nodes[:, 0]).astype(np.uint8)
    return {NODES: graph.nodes, EDGES: graph.edges, "label": label, PICTURE: brightness[graph.segments][..., None]}


def superpixels_of(image: Float[np.ndarray, "height width"], count: int = SUPERPIXELS) -> Superpixels:
    """The graph of a grey image.

    Args:
      image: brightness, 0 to 1.
      count: about how many superpixels there are to be.

    Raises:
      DataError: scikit-image is not installed.
    """
    try:
        from skimage.segmentation import slic
    except ImportError as error:
        raise DataError(
            'superpixels: expected scikit-image, which is not installed: pip install -e ".[graphs]"'
        ) from error
    with warnings.catch_warnings():
        segments = slic(image, n_segments=count, compactness=COMPACTNESS, channel_axis=None, start_label=0)
    _, segments = np.unique(segments, return_inverse=True)  # numbered without gaps
    segments = segments.reshape(image.shape).astype(np.int32)
    sizes = np.bincount(segments.ravel())
    places = [2 * (axis + 0.5) / size - 1 for axis, size in zip(np.indices(image.shape), image.shape, strict=True)]
    values = (image, places[1], places[0])
    means = [np.bincount(segments.ravel(), weights=each.ravel()) / sizes for each in values]
    across = (segments[:, :-1], segments[:, 1:]), (segments[:-1], segments[1:])
    pairs = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in across])
    return Superpixels(np.stack(means, axis=1).astype(np.float32), both_ways(pairs), segments)
