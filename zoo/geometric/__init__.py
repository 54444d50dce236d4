"""Geometric deep learning: networks that know the structure of what they see. Lecture rows L78, L79.

Graphs: read `graphs.py` (what one is), `message_passing.py`, `gcn.py`, `sage.py` and `gat.py` (the layers), then
`node_networks.py` and `graph_classifier.py`. Turned images: `groups.py` first, then `group_convolution.py`. The sphere
is in `spherical_harmonics.py` and `spherical.py`, sets of points in `pointnet.py`.
"""

from zoo.geometric.gat import GATLayer, GATv2Layer, attend, gat_logits, gatv2_logits
from zoo.geometric.gcn import GCNLayer, graph_convolution, normalised_weights
from zoo.geometric.graph_classifier import GraphClassifier
from zoo.geometric.graphs import EdgeError, Graph, Padded, adjacency, pad_graphs
from zoo.geometric.group_cnn import GroupCNN
from zoo.geometric.group_convolution import (
    GroupConv,
    LiftingConv,
    group_convolution,
    group_filters,
    lifting_convolution,
    lifting_filters,
)
from zoo.geometric.group_pooling import mean_elements, mean_places, pool_elements, pool_places
from zoo.geometric.group_resnet import GroupResNet
from zoo.geometric.groups import P4, P4M, Z2, Element, Group, group_named, move_maps, move_plane, product_table
from zoo.geometric.largest import largest
from zoo.geometric.message_passing import propagate, segment_max, segment_mean, segment_softmax, segment_sum
from zoo.geometric.node_networks import GAT, GCN, GATv2, GraphSAGE, NodeNetwork
from zoo.geometric.pointnet import PointNet, of_the_set, orthogonality
from zoo.geometric.sage import SAGELayer, sage
from zoo.geometric.sparse import SparseFeatures
from zoo.geometric.spherical import (
    SphericalCNN,
    invariants,
    low_degrees,
    power_spectrum,
    zonal_convolution,
)
from zoo.geometric.spherical_harmonics import rotated, to_coefficients, to_samples

__all__ = [
    "GAT",
    "GCN",
    "P4",
    "P4M",
    "Z2",
    "EdgeError",
    "Element",
    "GATLayer",
    "GATv2",
    "GATv2Layer",
    "GCNLayer",
    "Graph",
    "GraphClassifier",
    "GraphSAGE",
    "Group",
    "GroupCNN",
    "GroupConv",
    "GroupResNet",
    "LiftingConv",
    "NodeNetwork",
    "Padded",
    "PointNet",
    "SAGELayer",
    "SparseFeatures",
    "SphericalCNN",
    "adjacency",
    "attend",
    "gat_logits",
    "gatv2_logits",
    "graph_convolution",
    "group_convolution",
    "group_filters",
    "group_named",
    "invariants",
    "largest",
    "lifting_convolution",
    "lifting_filters",
    "low_degrees",
    "mean_elements",
    "mean_places",
    "move_maps",
    "move_plane",
    "normalised_weights",
    "of_the_set",
    "orthogonality",
    "pad_graphs",
    "pool_elements",
    "pool_places",
    "power_spectrum",
    "product_table",
    "propagate",
    "rotated",
    "sage",
    "segment_max",
    "segment_mean",
    "segment_softmax",
    "segment_sum",
    "to_coefficients",
    "to_samples",
    "zonal_convolution",
]
