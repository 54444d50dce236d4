"""RAFT: torchvision's features, correlations, updates, losses, gradients and names; its loop and its odd sizes."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from tests.dense.goldens import flow as given
from zoo.dense.convex import convex
from zoo.dense.correlation_pyramid import correlation_pyramid, look_up
from zoo.dense.flow_losses import sequence_loss
from zoo.dense.raft import RAFT, places_of, raft
from zoo.dense.raft_update import Sizes, Update
from zoo.tables import markdown_row
from zoo.weights.raft import raft as family_of
from zoo.weights.rules import rename, to_ours, to_theirs

GOLDENS = Path(__file__).parent / "goldens"


@functools.cache
def golden(name):
    with np.load(GOLDENS / f"{name}.npz") as file:
        return dict(file)


@functools.cache
def model_of(name):
    """The twin of the golden file's network."""
    if name in ("raft_large", "raft_small"):
        return zoo.create(name)
    of = given.NARROW[name]
    residual, hidden = name == "raft_residual", of["recurrent_block_hidden_state_size"]
    sizes = Sizes(
        hidden,
        of["motion_encoder_corr_layers"],
        of["motion_encoder_flow_layers"],
        of["motion_encoder_out_channels"],
        ((1, 5), (5, 1)) if residual else ((3, 3),),
        of["flow_head_hidden_size"],
        256 if residual else 0,
    )
    return RAFT(
        widths=of["feature_encoder_layers"],
        context=of["context_encoder_layers"][-1] - hidden,
        bottleneck=not residual,
        context_norm="batch" if residual else "none",
        levels=of["corr_block_num_levels"],
        radius=of["corr_block_radius"],
        sizes=sizes,
    )


@functools.cache
def theirs_of(name):
    shapes = numbers.shapes(golden(name)["names"])
    return {key: given.weight(key, shape) for key, shape in shapes.items() if "num_batches" not in key}


@functools.cache
def variables_of(name):
    ours, _, problems = to_ours(family_of(model_of(name)), theirs_of(name))
    assert not problems
    return unflatten_dict(ours, sep="/")


@functools.cache
def trained(name, train):
    """The loss, flows after each update, running statistics and gradients; with batch statistics or without."""
    model = model_of(name).copy(frozen_norm=not train, unroll=True)

    @jax.jit
    def program(variables, images, target, known):
        def loss(params):
            options = {"train": True, "updates": given.UPDATES, "mutable": ["batch_stats"]}
            flows, updated = model.apply({**variables, "params": params}, *images, **options)
            return sequence_loss(flows, target, known).total / known.size, (flows, updated)

        (value, (flows, updated)), slopes = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        return value, flows, updated, slopes

    size = given.RAFTS[name]
    return jax.device_get(program(variables_of(name), given.pair(*size), *given.target(*size)))


@functools.cache
def looped(name):
    """The flow after each update, by a loop."""
    model = model_of(name).copy(frozen_norm=True, unroll=False)
    program = jax.jit(lambda variables, images: model.apply(variables, *images, train=True, updates=given.UPDATES))
    return jax.device_get(program(variables_of(name), given.pair(*given.RAFTS[name])))


@functools.cache
def named(name):
    """The named maps, and what the context's encoder gives."""
    model = model_of(name)

    @jax.jit
    def program(variables, images):
        context = model.apply(variables, images[0], method=lambda m, x: m.context_encoder(x))
        return model.apply(variables, *images, features=True, updates=given.UPDATES), context

    return jax.device_get(program(variables_of(name), given.pair(*given.RAFTS[name])))


def some(slow, names):
    """As parameters of a test; torchvision's own networks are the narrow ones with more channels."""
    found = []
    for name in names:
        mark = [pytest.mark.slow] if name in slow else []
        found.append(pytest.param(name, marks=mark if name in given.NARROW else [pytest.mark.exhaustive]))
    return pytest.mark.parametrize("name", found)


of_every_model = some({"raft_bottleneck"}, given.RAFTS)
# A program with gradients takes ten seconds to compile.
slow_of_every_model = some(given.RAFTS, given.RAFTS)


