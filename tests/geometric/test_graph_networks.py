"""What every network of graphs promises, held by its small variant: equivariance, padding, and the contract of a model.

Their layers are compared with torch_geometric's in `test_graph_layers.py`.
"""

import functools
import math

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo
from tests.test_catalog import MODELS
from zoo.catalog.inputs import batch_of
from zoo.geometric import EdgeError, GraphClassifier, SparseFeatures
from zoo.tables import markdown_row

NODES_OF = zoo.list_models("*_tiny", task="node_classification")
GRAPHS_OF = zoo.list_models("*_tiny", task="graph_classification")
NAMES = [*NODES_OF, *GRAPHS_OF]
SIZE = 3

of_every_network = pytest.mark.parametrize("name", NAMES)


@functools.cache
def given(name):
    """Three graphs: of five nodes, of all that fit, and without an edge; padding holds other numbers."""
    nodes, edges, *_ = zoo.describe(name).inputs
    random = np.random.default_rng(0)
    values = random.standard_normal((SIZE, *nodes.shape)).astype(np.float32)
    between = random.integers(0, 5, (SIZE, *edges.shape)).astype(np.int32)
    between[:, 0] = between[:, 1]  # an edge twice
    between[:, 2] = 3  # a self loop
    nodes_valid = np.arange(nodes.shape[0]) < np.array([5, nodes.shape[0], 4])[:, None]
    edges_valid = np.arange(edges.shape[0]) < np.array([7, edges.shape[0], 0])[:, None]
    return values, between, nodes_valid, edges_valid


@functools.cache
def variables_of(name):
    """Variables of which none is zero, drawn without a program to compile."""
    shapes = jax.eval_shape(zoo.create(name).init, jax.random.key(0), *batch_of(zoo.describe(name).inputs))
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: (random.standard_normal(leaf.shape) / 2).astype(leaf.dtype), shapes)


def permuted(arrays, order, edge_order):
    """The same graphs with their nodes and their edges in another order."""
    nodes, edges, nodes_valid, edges_valid = arrays
    places = np.argsort(order)
    return (
        nodes[:, order],
        places[edges[:, edge_order]].astype(np.int32),
        nodes_valid[:, order],
        edges_valid[:, edge_order],
    )


@functools.cache
def evaluated(name):
    """What one program gives: of the graphs as they are, in another order, one by one, with dropout, in bfloat16 ..."""
    model, arrays, random = zoo.create(name), given(name), np.random.default_rng(2)
    order, edge_order = random.permutation(arrays[0].shape[1]), random.permutation(arrays[1].shape[1])
    nodes, edges, nodes_valid, edges_valid = arrays
    broken = (
        np.where(nodes_valid[..., None], nodes, np.nan),
        np.where(edges_valid[..., None], edges, 99).astype(np.int32),
    )
    count, links = int(nodes_valid[0].sum()), int(edges_valid[0].sum())
    dropping = model if name in GRAPHS_OF else model.copy(dropout=0.5)
    heads = zoo.describe(name).heads

    @jax.jit
    def program(variables, arrays, others, broken):
        def total(nodes):
            outputs = model.apply(variables, nodes, broken[1], nodes_valid, edges_valid)
            return jnp.sum(jnp.square(outputs)), outputs

        def trained(seed):
            return dropping.apply(variables, *arrays, train=True, rngs={"dropout": jax.random.key(seed)})

        headless = {"params": {key: value for key, value in variables["params"].items() if key not in heads}}
        return {
            "features": model.apply(variables, *arrays, features=True),
            "permuted": model.apply(variables, *others),
            "headless": model.copy(num_classes=0).apply(headless, *arrays),
            "mapped": jax.vmap(lambda *one: model.apply(variables, *(x[None] for x in one))[0])(*arrays),
            "bfloat16": zoo.create(name, dtype=jnp.bfloat16).apply(variables, *arrays),
            "alone": model.apply(variables, arrays[0][:1, :count], arrays[1][:1, :links]),
            "broken": jax.value_and_grad(total, has_aux=True)(broken[0]),
            "trained": jax.vmap(trained)(jnp.arange(2)),
        }

    found = program(variables_of(name), arrays, permuted(arrays, order, edge_order), broken)
    return {**found, "output": found["features"]["logits"], "order": order}


def close(ours, expected, tolerance=1e-5):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1e-6))


@pytest.mark.parametrize("name", NODES_OF)
def test_nodes_in_another_order_have_their_outputs_in_that_order(name):
    found = evaluated(name)
    close(found["permuted"], found["output"][:, found["order"]])
    assert np.abs(found["permuted"] - found["output"]).max() > 0.1


