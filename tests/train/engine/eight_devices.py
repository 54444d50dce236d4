"""Facts about placements that need eight devices; `test_placement.py` runs this file in a process that has them.

To run it alone: JAX_NUM_CPU_DEVICES=8 pytest tests/train/engine/eight_devices.py
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
import zoo.perceptrons
from tests.train.small import TASK, Boxes, ConvNet, Detection, Net, Terms, detection_batch, make_state
from tests.train.tasks.detection.cells import CellDetector
from train.config import Augment, Optimizer
from train.data import ArraySource, Facts, GrainPipeline, MemoryPipeline, augment, preprocess
from train.engine.feed import GrainFeed, MemoryFeed
from train.engine.optim import make_optimizer
from train.engine.placement import make_placement
from train.engine.state import fingerprint, initial_state
from train.engine.step import make_evaluate, make_predict, make_update
from train.tasks.detection.task import Detection as Boxed

NAMES = ("jit", "fsdp", "pmap")
MODELS = [ConvNet, pytest.param(functools.partial(zoo.create, "cifar_resnet8"), marks=pytest.mark.slow)]
STEPS, BATCH = 4, 16
TOLERANCE = 1e-5
random = np.random.default_rng(0)
ARRAYS = {
    "image": random.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8),
    "label": random.integers(0, 3, 40).astype(np.int32),
}
SOURCE = ArraySource("forty", ARRAYS, facts=Facts(classes=("a", "b", "c")))
AUGMENT = Augment(pad_crop=1, flip=True, mixup=0.4, mean=(0.5,), std=(0.25,))
VARY, PLAIN = (augment(config, SOURCE.spec, SOURCE.facts, TASK.mixes) for config in (AUGMENT, Augment()))
SGD = make_optimizer(Optimizer("sgd", momentum=0.9, weight_decay=1e-3), optax.constant_schedule(0.05))


def placement_of(name):
    """A placement over all eight devices; "single" is the reference, over one."""
    return make_placement("jit", jax.devices()[:1]) if name == "single" else make_placement(name)


def assert_close(found, expected, tolerance=TOLERANCE):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=0, atol=tolerance), found, expected)


def placed(placement, state):
    """A state as the placement keeps it; of host arrays, for a step would delete those that are on a device."""
    portable = jax.device_put(jax.device_get(state), placement.state_shardings(state))
    return placement.from_portable(portable)


@functools.cache
def convnet_state(make_model):
    """Of a convolutional network with batch norm, with a moving average."""
    return make_state(make_model(num_classes=3), SGD, np.zeros((1, 8, 8, 3), np.float32), ema=True)


@functools.cache
def net_state():
    """A dense network with batch norm, for the same images."""
    return make_state(Net(), SGD, np.zeros((1, 8, 8, 3), np.float32))


class Run:
    """Some steps of the convolutional network under a placement, and what was seen on the way."""

    def __init__(self, name, make_model):
        self.placement = placement = placement_of(name)
        model = make_model(num_classes=3, axis_name=placement.axis_name)
        update = make_update(model, TASK, SGD, ema=0.9, axis_name=placement.axis_name)
        feed = MemoryFeed(MemoryPipeline(SOURCE, BATCH, seed=1), placement, VARY, update, 1)
        state = placed(placement, convnet_state(make_model))
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


@functools.cache
def run_of(name, make_model):
    return Run(name, make_model)


def run(name, make_model=ConvNet):
    """The same run each time that a test asks for it."""
    return run_of(name, make_model)


@functools.cache
def initialised(name):
    def make_state():
        # The generator that `train.assemble` takes: unlike jax's default it does not promise this.
        init_key, run_key = jax.random.key(0, impl="rbg"), jax.random.key(0)
        variables = zoo.perceptrons.MLP(hidden=(64,), num_classes=3).init(init_key, jnp.zeros((1, 8, 8, 1)))
        return initial_state(variables, SGD, run_key, ema=True)

    placement = placement_of(name)
    state = placement.initialise(make_state)
    assert shapes_and_layout(placement.abstract(make_state)) == shapes_and_layout(placement.to_portable(state))
    return state, fingerprint(placement.to_portable(state))


def shapes_and_layout(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.sharding), tree)


@pytest.mark.parametrize("name", NAMES)
def test_every_placement_starts_from_the_same_bits_as_its_checkpoint_holds_them(name):
    state, bits = initialised(name)
    assert bits == initialised("single")[1]
    shards = state.params["hidden1"]["kernel"].addressable_shards
    assert [shard.data.size for shard in shards] == [64 * 64 // (8 if name == "fsdp" else 1)] * 8


@pytest.mark.parametrize("make_model", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_every_placement_equals_a_single_device_with_batch_norm_and_mixup(name, make_model):
    found, expected = run(name, make_model), run("single", make_model)
    for one, other in zip(found.sums, expected.sums, strict=True):
        assert one.totals["count"] == other.totals["count"] == one.loss.weight == BATCH
        assert one.totals["correct"] == other.totals["correct"]
        assert one.loss.total / BATCH == pytest.approx(other.loss.total / BATCH, abs=TOLERANCE)
    assert_close(found.final, expected.final)  # parameters, statistics, momentum, average
    start = convnet_state(make_model).params
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), expected.final.params, start)
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


def test_fsdp_keeps_an_eighth_of_every_large_array_on_each_device():
    state = run("fsdp").state
    large = [leaf for leaf in jax.tree.leaves(state) if leaf.size >= 4096]
    assert len(large) == 3  # the second kernel, of parameters, momentum and average
    for leaf in large:
        assert {shard.data.size for shard in leaf.addressable_shards} == {leaf.size // 8}
        assert len({str(shard.index) for shard in leaf.addressable_shards}) == 8
    one = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state))
    assert one < 0.35 * sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(run("jit").state))


def test_evaluation_counts_every_example_once_on_any_number_of_devices():
    evaluate, predict = make_evaluate(Net(), TASK), make_predict(Net(), TASK)
    prepare = preprocess(AUGMENT, SOURCE.spec)
    batch = {"image": ARRAYS["image"][:BATCH], "label": ARRAYS["label"][:BATCH], "mask": np.arange(BATCH) < 11}

    def measured(name):
        placement = placement_of(name)
        summed = placement.evaluate(lambda variables, batch: evaluate(variables, prepare(batch)))
        predicted = placement.predict(lambda variables, batch: predict(variables, prepare(batch)))
        variables = placement.to_portable(placed(placement, net_state())).variables()
        arrays = placement.shard(batch)
        found = placement.local(predicted(variables, arrays))
        return jax.device_get(summed(variables, arrays)), found["logits"]

    expected, single_logits = measured("single")
    for name in ("fsdp", "pmap"):
        found, logits = measured(name)
        assert found["count"] == 11
        assert found["correct"] == expected["correct"]
        assert_close(logits, single_logits)


@functools.cache
def detector(name, task):
    """Three steps on ragged batches: some devices have six boxes, some none; the loss is the mean over all boxes."""
    optimizer, batch = optax.sgd(0.1), detection_batch(BATCH)
    batch["objects"]["valid"] = np.arange(3)[None] < np.array([3, 3, 0, 0, 1, 0, 2, 3] * (BATCH // 8))[:, None]
    placement = placement_of(name)
    state = placed(placement, make_state(Boxes(), optimizer, *task.inputs(batch)))
    update = make_update(Boxes(axis_name=placement.axis_name), task, optimizer, axis_name=placement.axis_name)
    step = placement.step(lambda batch: batch, lambda key, batch: batch, update)
    for _ in range(3):
        state, sums = step(state, placement.shard(batch))
    return jax.device_get((placement.to_portable(state), sums))


@pytest.mark.parametrize("name", NAMES)
def test_a_task_of_dictionaries_runs_under_every_placement(name):
    (found, sums), (expected, single_sums) = detector(name, Detection()), detector("single", Detection())
    assert_close(found, expected)
    assert_close(sums, single_sums, 1e-4)
    assert sums.loss.weight == sums.totals["boxes"] == 24
    np.testing.assert_array_equal(sums.totals["confusion"].sum(), 24)


@pytest.mark.parametrize("name", NAMES)
def test_each_term_of_a_loss_counts_its_own_weight_over_all_devices(name):
    (found, sums), (expected, single_sums) = detector(name, Terms()), detector("single", Terms())
    assert_close(found, expected)
    assert_close(sums, single_sums, 1e-4)
    assert sums.loss.weight.tolist() == [24, 10]


def two_stage(axis_name):
    """Faster R-CNN of which all anchors and regions learn: none are drawn, which devices would do differently."""
    options = {"rpn_batch_size_per_image": 4080, "box_batch_size_per_image": 36, "axis_name": axis_name}
    options |= {"rpn_positive_fraction": 1.0, "box_positive_fraction": 1.0}
    return zoo.create("fasterrcnn_tiny", num_classes=4, **options)


def cells(axis_name):
    return CellDetector(num_classes=4, share=1.0)


DETECTORS = [cells, pytest.param(two_stage, marks=pytest.mark.slow)]


@functools.cache
def real_detector(name, make_detector):
    """Steps of the task of detection, of which some devices have no object."""
    random = np.random.default_rng(0)
    valid = np.arange(4)[None] < np.array([4, 3, 0, 0, 1, 0, 2, 3] * (BATCH // 8))[:, None]
    corners = random.uniform(0, 20, (BATCH, 4, 2))
    batch = {
        "image": random.normal(size=(BATCH, 32, 32, 3)).astype(np.float32),
        "boxes": np.concatenate([corners, corners + random.uniform(6, 12, (BATCH, 4, 2))], axis=-1).astype(np.float32),
        "boxes_valid": valid,
        "classes": random.integers(0, 3, (BATCH, 4)).astype(np.int32),
        "index": np.arange(BATCH, dtype=np.int32),
        "mask": np.ones(BATCH, bool),
    }
    task, placement = Boxed(("a", "b", "c")), placement_of(name)
    state = placed(placement, make_state(make_detector(None), SGD, batch["image"]))
    update = make_update(make_detector(placement.axis_name), task, SGD, axis_name=placement.axis_name)
    step = placement.step(lambda batch: batch, lambda key, batch: batch, update)
    for _ in range(3 if make_detector is cells else 1):  # in two stages rounding decides which boxes are proposed
        state, sums = step(state, placement.shard(batch))
    return jax.device_get((placement.to_portable(state), sums)), valid.sum()


@pytest.mark.parametrize("make_detector", DETECTORS)
@pytest.mark.parametrize("name", NAMES)
def test_a_detector_divides_by_the_objects_of_all_devices(name, make_detector):
    (found, sums), _ = real_detector(name, make_detector)
    (expected, single_sums), objects = real_detector("single", make_detector)
    assert_close(found, expected)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-3)
    jax.tree.map(close, (sums.loss, sums.totals), (single_sums.loss, single_sums.totals))
    assert 0 < sums.totals["box"][1] <= (objects if make_detector is cells else 36 * BATCH)


def test_several_steps_a_dispatch_equal_single_steps_on_eight_devices():
    """With dropout: under a mesh its masks do not depend on the number of devices."""
    update = make_update(Net(dropout=0.5), TASK, SGD)

    def trained(name, chunk, counts):
        placement = placement_of(name)
        feed = MemoryFeed(MemoryPipeline(SOURCE, BATCH, seed=1), placement, PLAIN, update, chunk)
        state, losses, step = placed(placement, net_state()), [], 0
        for count in counts:
            state, sums, _ = feed.advance(state, step, count)
            losses += np.atleast_1d(sums.loss.total).tolist()
            step += count
        return jax.device_get(state), losses

    found, losses = trained("jit", 4, [3, 4])
    expected, single_losses = trained("single", 1, [1] * 7)
    assert losses == pytest.approx(single_losses, abs=1e-3)
    assert_close(found, expected)


def test_pmap_runs_one_step_a_dispatch():
    with pytest.raises(ValueError, match="placement pmap runs one step a dispatch"):
        make_placement("pmap").steps(None, None, None)


def test_grain_batches_are_split_over_the_devices():
    update = make_update(Net(), TASK, SGD)

    def trained(name):
        placement = placement_of(name)
        feed = GrainFeed(GrainPipeline(SOURCE, BATCH, seed=1), placement, PLAIN, update)
        state, _, rows = feed.advance(placed(placement, net_state()), 0, 1)
        with jax.transfer_guard("disallow"):
            state, sums, _ = feed.advance(state, 1, 1)
        feed.close()
        return jax.device_get((state, sums)), rows

    (state, sums), rows = trained("jit")
    (expected, single_sums), single_rows = trained("single")
    np.testing.assert_array_equal(rows, single_rows)
    assert_close(state, expected)
    assert sums.loss.total == pytest.approx(single_sums.loss.total, abs=1e-3)
