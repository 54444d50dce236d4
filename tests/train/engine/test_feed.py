"""Feeds on one device: the batches they run, several steps a dispatch, and going on where they stopped."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.train.small import TASK, Net, make_state
from train.config import Augment
from train.data import ArraySource, Facts, GrainPipeline, MemoryPipeline, augment
from train.engine.feed import GrainFeed, MemoryFeed, choose_steps_per_dispatch
from train.engine.placement import MeshPlacement, PmapPlacement
from train.engine.state import fingerprint
from train.engine.step import make_update

random = np.random.default_rng(0)
ARRAYS = {
    "image": random.integers(0, 256, (20, 4, 4, 1)).astype(np.uint8),
    "label": random.integers(0, 3, 20).astype(np.int32),
}
SOURCE = ArraySource("twenty", ARRAYS, facts=Facts(classes=("a", "b", "c")))
FLIP = augment(Augment(flip=True), SOURCE.spec, SOURCE.facts, TASK.mixes)
BATCH, SEED, CHUNK = 6, 3, 4
MODEL, OPTIMIZER = Net(), optax.sgd(0.1, momentum=0.9)
UPDATE = make_update(MODEL, TASK, OPTIMIZER)
PLACEMENT = MeshPlacement(devices=jax.devices()[:1])


def start():
    state = make_state(MODEL, OPTIMIZER, np.zeros((1, 4, 4, 1), np.float32))
    return jax.device_put(state, PLACEMENT.replicated)


class CountedAugment:
    """Flips, so that every step draws; counts how often it is traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, key, batch):
        self.traces += 1
        return FLIP(key, batch)


@functools.cache
def memory_feed(chunk):
    counted = CountedAugment()
    return MemoryFeed(MemoryPipeline(SOURCE, BATCH, SEED), PLACEMENT, counted, UPDATE, chunk), counted


def grain_feed():
    return GrainFeed(GrainPipeline(SOURCE, BATCH, SEED), PLACEMENT, CountedAugment(), UPDATE)


def run(feed, counts, state=None, step=0):
    """The last state, every step's loss and rows."""
    state, losses, rows = start() if state is None else state, [], []
    for count in counts:
        state, sums, indices = feed.advance(state, step, count)
        step += count
        assert indices.shape == (count, BATCH)
        losses.append(np.atleast_1d(sums.loss.total))
        rows.append(indices)
        assert losses[-1].shape == (count,)
    return state, np.concatenate(losses), np.concatenate(rows)


@functools.cache
def seven_single_steps():
    return run(memory_feed(1)[0], [1] * 7)


def test_a_memory_feed_runs_the_update_on_the_rows_it_names():
    state, losses, rows = seven_single_steps()
    assert [len(set(epoch.ravel())) for epoch in (rows[:3], rows[3:6])] == [18, 18]  # no row twice in an epoch
    expected, step = start(), jax.jit(UPDATE)
    for loss, indices in zip(losses, rows, strict=True):
        batch = {name: array[indices] for name, array in ARRAYS.items()} | {"mask": np.ones(BATCH, bool)}
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), expected.step), 0)
        expected, sums = step(expected, FLIP(key, batch))
        np.testing.assert_allclose(loss, sums.loss.total, rtol=1e-5)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), state.variables(), expected.variables())


def test_several_steps_a_dispatch_are_the_same_steps_whatever_their_number():
    state, losses, rows = seven_single_steps()
    feed, counted = memory_feed(CHUNK)
    for counts in ([4, 3], [1, 2, 4]):
        many, many_losses, many_rows = run(feed, counts)
        np.testing.assert_array_equal(many_rows, rows)
        np.testing.assert_allclose(many_losses, losses, rtol=1e-5)
        jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), many.variables(), state.variables())
        assert int(many.step) == 7
    assert counted.traces == 2  # the shapes of the sums, and the one program


def test_single_steps_are_compiled_once():
    seven_single_steps()
    assert memory_feed(1)[1].traces == 1


def test_the_state_is_donated():
    for feed in (memory_feed(1)[0], memory_feed(CHUNK)[0]):
        old = start()
        feed.advance(old, 0, 1)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(old))


def test_nothing_is_transferred_behind_a_steps_back():
    grain = grain_feed()
    for feed, count in ((memory_feed(1)[0], 1), (memory_feed(CHUNK)[0], 3), (grain, 1)):
        state, _, _ = feed.advance(start(), 0, count)
        with jax.transfer_guard("disallow"):
            feed.advance(state, count, count)
    grain.close()


def test_a_grain_feed_restored_from_its_state_goes_on_bit_by_bit():
    feed = grain_feed()
    whole, losses, rows = run(feed, [1] * 5)
    feed.close()

    feed = grain_feed()
    half, _, _ = run(feed, [1] * 2)
    saved, kept = feed.state(2), jax.device_get(half)
    feed.advance(half, 2, 1)  # a step that is lost
    feed.restore(saved)
    again, later_losses, later_rows = run(feed, [1] * 3, jax.device_put(kept, PLACEMENT.replicated), step=2)
    feed.close()
    np.testing.assert_array_equal(later_rows, rows[2:])
    np.testing.assert_array_equal(later_losses, losses[2:])
    assert fingerprint(again) == fingerprint(whole)


def test_a_memory_feeds_batches_follow_from_the_step():
    feed, _ = memory_feed(1)
    _, losses, rows = seven_single_steps()
    half, _, _ = run(feed, [1] * 4)
    fresh = MemoryFeed(MemoryPipeline(SOURCE, BATCH, SEED), PLACEMENT, CountedAugment(), UPDATE, 1)
    fresh.restore(feed.state(4))
    _, later_losses, later_rows = run(fresh, [1] * 3, half, step=4)
    np.testing.assert_array_equal(later_rows, rows[4:])
    np.testing.assert_array_equal(later_losses, losses[4:])
    fresh.close()


def test_the_checkpoint_of_another_feed_is_refused():
    memory, grain = memory_feed(1)[0], grain_feed()
    with pytest.raises(ValueError, match="checkpoint of pipeline 'memory', but this run reads with 'grain'"):
        grain.restore(memory.state(4))
    with pytest.raises(ValueError, match="checkpoint of pipeline 'grain', but this run reads with 'memory'"):
        memory.restore(grain.state(4))


def test_only_dense_networks_take_several_steps_a_dispatch_on_cpu():
    dense, conv = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}, {"kernel": jnp.zeros((3, 3, 1, 1))}
    assert choose_steps_per_dispatch(0, PLACEMENT, dense) == 32
    assert choose_steps_per_dispatch(0, PLACEMENT, {**dense, "conv": conv}) == 1
    assert choose_steps_per_dispatch(5, PLACEMENT, conv) == 5
    assert choose_steps_per_dispatch(5, PmapPlacement(), dense) == 1
