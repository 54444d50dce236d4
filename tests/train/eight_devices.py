"""Facts about placements that need eight devices; `test_placement.py` runs this file in a process that has them.

To run it alone: JAX_NUM_CPU_DEVICES=8 pytest tests/train/eight_devices.py
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from tests.train.small import TASK, Boxes, Detection, Net, detection_batch, make_state
from train.data import ArraySource, Augment, GrainPipeline, MemoryPipeline, augment, preprocess
from train.feed import GrainFeed, MemoryFeed
from train.optim import make_optimizer
from train.placement import make_placement
from train.recipe import Optimizer
from train.state import fingerprint, initial_state
from train.step import make_evaluate, make_update

NAMES = ("jit", "fsdp", "pmap")
STEPS, BATCH = 4, 16
TOLERANCE = 1e-5
random = np.random.default_rng(0)
ARRAYS = {
    "image": random.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8),
    "label": random.integers(0, 3, 40).astype(np.int32),
}
SOURCE = ArraySource("forty", ARRAYS, ("a", "b", "c"))
AUGMENT = Augment(pad_crop=1, flip=True, mixup=0.4, mean=(0.5,), std=(0.25,))
SGD = make_optimizer(Optimizer("sgd", momentum=0.9, weight_decay=1e-3), optax.constant_schedule(0.05))


def placement_of(name):
    """A placement over all eight devices; "single" is the reference, over one."""
    return make_placement("jit", jax.devices()[:1]) if name == "single" else make_placement(name)


def assert_close(found, expected, tolerance=TOLERANCE):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=0, atol=tolerance), found, expected)


def convnet_state():
    """A residual network with batch norm and a moving average."""
    init_key, run_key = jax.random.split(jax.random.key(0))
    variables = zoo.create("cifar_resnet8", num_classes=3).init(init_key, jnp.zeros((1, 8, 8, 3)))
    return initial_state(variables, SGD, run_key, ema=True)


class Run:
    """Some steps of the convolutional network under a placement, and what was seen on the way."""

    def __init__(self, name):
        self.placement = placement = placement_of(name)
        model = zoo.create("cifar_resnet8", num_classes=3, axis_name=placement.axis_name)
        update = make_update(model, TASK, SGD, ema=0.9, axis_name=placement.axis_name)
        feed = MemoryFeed(MemoryPipeline(SOURCE, BATCH, seed=1), placement, augment(AUGMENT), update, 1)
        state = placement.initialise(convnet_state)
        self.initial = jax.device_get(placement.to_portable(state))
        self.sums = []
        for step in range(STEPS):
            before = state
            # The first step compiles, which moves constants to the devices; the others may move nothing.
            with jax.transfer_guard("disallow" if step else "allow"):
                state, sums, _ = feed.advance(state, step, 1)
            self.sums.append(jax.device_get(sums))
        self.donated = all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
        self.state = state
        self.final = jax.device_get(placement.to_portable(state))


run = functools.cache(Run)


@pytest.mark.parametrize("name", NAMES)
def test_every_placement_starts_from_the_same_bits(name):
    assert fingerprint(run(name).initial) == fingerprint(run("single").initial)


@pytest.mark.parametrize("name", NAMES)
def test_every_placement_equals_a_single_device_with_batch_norm_and_mixup(name):
    found, expected = run(name), run("single")
    for one, other in zip(found.sums, expected.sums, strict=True):
        assert one["count"] == other["count"] == BATCH
        assert one["correct"] == other["correct"]
        assert one["loss"] / BATCH == pytest.approx(other["loss"] / BATCH, abs=TOLERANCE)
    assert_close(found.final, expected.final)  # parameters, statistics, momentum, average
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), expected.final.params, expected.initial.params)
    assert min(jax.tree.leaves(moved)) > 10 * TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_the_old_state_is_donated_to_the_step(name):
    assert run(name).donated


@pytest.mark.parametrize("name", NAMES)
def test_portable_and_back_is_the_same_state(name):
    placement, state = run(name).placement, run(name).state
    again = placement.from_portable(placement.to_portable(state))
    assert fingerprint(again) == fingerprint(state)
    assert jax.tree.map(lambda x: x.sharding, again) == jax.tree.map(lambda x: x.sharding, state)


@pytest.mark.parametrize("name", NAMES)
def test_abstract_states_are_what_a_checkpoint_holds(name):
    def layout(leaf):
        return leaf.shape, leaf.dtype, leaf.sharding

    placement = run(name).placement
    portable = placement.to_portable(run(name).state)
    assert jax.tree.map(layout, placement.abstract(convnet_state)) == jax.tree.map(layout, portable)


def test_fsdp_keeps_an_eighth_of_every_large_array_on_each_device():
    state = run("fsdp").state
    large = [leaf for leaf in jax.tree.leaves(state) if leaf.size >= 4096]
    assert len(large) >= 3 * 4  # of parameters, momentum and average
    for leaf in large:
        assert {shard.data.size for shard in leaf.addressable_shards} == {leaf.size // 8}
        assert len({str(shard.index) for shard in leaf.addressable_shards}) == 8
    one = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state))
    assert one < 0.25 * sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(run("jit").state))


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_counts_every_example_once_on_any_number_of_devices(name):
    model = zoo.create("cifar_resnet8", num_classes=3)
    evaluate = make_evaluate(model, TASK)
    batch = {"image": ARRAYS["image"][:BATCH], "label": ARRAYS["label"][:BATCH], "mask": np.arange(BATCH) < 11}

    def measured(name):
        placement = run(name).placement
        variables = placement.to_portable(run(name).state).variables()
        compiled = placement.evaluate(lambda variables, batch: evaluate(variables, preprocess(AUGMENT)(batch)))
        return jax.device_get(compiled(variables, placement.shard_global(batch)))

    (found, logits), (expected, single_logits) = measured(name), measured("single")
    assert found["count"] == 11
    assert found["correct"] == expected["correct"]
    assert_close(logits, single_logits, 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_of_dictionaries_runs_under_every_placement(name):
    task, optimizer, batch = Detection(), optax.sgd(0.1), detection_batch(BATCH)

    def trained(name):
        placement = placement_of(name)
        state = placement.from_portable(
            jax.device_put(make_state(Boxes(), optimizer, *task.inputs(batch)), placement.replicated)
        )
        update = make_update(Boxes(axis_name=placement.axis_name), task, optimizer, axis_name=placement.axis_name)
        step = placement.step(lambda batch: batch, lambda key, batch: batch, update)
        for _ in range(3):
            state, sums = step(state, placement.shard(batch))
        return jax.device_get((placement.to_portable(state), sums))

    (found, sums), (expected, single_sums) = trained(name), trained("single")
    assert_close(found, expected)
    assert sums.keys() == single_sums.keys()
    assert_close(sums, single_sums, 1e-4)


@pytest.mark.parametrize("name", ["jit", "fsdp"])
def test_several_steps_a_dispatch_equal_single_steps_on_eight_devices(name):
    """With dropout: under a mesh its masks do not depend on the number of devices."""
    model = Net(dropout=0.5)

    def trained(name, chunk, counts):
        placement = placement_of(name)
        update = make_update(model, TASK, SGD)
        pipeline = MemoryPipeline(SOURCE, BATCH, seed=1)
        feed = MemoryFeed(pipeline, placement, augment(AUGMENT), update, chunk)
        state = jax.device_put(make_state(model, SGD, np.zeros((1, 8, 8, 3), np.float32)), placement.replicated)
        losses, step = [], 0
        for count in counts:
            state, sums, _ = feed.advance(state, step, count)
            losses += np.atleast_1d(sums["loss"]).tolist()
            step += count
        return jax.device_get(state), losses

    found, losses = trained(name, 4, [3, 4])
    expected, single_losses = trained("single", 1, [1] * 7)
    assert losses == pytest.approx(single_losses, abs=1e-3)
    assert_close(found, expected)


def test_pmap_runs_one_step_a_dispatch():
    with pytest.raises(ValueError, match="placement pmap runs one step a dispatch"):
        make_placement("pmap").steps(None, None, None)


@pytest.mark.parametrize("name", NAMES)
def test_grain_batches_are_split_over_the_devices(name):
    def trained(name):
        placement = placement_of(name)
        update = make_update(Net(), TASK, SGD, axis_name=placement.axis_name)
        feed = GrainFeed(GrainPipeline(SOURCE, BATCH, seed=1), placement, augment(AUGMENT), update)
        state = placement.from_portable(
            jax.device_put(make_state(Net(), SGD, np.zeros((1, 8, 8, 3), np.float32)), placement.replicated)
        )
        state, sums, rows = feed.advance(state, 0, 1)
        with jax.transfer_guard("disallow"):
            feed.advance(state, 1, 1)
        feed.close()
        return jax.device_get(sums), rows

    (sums, rows), (expected, single_rows) = trained(name), trained("single")
    np.testing.assert_array_equal(rows, single_rows)
    assert sums["count"] == BATCH
    if name != "pmap":  # this network's batch norm averages over one device's examples there
        assert_close(sums, expected, 1e-4)