@pytest.mark.parametrize("name", GRAPHS_OF)
def test_a_graphs_output_does_not_depend_on_the_order_of_its_nodes(name):
    found = evaluated(name)
    close(found["permuted"], found["output"])


@of_every_network
def test_a_batch_is_its_graphs_one_by_one(name):
    found = evaluated(name)
    close(found["mapped"], found["output"])
    assert np.isfinite(found["output"]).all()
    assert np.ptp(found["output"], axis=0).max() > 0


@of_every_network
def test_padding_changes_nothing_whatever_it_holds(name):
    _, _, nodes_valid, _ = given(name)
    found = evaluated(name)
    (_, outputs), slopes = found["broken"]
    close(outputs, found["output"])
    close(outputs[:1, : nodes_valid[0].sum()] if name in NODES_OF else outputs[:1], found["alone"])
    assert not np.any(slopes[~nodes_valid])
    assert np.isfinite(slopes).all()
    if name in NODES_OF:
        assert not np.any(outputs[~nodes_valid])


@of_every_network
def test_features_end_in_the_logits_and_without_classes_in_the_ones_before(name):
    found, model, order = evaluated(name), zoo.create(name, dtype=jnp.bfloat16), []

    def named(*arrays):
        features = model.apply(variables_of(name), *arrays, features=True)
        order.extend(features)  # eval_shape sorts names
        return features

    types = {key: leaf.dtype.name for key, leaf in jax.eval_shape(named, *given(name)).items()}
    *layers, before, last = order
    assert (before, last) == ("pre_logits", "logits")
    assert layers == [f"layer{number}" for number in range(1, 1 + len(layers))]
    assert {types[layer] for layer in layers} == {"bfloat16"}
    assert (types[before], types[last]) == ("float32", "float32")
    np.testing.assert_array_equal(found["headless"], found["features"]["pre_logits"])
    assert found["output"].shape[-1] == model.num_classes


@of_every_network
def test_bfloat16_is_near_float32_and_remat_computes_every_layer_again(name):
    found = evaluated(name)
    close(found["bfloat16"], found["output"], tolerance=0.1)
    assert np.abs(found["bfloat16"] - found["output"]).max() > 0
    blocks = {"gcn_tiny": 2, "graph_gcn_tiny": 2}.get(name, 1) + (name in NODES_OF)  # layers, the head among them
    jaxpr = jax.make_jaxpr(zoo.create(name, remat=True).apply)(variables_of(name), *given(name))
    assert sum(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns) == blocks


@of_every_network
def test_a_program_is_exported_for_batches_of_any_size(name):
    exported = zoo.export_model(zoo.create(name), variables_of(name), zoo.describe(name).inputs, platforms=("cpu",))
    assert str(exported.out_avals[0].shape[0]) == "batch"


@pytest.mark.slow  # compiles the exported program
def test_the_exported_program_gives_the_same_numbers():
    name = "gat_tiny"
    exported = zoo.export_model(zoo.create(name), variables_of(name), zoo.describe(name).inputs, platforms=("cpu",))
    close(exported.call(variables_of(name), *given(name)), evaluated(name)["output"])


@of_every_network
def test_training_drops(name):
    first, second = evaluated(name)["trained"]
    assert np.abs(first - second).max() > 0


@of_every_network
def test_what_a_network_cannot_take_is_refused(name):
    nodes, edges, *masks = given(name)
    model, variables = zoo.create(name), variables_of(name)

    def refused(error, message, *arguments, model=model):
        with pytest.raises(error, match=message):
            jax.eval_shape(lambda: model.apply(variables, *arguments))

    refused(ValueError, r"expected nodes \(batch, nodes, features\), got shape", nodes[0], edges[0])
    refused(ValueError, r"expected nodes with 5 features, got shape \(3, 6, 4\)", nodes[..., :4], edges)
    refused(TypeError, "floating-point features, got int32", nodes.astype(np.int32), edges)
    refused(
        ValueError, "num_classes: expected a positive integer", nodes, edges, model=zoo.create(name, num_classes=-1)
    )
    wrong = edges.copy()
    wrong[1, 2] = 0, 6
    with pytest.raises(EdgeError, match=r"got 0 -> 6 at \(1, 2\)"):
        model.apply(variables, nodes, wrong, *masks)


