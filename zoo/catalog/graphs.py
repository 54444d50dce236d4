"""The catalog's rows of graphs, of the chapter `zoo.geometric`: classes of nodes, and classes of graphs."""

from zoo.catalog.entry import Entry, Ref
from zoo.catalog.inputs import Input

KIPF_2017 = "Kipf and Welling, 2017, Semi-Supervised Classification with Graph Convolutional Networks"
HAMILTON_2017 = "Hamilton, Ying and Leskovec, 2017, Inductive Representation Learning on Large Graphs"
VELICKOVIC_2018 = "Veličković et al., 2018, Graph Attention Networks"
BRODY_2022 = "Brody, Alon and Yahav, 2022, How Attentive are Graph Attention Networks?"
DWIVEDI_2020 = "Dwivedi et al., 2020, Benchmarking Graph Neural Networks"

_NETWORKS = "zoo.geometric.node_networks"


def graph_inputs(nodes: int, edges: int, features: int) -> tuple[Input, ...]:
    """What every network of graphs takes, of graphs with at most so many nodes and directed edges.

    >>> [each.shape for each in graph_inputs(34, 156, 34)]
    [(34, 34), (156, 2), (34,), (156,)]
    """
    return (
        Input("nodes", (nodes, features), kind="nodes"),
        Input("edges", (edges, 2), "int32", "edges"),
        Input("nodes_valid", (nodes,), "bool", "mask"),
        Input("edges_valid", (edges,), "bool", "mask"),
    )


CORA = graph_inputs(2708, 10556, 1433)
SUPERPIXELS = graph_inputs(40, 240, 3)
_SMALL = graph_inputs(6, 9, 5)


def _nodes(name: str, kind: str, paper: str, inputs: tuple[Input, ...] = CORA, **options: object) -> Entry:
    return Entry(name, f"{_NETWORKS}:{kind}", "node_classification", inputs, paper, "L78", options)


def _graphs(name: str, network: Ref, inputs: tuple[Input, ...] = SUPERPIXELS) -> Entry:
    builder = "zoo.geometric.graph_classifier:GraphClassifier"
    return Entry(name, builder, "graph_classification", inputs, DWIVEDI_2020, "L78", {"network": network})


_DEEP = {"num_classes": 0, "dropout": 0.0}

ENTRIES = (
    _nodes("gcn", "GCN", KIPF_2017, hidden_sizes=(16,)),
    _nodes("graphsage", "GraphSAGE", HAMILTON_2017, hidden_sizes=(64,)),
    _nodes("gat", "GAT", VELICKOVIC_2018, hidden_sizes=(8,), heads=8),
    _nodes("gatv2", "GATv2", BRODY_2022, hidden_sizes=(8,), heads=8),
    _nodes("gcn_tiny", "GCN", KIPF_2017, _SMALL, hidden_sizes=(4, 4)),
    _nodes("graphsage_tiny", "GraphSAGE", HAMILTON_2017, _SMALL, hidden_sizes=(4,)),
    _nodes("gat_tiny", "GAT", VELICKOVIC_2018, _SMALL, hidden_sizes=(4,), heads=2),
    _nodes("gatv2_tiny", "GATv2", BRODY_2022, _SMALL, hidden_sizes=(4,), heads=2),
    _graphs("graph_gcn", Ref("gcn", hidden_sizes=(64, 64, 64), **_DEEP)),
    _graphs("graph_sage", Ref("graphsage", hidden_sizes=(64, 64, 64), **_DEEP)),
    _graphs("graph_gat", Ref("gat", hidden_sizes=(16, 16, 16), heads=4, **_DEEP)),
    _graphs("graph_gatv2", Ref("gatv2", hidden_sizes=(16, 16, 16), heads=4, **_DEEP)),
    _graphs("graph_gcn_tiny", Ref("gcn_tiny", num_classes=0), _SMALL),
)
