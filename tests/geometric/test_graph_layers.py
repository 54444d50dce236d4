"""GCN, GraphSAGE, GAT and GATv2 beside torch_geometric's: outputs and every gradient, also with padding.

The graph with edges is padded here, with nodes that are no numbers; torch_geometric's is not.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from tests.geometric.goldens import graph_layers as given
from zoo.geometric import GATLayer, GATv2Layer, GCNLayer, Graph, SAGELayer

KINDS = {"GCNConv": GCNLayer, "SAGEConv": SAGELayer, "GATConv": GATLayer, "GATv2Conv": GATv2Layer}
OPTIONS = {"bias": "use_bias", "normalize": "normalise", "heads": "heads", "concat": "concatenate"}
NAMES = {
    "GCNConv": {"kernel": "lin.weight", "bias": "bias"},
    "SAGEConv": {"neighbour_kernel": "lin_l.weight", "bias": "lin_l.bias", "self_kernel": "lin_r.weight"},
    "GATConv": {
        "kernel": "lin.weight",
        "source_attention": "att_src",
        "target_attention": "att_dst",
        "bias": "bias",
    },
    "GATv2Conv": {
        "source_kernel": "lin_l.weight",
        "source_bias": "lin_l.bias",
        "target_kernel": "lin_r.weight",
        "target_bias": "lin_r.bias",
        "attention": "att",
        "bias": "bias",
    },
}
"""What torch_geometric calls the parameters."""

PADDING = {"edges": 3, "no edges": 0}
"""Nodes and edges that are added, and count nowhere."""

of_every_case = pytest.mark.parametrize(("name", "graph"), given.CASES)


@functools.cache
def golden():
    with np.load(Path(__file__).parent / "goldens" / "graph_layers.npz") as file:
        return dict(file)


def of(name, graph):
    start = f"{name}/{graph}/"
    return {key.removeprefix(start): array for key, array in golden().items() if key.startswith(start)}


def as_ours(theirs):
    """Matrices transposed, and attention without its leading axis."""
    return theirs[0] if theirs.ndim == 3 else theirs.T


@functools.cache
def compared(name, graph):
    """Outputs, and gradients of nodes and parameters."""
    padding = PADDING[graph]
    settings = dict(given.LAYERS[name])
    kind = settings.pop("kind")
    layer = KINDS[kind](given.FEATURES, **{OPTIONS[key]: value for key, value in settings.items()})
    expected = of(name, graph)
    params = {
        ours: jnp.asarray(as_ours(given.weight(theirs, *expected[f"gradient/{theirs}"].shape)))
        for ours, theirs in NAMES[kind].items()
        if f"gradient/{theirs}" in expected
    }
    edges = given.GRAPHS[graph]
    nodes = np.concatenate([given.nodes(), np.full((padding, given.INPUTS), np.nan, np.float32)])
    between = np.concatenate([edges, np.full((padding, 2), 2, np.int32)])
    masks = np.arange(len(nodes)) < given.NODES, np.arange(len(between)) < len(edges)
    slopes = np.zeros((len(nodes), *expected["outputs"].shape[1:]), np.float32)
    slopes[: given.NODES] = given.slopes(name, *expected["outputs"].shape)

    @jax.jit
    def run(params, nodes):
        def outcome(params, nodes):
            return layer.apply({"params": params}, Graph.of(nodes, between, *masks))

        outputs, back = jax.vjp(outcome, params, nodes)
        return outputs, *back(jnp.asarray(slopes))

    outputs, of_params, of_nodes = run(params, nodes)
    ours = {NAMES[kind][path]: leaf for path, leaf in flatten_dict(of_params, sep="/").items()}
    return outputs, of_nodes, ours


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6 * max(1, np.abs(expected).max()))


@of_every_case
def test_outputs_are_those_of_torch_geometric(name, graph):
    close(compared(name, graph)[0][: given.NODES], of(name, graph)["outputs"])


@of_every_case
def test_gradients_are_those_of_torch_geometric(name, graph):
    _, of_nodes, of_params = compared(name, graph)
    expected = of(name, graph)
    close(of_nodes[: given.NODES], expected["gradient/nodes"])
    assert not np.any(of_nodes[given.NODES :])
    assert {f"gradient/{theirs}" for theirs in of_params} == {key for key in expected if "/" in key} - {
        "gradient/nodes"
    }
    for theirs, leaf in of_params.items():
        close(leaf, as_ours(expected[f"gradient/{theirs}"]))
