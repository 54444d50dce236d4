"""What the golden file of the graph layers was computed from: graphs, settings and arrays."""

import zlib
from typing import Any

import numpy as np

NODES, INPUTS, FEATURES = 7, 5, 4

EDGES = np.array(
    [(0, 1), (1, 0), (1, 2), (2, 1), (3, 1), (3, 1), (4, 4), (4, 2), (2, 5), (5, 2), (0, 5)],
    np.int32,
)
"""Sender and receiver: one edge twice, a self loop, edges that go one way, and node 6 has none."""

GRAPHS = {"edges": EDGES, "no edges": np.zeros((0, 2), np.int32)}

LAYERS: dict[str, dict[str, Any]] = {
    "gcn": {"kind": "GCNConv"},
    "gcn without a bias": {"kind": "GCNConv", "bias": False},
    "sage": {"kind": "SAGEConv"},
    "sage normalised": {"kind": "SAGEConv", "normalize": True},
    "gat joined": {"kind": "GATConv", "heads": 3},
    "gat averaged": {"kind": "GATConv", "heads": 3, "concat": False},
    "gatv2 joined": {"kind": "GATv2Conv", "heads": 3},
    "gatv2 averaged": {"kind": "GATv2Conv", "heads": 3, "concat": False, "bias": False},
}
"""Options of torch_geometric's layers by name."""

CASES = [(layer, "edges") for layer in LAYERS] + [(layer, "no edges") for layer in ("gcn", "sage", "gat joined")]


def drawn(name: str, *shape: int) -> np.ndarray:
    """Normal numbers, by the name."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)


def weight(name: str, *shape: int) -> np.ndarray:
    """The array of this name in the state dict."""
    return drawn(name, *shape) / 2


def nodes() -> np.ndarray:
    """(nodes, features)."""
    return drawn("nodes", NODES, INPUTS)


def slopes(name: str, *shape: int) -> np.ndarray:
    """The gradient of what is differentiated in the outputs, (nodes, outputs)."""
    return drawn(f"slopes of {name}", *shape)