def agrees(found, expected, name, tolerance=1e-4):
    """Samples of a map, in torch's layout, relative to its largest value."""
    sampled = numbers.samples(name, np.moveaxis(np.asarray(found), -1, 1))
    np.testing.assert_allclose(sampled, expected, rtol=0, atol=tolerance * expected[-1], err_msg=name)


@of_every_model
def test_names_are_torchvisions_and_shapes_fit(name):
    model, images = model_of(name), given.pair(*given.RAFTS[name])
    expected = jax.eval_shape(model.init, jax.random.key(0), *images)
    assert jax.tree.map(np.shape, variables_of(name)) == jax.tree.map(lambda leaf: leaf.shape, expected)
    back, problems = to_theirs(family_of(model), flatten_dict(variables_of(name), sep="/"))
    assert not problems
    assert {key: value.shape for key, value in back.items()} == {k: v.shape for k, v in theirs_of(name).items()}


@of_every_model
def test_the_flow_after_every_update_is_torchvisions(name):
    flows = looped(name)
    for number, flow in enumerate(flows, start=1):
        agrees(flow, golden(name)[f"flow{number}"], f"flow{number}")
    assert np.abs(flows[-1] - flows[0]).max() > 0.1  # pixels, so that later updates look elsewhere


@slow_of_every_model
def test_features_context_and_the_flow_at_evaluation_are_torchvisions(name):
    maps, context = named(name)
    agrees(maps["first"], golden(name)["first"], "first")
    agrees(context, golden(name)["context"], "context")
    np.testing.assert_array_equal(maps["context"], np.maximum(context[..., -maps["context"].shape[-1] :], 0))
    agrees(maps["flow"], golden(name)[f"flow{given.UPDATES}"], f"flow{given.UPDATES}")


@slow_of_every_model
def test_loss_gradients_and_running_statistics_are_torchvisions(name):
    train = "train/loss" in golden(name)
    begin = "train/" if train else ""  # without batch statistics training is the same
    value, flows, updated, slopes = trained(name, train)
    assert float(value) == pytest.approx(float(golden(name)[f"{begin}loss"]), rel=1e-5)
    agrees(flows[-1], golden(name)[f"{begin}flow{given.UPDATES}"], f"flow{given.UPDATES}")
    found, parameters = statistics(name, {"params": slopes}), [k for k in theirs_of(name) if "running" not in k]
    for key, expected in zip(parameters, golden(name)[f"{begin}slopes"], strict=True):
        # A bias before a normalisation has no gradient, but for rounding.
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=2e-3 * expected[1] + 1e-6, err_msg=key)
    if train:
        found, running = statistics(name, updated), [k for k in theirs_of(name) if "running" in k]
        for key, expected in zip(running, golden(name)["train/statistics"], strict=True):
            # Torch's running variance is of the unbiased one, which is a thousandth larger.
            np.testing.assert_allclose(found[key], expected, rtol=0, atol=2e-3 * expected[1], err_msg=key)


def statistics(name, ours):
    named, problems = to_theirs(family_of(model_of(name)), flatten_dict(ours, sep="/"))
    assert not problems
    return {key: numbers.statistic(key, value) for key, value in named.items()}


def test_correlations_and_what_is_around_a_place_are_torchvisions():
    first, second = given.maps()
    expected = golden("flow_operations")
    shape = given.MAPS

    def weighted(first, second):
        pyramid = correlation_pyramid(first, second, given.LEVELS)
        around = look_up(pyramid, given.coordinates(), given.RADIUS)
        return (around * given.slopes("around", around.shape)).sum(), (pyramid, around)

    slopes, (pyramid, around) = jax.jit(jax.grad(weighted, (0, 1), has_aux=True))(first, second)
    for level, volume in enumerate(pyramid):
        rows, columns = volume.shape[2:]
        theirs = volume.reshape(shape[0] * shape[1] * shape[2], rows, columns, 1)
        agrees(theirs, expected[f"level{level}"], f"level{level}")
    agrees(around, expected["around"], "around")
    for key, slope in zip(("first", "second"), slopes, strict=True):
        agrees(slope, expected[f"slope/{key}"], key)


