"""Geometric deep learning: networks that know the structure of what they see. Lecture rows L78, L79.

Graphs: read `graphs.py` (what one is), `message_passing.py`, `gcn.py`, `sage.py` and `gat.py` (the layers), then
`node_networks.py` and `graph_classifier.py`.
"""

from zoo.geometric.gat import GATLayer, GATv2Layer, attend, gat_logits, gatv2_logits
from zoo.geometric.gcn import GCNLayer, graph_convolution, normalised_weights
from zoo.geometric.graph_classifier import GraphClassifier
from zoo.geometric.graphs import EdgeError, Graph, Padded, adjacency, pad_graphs
from zoo.geometric.message_passing import propagate, segment_max, segment_mean, segment_softmax, segment_sum
from zoo.geometric.node_networks import GAT, GCN, GATv2, GraphSAGE, NodeNetwork
from zoo.geometric.sage import SAGELayer, sage
from zoo.geometric.sparse import SparseFeatures

__all__ = [
    "GAT",
    "GCN",
    "EdgeError",
    "GATLayer",
    "GATv2",
    "GATv2Layer",
    "GCNLayer",
    "Graph",
    "GraphClassifier",
    "GraphSAGE",
    "NodeNetwork",
    "Padded",
    "SAGELayer",
    "SparseFeatures",
    "adjacency",
    "attend",
    "gat_logits",
    "gatv2_logits",
    "graph_convolution",
    "normalised_weights",
    "pad_graphs",
    "propagate",
    "sage",
    "segment_max",
    "segment_mean",
    "segment_softmax",
    "segment_sum",
]
