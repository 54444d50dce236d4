"""Several steps that make one update, of whatever weight, and the moving average of parameters and statistics."""

import dataclasses

import jax
import numpy as np

from tests.train.engine.stepping import BATCH, assert_close, compiled, optimizer_of, run, state_of
from tests.train.small import Boxes, Detection, Net, detection_batch, images_and_labels, make_state
from train.config import Optimizer
from train.engine.optim import has_moved
from train.engine.state import fingerprint
from train.engine.step import make_update
from zoo.perceptrons import MLP


def averaged(old, new):
    return jax.tree.map(lambda old, new: 0.8 * np.asarray(old) + 0.2 * np.asarray(new), old, new)


def test_the_moving_average_follows_its_formula_for_parameters_and_statistics():
    model = Net()
    config = Optimizer("adamw")
    update, state = compiled(model, config, ema=0.8, skip_nonfinite=True), state_of(model, config, ema=True)
    expected = jax.device_get(state.variables())
    for seed in range(3):
        state, _ = update(state, images_and_labels(seed=seed))
        expected = averaged(expected, state.variables())
    assert_close(state.ema, expected)


def test_with_accumulation_parameters_and_average_move_every_second_step():
    model, config = Net(), Optimizer("sgd", accumulate=2)
    update, state = compiled(model, config, ema=0.8, skip_nonfinite=True), state_of(model, config, ema=True)
    start = state.variables()
    moved = []
    for _ in range(4):
        before = state
        state, _ = update(state, BATCH)
        moved.append(fingerprint(state.params) != fingerprint(before.params))
        assert moved[-1] == (fingerprint(state.ema) != fingerprint(before.ema))
        if len(moved) == 2:
            assert_close(state.ema, averaged(start, state.variables()))
    assert moved == [False, True, False, True]


def test_accumulated_micro_batches_are_one_batch_twice_as_large():
    model, whole = MLP(hidden=(), num_classes=3), Optimizer("sgd", momentum=0.0, weight_decay=0.0)
    halves = dataclasses.replace(whole, accumulate=2)
    big = [images_and_labels(16, seed) for seed in range(2)]
    small = [{name: x[half] for name, x in batch.items()} for batch in big for half in (slice(8), slice(8, 16))]
    one, _ = run(compiled(model, whole), state_of(model, whole), big)
    two, _ = run(compiled(model, halves), state_of(model, halves), small)
    assert_close(one.params, two.params)


def test_the_last_steps_of_a_run_are_one_batch_of_what_they_have():
    """Three steps that are to accumulate four are the update of one batch of their examples."""
    model, whole = MLP(hidden=(), num_classes=3), Optimizer("sgd", momentum=0.0, weight_decay=0.0)
    big = images_and_labels(24, 0)
    small = [{name: x[i : i + 8] for name, x in big.items()} for i in (0, 8, 16)]
    accumulating = dataclasses.replace(whole, accumulate=4)
    one, _ = run(compiled(model, whole), state_of(model, whole), [big])
    none, _ = run(compiled(model, accumulating), state_of(model, accumulating), small)
    rest, _ = run(compiled(model, accumulating, last_step=3), state_of(model, accumulating), small)
    assert fingerprint(none.params) == fingerprint(state_of(model, accumulating).params)
    assert_close(rest.params, one.params)
    assert bool(has_moved(rest.opt_state))


def ragged(size=16, seed=0):
    """A batch of boxes whose numbers differ much from example to example."""
    batch = detection_batch(size, seed)
    valid = np.arange(3)[None] < np.array([3, 0, 0, 1] * (size // 4))[:, None]
    return {**batch, "objects": {**batch["objects"], "valid": valid & (np.arange(size) != seed)[:, None]}}


def test_accumulated_steps_of_unequal_weight_are_one_batch_of_all_their_examples():
    model, task, config = Boxes(), Detection(), Optimizer("sgd", momentum=0.0, weight_decay=0.0)
    accumulating = dataclasses.replace(config, accumulate=2)
    whole = ragged()
    # Without batch statistics, which are those of each half.
    halves = [jax.tree.map(lambda x, half=half: x[half], whole) for half in (slice(0, 5), slice(5, 16))]
    assert len({half["objects"]["valid"].sum() for half in halves}) == 2
    state = make_state(model, optimizer_of(config), *task.inputs(whole))
    frozen = {"freeze": ("norm/*",)}
    one, _ = jax.jit(make_update(model, task, optimizer_of(config), **frozen))(state, whole)
    two = make_state(model, optimizer_of(accumulating), *task.inputs(whole))
    for half in halves:
        two, _ = jax.jit(make_update(model, task, optimizer_of(accumulating), **frozen))(two, half)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), one.params, state.params)
    assert moved["boxes"]["kernel"] > 1e-3
    assert_close(two.params["boxes"], one.params["boxes"])
    assert_close(two.params["masks"], one.params["masks"])