def test_finer_flows_are_torchvisions():
    flow, logits = given.finer()
    small = Update(Sizes(mask=0))  # which has no weights for it
    finer = jax.jit(lambda flow: small.apply({}, flow, flow, method="finer"))
    agrees(finer(flow), golden("flow_operations")["bilinear"], "bilinear")
    agrees(8 * jax.jit(convex, static_argnums=2)(flow, logits, 8), golden("flow_operations")["convex"], "convex")


def test_maps_of_different_shapes_and_too_many_levels_are_refused():
    maps = jnp.ones((1, 4, 6, 8))
    with pytest.raises(ValueError, match=r"expected two maps .*, got \(1, 4, 6, 8\) and \(1, 4, 5, 8\)"):
        correlation_pyramid(maps, maps[:, :, :5], 1)
    with pytest.raises(ValueError, match="expected maps of at least 8 places a side for 4 levels"):
        correlation_pyramid(maps, maps, 4)
    with pytest.raises(ValueError, match="expected at least one level, got 0"):
        correlation_pyramid(maps, maps, 0)


@functools.cache
def tiny():
    model, images = zoo.create("raft_tiny"), given.pair(64, 64)
    shapes = flatten_dict(jax.eval_shape(model.init, jax.random.key(0), *images), sep="/")
    random = np.random.default_rng(0)
    drawn = {path: random.normal(0, 0.1, leaf.shape).astype(np.float32) for path, leaf in shapes.items()}
    drawn |= {path: np.ones(leaf.shape, np.float32) for path, leaf in shapes.items() if path.endswith("var")}
    return model, unflatten_dict(drawn, sep="/"), images


@pytest.mark.slow  # two programs with gradients
def test_in_a_loop_gradients_are_those_of_updates_written_out_and_with_remat_too():
    model, variables, images = tiny()

    def slopes(**options):
        network = model.copy(updates=2, frozen_norm=True, **options)

        def loss(update, images):
            params = {**variables["params"], "update": update}
            flows = network.apply({**variables, "params": params}, *images, train=True)
            return sum(jnp.square(flow).mean() for flow in flows)

        return jax.jit(jax.grad(loss))(variables["params"]["update"], images)

    written, looped = slopes(unroll=True), slopes(unroll=False, remat=True)
    assert any(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(written))
    for one, two in zip(jax.tree.leaves(looped), jax.tree.leaves(written), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4 * max(np.abs(two).max(), 1e-3))


def test_the_number_of_updates_is_an_argument():
    model, variables, images = tiny()
    options = {"train": True, "updates": 1, "mutable": ["batch_stats"]}
    assert len(jax.eval_shape(lambda v: model.apply(v, *images, **options)[0], variables)) == 1 < model.updates
    with pytest.raises(ValueError, match="updates: expected a positive integer, got 0"):
        model.apply(variables, *images, updates=0)
    with pytest.raises(zoo.UnknownNameError, match="no size 'huge'; known: large, small, tiny"):
        raft("huge")


@pytest.mark.parametrize(("name", "parameters"), [("raft_large", 5_257_536), ("raft_small", 990_162)])
def test_the_table_has_the_parameters_that_torchvision_states(name, parameters):
    """And `tests/test_catalog.py` holds that the table has the networks' own."""
    table = (Path(zoo.__file__).parent / "MODELS.md").read_text().splitlines()
    assert markdown_row(name, parameters) in table
    assert len(zoo.describe(name).pretrained) == {"raft_large": 6, "raft_small": 2}[name]


def test_places_are_x_before_y():
    assert places_of(jnp.zeros((1, 2, 3, 1)))[0, 1].tolist() == [[0, 1], [1, 1], [2, 1]]


def test_rules_count_units_from_one():
    theirs = "feature_encoder.layer2.0.downsample.0.weight"
    template = "feature_encoder.layer{stage}.{unit}.downsample.0.weight"
    assert rename(theirs, template, "stage{stage}_unit{unit+1}") == "stage2_unit1"