@pytest.mark.parametrize("name", NODES_OF)
def test_sparse_features_give_what_dense_ones_do_and_are_dropped_one_by_one(name):
    nodes, edges, nodes_valid, edges_valid = given(name)
    nodes = np.where((np.abs(nodes) > 0.5) & nodes_valid[..., None], nodes, 0)
    model, variables = zoo.create(name, dropout=0.5), variables_of(name)

    @jax.jit
    def both(variables):
        def total(variables, nodes):
            return jnp.sum(jnp.square(model.apply(variables, nodes, edges, nodes_valid, edges_valid)))

        dropped = model.apply(
            variables, sparse, edges, nodes_valid, edges_valid, True, rngs={"dropout": jax.random.key(0)}
        )
        return *(jax.value_and_grad(total)(variables, each) for each in (nodes, sparse)), dropped

    sparse = SparseFeatures.of(nodes)
    assert len(sparse.values) == np.count_nonzero(nodes)
    (value, slopes), (same, same_slopes), dropped = both(variables)
    close(same, value)
    close(jax.flatten_util.ravel_pytree(same_slopes)[0], jax.flatten_util.ravel_pytree(slopes)[0])
    assert np.isfinite(dropped).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_sizes": ()}, "GAT expected positive hidden_sizes"),
        ({"dropout": 1.0}, "GAT expected .* 0 <= dropout < 1"),
        ({"heads": 0}, "expected one head or more, got heads=0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    nodes, edges, *_ = given("gat_tiny")
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(zoo.create("gat_tiny", **options).init, jax.random.key(0), nodes, edges)


def test_a_classifier_of_graphs_is_made_of_any_network_of_nodes_by_name():
    model = zoo.create("graph_gcn", network="gatv2_tiny", num_classes=3)
    assert (type(model.network).__name__, model.network.num_classes) == ("GATv2", 0)
    nodes, edges, *_ = given("gat_tiny")
    assert jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), nodes, edges)[0]).shape == (3, 3)
    with pytest.raises(ValueError, match="expected a network with num_classes=0"):
        jax.eval_shape(GraphClassifier(zoo.create("gcn_tiny")).init, jax.random.key(0), nodes, edges)


@of_every_network
def test_graphs_without_nodes_and_batches_without_graphs_have_outputs_of_that_shape(name):
    model, variables, (nodes, edges, *masks) = zoo.create(name), variables_of(name), given(name)
    outputs = jax.eval_shape(model.apply, variables, nodes[:0], edges[:0], *(mask[:0] for mask in masks))
    assert outputs.shape == (0, *evaluated(name)["output"].shape[1:])
    outputs = jax.eval_shape(model.apply, variables, nodes[:, :0], edges[:, :0])
    assert outputs.shape == ((SIZE, 0, model.num_classes) if name in NODES_OF else (SIZE, model.num_classes))


def test_where_graphsage_normalises_hidden_layers_end_in_values_of_length_one_after_relu():
    nodes, edges, nodes_valid, edges_valid = given("graphsage_tiny")
    model, variables = zoo.create("graphsage_tiny", normalise=True), variables_of("graphsage_tiny")
    plain, found = (
        each.apply(variables, nodes, edges, nodes_valid, edges_valid, features=True)
        for each in (model.copy(normalise=False), model)
    )
    lengths = np.linalg.norm(plain["layer1"], axis=-1, keepdims=True)  # line 7 of the algorithm comes after line 5
    close(found["layer1"], plain["layer1"] / np.where(lengths > 0, lengths, 1))
    assert (np.linalg.norm(found["logits"], axis=-1)[nodes_valid] > 1.1).any()


def test_a_graph_is_the_mean_of_its_real_nodes():
    nodes, edges, nodes_valid, edges_valid = given("graph_gcn_tiny")
    model, variables = zoo.create("graph_gcn_tiny", num_classes=0), variables_of("graph_gcn_tiny")
    network = {"params": variables["params"]["network"]}
    of_nodes = jax.jit(model.network.apply)(network, nodes, edges, nodes_valid, edges_valid)
    means = [each[valid].mean(axis=0) for each, valid in zip(np.asarray(of_nodes), nodes_valid, strict=True)]
    close(evaluated("graph_gcn_tiny")["headless"], np.stack(means))


@pytest.mark.parametrize(
    "name", [*zoo.list_models(task="node_classification"), *zoo.list_models(task="graph_classification")]
)
def test_every_network_has_the_parameters_of_the_table(name):
    variables = jax.eval_shape(zoo.create(name).init, jax.random.key(0), *batch_of(zoo.describe(name).inputs))
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))
    assert markdown_row(name, parameters) in MODELS
    published = {"gcn": 23_040, "gat": 92_373}  # 1433-16-7 without biases; that of torch_geometric's network
    assert parameters == published.get(name, parameters)
    assert {path.split("/")[1] for path in flatten_dict(variables, sep="/")} >= {"head"}
