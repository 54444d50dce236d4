"""Planetoid's files of a small citation network, as Python 2 wrote them: for tests of what reads them."""

import collections
import pickle

import numpy as np

LEARNED, OTHERS, TESTED = 4, 12, 5
"""Nodes to learn from, further nodes with files' features, and nodes of the test."""
CLASSES, WORDS = 2, 6
MISSING = 18
"""The node, among those of the test, that no file knows: as 15 of Citeseer."""


def small(seed=0):
    """Features, classes and neighbours of 22 nodes in two groups that hardly cite each other."""
    random = np.random.default_rng(seed)
    count = LEARNED + OTHERS + TESTED + 1
    labels = np.arange(count) % CLASSES
    words = (random.random((count, WORDS)) < np.where(labels[:, None] == np.arange(WORDS) % CLASSES, 0.7, 0.3)).astype(
        "<f4"
    )
    words[1] = 0  # a paper without a word
    pairs = [(a, b) for a in range(count) for b in range(a) if labels[a] == labels[b] and random.random() < 0.4]
    pairs += [(0, 1), (2, 2), (3, 5), (5, 3), (3, 5)]  # two groups, itself, both ways and twice
    return words, labels, [pair for pair in pairs if MISSING not in pair]


def write(folder, name="small", seed=0):
    """Writes them, and returns the folder with the name."""
    from scipy.sparse import csr_matrix

    words, labels, pairs = small(seed)
    known = LEARNED + OTHERS
    tested = np.setdiff1d(np.arange(known, len(labels)), [MISSING])[::-1]  # not in order
    hot = np.eye(CLASSES, dtype="<i4")[labels]
    neighbours = collections.defaultdict(list)
    for a, b in pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    parts = {
        "x": csr_matrix(words[:LEARNED]),
        "y": hot[:LEARNED],
        "allx": csr_matrix(words[:known]),
        "ally": hot[:known],
        "tx": csr_matrix(words[tested]),
        "ty": hot[tested],
        "graph": neighbours,
    }
    for part, value in parts.items():
        (folder / f"ind.{name}.{part}").write_bytes(pickle.dumps(value, protocol=2))
    (folder / f"ind.{name}.test.index").write_text("".join(f"{node}\n" for node in tested))
    return folder / name
