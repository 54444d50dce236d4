"""Graphs and message passing: sums by numpy's loops, the adjacency in closed form, padding, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.geometric import (
    EdgeError,
    Graph,
    adjacency,
    graph_convolution,
    normalised_weights,
    pad_graphs,
    propagate,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
)

random = np.random.default_rng(0)
NODES = random.standard_normal((6, 3)).astype(np.float32)
EDGES = np.array([(0, 1), (1, 0), (2, 1), (2, 1), (4, 4), (3, 4), (1, 3)], np.int32)
"""One edge twice, one self loop, and node 5 has none."""


def by_loops(reduce):
    """What each node receives along each of its edges, one edge after the other."""
    received = [[] for _ in NODES]
    for sender, receiver in EDGES:
        received[receiver].append(NODES[sender])
    return np.array([reduce(each) if each else np.zeros(3) for each in received])


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [(segment_sum, lambda each: np.sum(each, axis=0)), (segment_mean, lambda each: np.mean(each, axis=0))],
)
def test_nodes_receive_what_loops_over_the_edges_give(reduce, expected):
    found = propagate(Graph.of(NODES, EDGES), lambda sender, receiver: sender, reduce)
    np.testing.assert_allclose(found, by_loops(expected), atol=1e-6)


def test_the_largest_is_that_of_loops_and_minus_infinity_where_nothing_arrives():
    found = propagate(Graph.of(NODES, EDGES), lambda sender, receiver: sender, segment_max)
    has = np.isin(np.arange(6), EDGES[:, 1])
    np.testing.assert_array_equal(found[has], by_loops(lambda each: np.max(each, axis=0))[has].astype(np.float32))
    assert np.isneginf(found[~has]).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_sums_of_many_values_in_half_precision_are_near_those_in_float32(dtype):
    values, segments = random.uniform(0.5, 1, 3000).astype(np.float32), jnp.zeros(3000, int)
    half = jnp.asarray(values, dtype)
    assert segment_sum(half, segments, 1).dtype == dtype
    np.testing.assert_allclose(segment_sum(half, segments, 1).astype(float), [values.sum()], rtol=0.01)
    np.testing.assert_allclose(segment_mean(half, segments, 1).astype(float), [values.mean()], rtol=0.01)
    shares = segment_softmax(half, segments, 1).astype(np.float32)
    np.testing.assert_allclose(shares, np.exp(values) / np.exp(values).sum(), rtol=0.03)
    assert segment_sum(jnp.array([2**24, 1]), segments[:2], 1).tolist() == [2**24 + 1]  # integers stay exact


def test_messages_see_sender_and_receiver():
    found = propagate(Graph.of(NODES, EDGES), lambda sender, receiver: sender - receiver)
    degrees = np.bincount(EDGES[:, 1], minlength=6)[:, None]
    np.testing.assert_allclose(found, by_loops(lambda each: np.sum(each, axis=0)) - degrees * NODES, atol=1e-6)


def test_softmax_of_large_logits_is_scipys_within_each_segment():
    from scipy.special import softmax

    logits = np.array([[1e4, 0.0], [1e4 + 1, 2.0], [-3e4, 1.0], [5.0, 5.0]], np.float32)
    segments = jnp.array([1, 1, 0, 3])  # of three: the last value is in none

    def weighted(logits):
        found = segment_softmax(logits, segments, 3)
        return jnp.sum(found * logits[:, :1]), found

    (_, found), slopes = jax.jit(jax.value_and_grad(weighted, has_aux=True))(logits)
    np.testing.assert_allclose(found[:2], softmax(logits[:2], axis=0), rtol=1e-5)
    np.testing.assert_array_equal(found[2:], [[1, 1], [0, 0]])
    assert np.isfinite(slopes).all()


def test_the_normalised_adjacency_is_the_papers():
    kernel = random.standard_normal((3, 2)).astype(np.float32)

    @jax.jit
    def program():  # one to compile, not one an operation
        graph = Graph.of(NODES, EDGES).with_self_loops()
        edges = graph.receivers, graph.senders, graph.edge_mask
        convolved = graph_convolution(Graph.of(NODES, EDGES), kernel)
        return adjacency(graph), edges, normalised_weights(graph), convolved

    matrix, (receivers, senders, valid), normalised, convolved = map(jax.device_get, program())
    own = np.zeros((6, 6))
    for sender, receiver in EDGES:
        own[receiver, sender] += sender != receiver
    with_loops = own + np.eye(6)
    np.testing.assert_array_equal(matrix, with_loops)
    scales = np.diag(with_loops.sum(axis=1) ** -0.5)
    weights = np.zeros((6, 6))
    np.add.at(weights, (receivers[valid], senders[valid]), normalised[valid])
    np.testing.assert_allclose(weights, scales @ with_loops @ scales, atol=1e-6)
    np.testing.assert_allclose(convolved, scales @ with_loops @ scales @ NODES @ kernel, atol=1e-5)


def test_the_normalised_adjacency_has_the_digits_of_the_features():
    with jax.enable_x64(True):
        graph = Graph.of(np.float64(NODES), EDGES).with_self_loops()
        degrees = np.asarray(adjacency(graph)).sum(axis=1)
        sender, receiver = (np.asarray(each)[graph.edge_mask] for each in (graph.senders, graph.receivers))
        expected = 1 / np.sqrt(degrees[sender] * degrees[receiver])
        np.testing.assert_allclose(normalised_weights(graph)[graph.edge_mask], expected, rtol=1e-14)


def test_a_batch_is_one_graph_without_edges_between_its_parts():
    other = random.standard_normal((2, 3)).astype(np.float32)
    padded = pad_graphs([(NODES, EDGES), (other, np.array([(1, 0)]))])
    assert (padded.nodes.shape, padded.edges.shape) == ((2, 6, 3), (2, 7, 2))
    assert padded.nodes_valid.sum(axis=1).tolist() == [6, 2]
    assert padded.edges_valid.sum(axis=1).tolist() == [7, 1]

    @jax.jit
    def program():
        graph = Graph.of(*map(jnp.asarray, padded))
        return adjacency(graph), adjacency(Graph.of(NODES, EDGES)), graph.edge_mask

    matrix, first, valid = map(np.asarray, program())
    expected = np.zeros((12, 12))
    expected[:6, :6] = first
    expected[6, 7] = 1
    np.testing.assert_array_equal(matrix, expected)
    assert valid.sum() == 8


def test_an_edge_at_a_node_that_is_padding_is_padding():
    valid = jnp.arange(6) < 4
    graph = Graph.of(NODES, EDGES, valid)
    np.testing.assert_array_equal(graph.edge_mask, (EDGES < 4).all(axis=1))
    assert graph.with_self_loops().edge_mask.sum() == graph.edge_mask.sum() + 4


@pytest.mark.parametrize("bad", [(6, 0), (0, 6), (-1, 2)])
def test_an_edge_at_a_node_that_is_not_there_is_refused_and_under_jit_counts_as_padding(bad):
    edges = np.concatenate([EDGES, [bad]]).astype(np.int32)
    with pytest.raises(EdgeError, match=rf"expected edges between nodes 0 to 5, got {bad[0]} -> {bad[1]} at 7"):
        Graph.of(NODES, edges)
    with pytest.raises(EdgeError, match="graph 1: expected edges between nodes 0 to 5"):
        pad_graphs([(NODES, EDGES), (NODES, edges)])
    Graph.of(NODES, edges, edges_valid=np.arange(8) < 7)  # nobody minds what padding says
    np.testing.assert_array_equal(
        jax.jit(lambda edges: adjacency(Graph.of(NODES, edges)))(edges), adjacency(Graph.of(NODES, EDGES))
    )


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, r"expected nodes \(nodes, features\) or .*, got shape \(6,\)", (NODES[:, 0], EDGES)),
        (ValueError, r"expected edges \(edges, 2\) for nodes \(6, 3\), got shape \(2, 7\)", (NODES, EDGES.T)),
        (ValueError, r"expected edges \(batch, edges, 2\)", (NODES[None], EDGES)),
        (ValueError, r"expected edges .* got shape \(2, 7, 2\)", (NODES[None], np.stack([EDGES, EDGES]))),
        (TypeError, "expected nodes with floating-point features, got int32", (NODES.astype(np.int32), EDGES)),
        (TypeError, "expected edges as numbers of nodes, got float32", (NODES, EDGES.astype(np.float32))),
        (ValueError, r"expected nodes_valid of shape \(6,\), got \(7,\)", (NODES, EDGES, np.ones(7, bool))),
        (TypeError, "expected edges_valid of truth values, got int64", (NODES, EDGES, None, np.ones(7, int))),
    ],
)
def test_what_is_no_graph_is_refused(error, message, arguments):
    with pytest.raises(error, match=message):
        Graph.of(*arguments)


def test_graphs_that_do_not_fit_a_batch_are_refused():
    with pytest.raises(ValueError, match="expected at least one graph"):
        pad_graphs([])
    with pytest.raises(ValueError, match="graph 0: expected at most 5 nodes and 7 edges, got 6 and 7"):
        pad_graphs([(NODES, EDGES)], most_nodes=5)
    with pytest.raises(ValueError, match="graph 1: expected 3 features a node as in the first, got 2"):
        pad_graphs([(NODES, EDGES), (NODES[:, :2], EDGES)])
    assert pad_graphs([(NODES, EDGES)], 8, 9).edges.shape == (1, 9, 2)
