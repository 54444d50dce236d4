"""Training metrics: means of the right steps, read late, and the step and rows of what is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Data, Optimizer, Recipe
from train.engine import meter
from train.engine.meter import Meter, NonFiniteError, check_state
from train.engine.placement import MeshPlacement
from train.engine.step import Sums
from train.tasks.classification.task import Classification
from train.tasks.protocol import Ratio

TASK = Classification(("a", "b"))


def make(step=0, skipped=0, **changes):
    recipe = Recipe(data=Data(batch_size=4), optimizer=Optimizer(accumulate=2), **{"log_every": 4, **changes})
    return Meter(recipe, TASK, np.arange(100) / 10, step, skipped)


def sums(*losses, finite=None):
    """Sums of as many steps as there are losses, each of four examples, of which one was right."""
    count = len(losses)
    finite = np.ones(count) if finite is None else np.array(finite)
    loss = Ratio(4 * np.array(losses) * finite, 4.0 * finite)
    totals = {"count": 4.0 * finite, "loss": 99 * finite, "correct": finite}  # the loss that counts is the minimised
    return jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), Sums(loss, totals, finite))


def rows(step, count=1):
    """The rows of the batches from a step on: 100, 101, ... for step 1."""
    return np.arange(100 * step, 100 * (step + count)).reshape(count, 100)[:, :4]


def test_a_line_is_the_mean_of_its_steps_and_leaves_out_what_may_still_run(monkeypatch):
    clock = iter([10.0, 11.0, 13.0])
    monkeypatch.setattr(meter.time, "perf_counter", lambda: next(clock))
    metered = make()
    for step in range(5):
        assert not metered.is_due()
        metered.add(sums(float(step)), rows(step))
    assert metered.is_due()
    step, metrics = metered.read(late=1)
    assert step == 4
    assert metrics == {
        "loss": 1.5,  # of steps 0, 1, 2, 3
        "accuracy": 0.25,
        "learning_rate": pytest.approx(0.2),  # two steps are one update
        "images_per_second": 16.0,
    }
    assert not metered.is_due()
    assert metered.read()[1]["loss"] == 4
    assert metered.read() is None


def test_a_loss_of_several_terms_is_the_sum_of_each_terms_mean_over_the_steps():
    metered = make()
    for total, weight in (([6.0, 1.0, 0.0], [2.0, 1.0, 0.0]), ([0.0, 3.0, 0.0], [2.0, 7.0, 0.0])):
        metered.add(sums(0.0)._replace(loss=Ratio(jnp.array([total]), jnp.array([weight]))), rows(0))
    assert metered.read()[1]["loss"] == 6 / 4 + 4 / 8  # of the third there was none


def test_updates_that_were_skipped_do_not_move_the_learning_rate():
    metered = make(step=10, skipped=4)  # six steps, two an update, moved the parameters
    metered.add(sums(1.0, 1.0), rows(0, 2))
    assert metered.read()[1]["learning_rate"] == pytest.approx(0.4)


def test_time_that_was_not_training_is_left_out(monkeypatch):
    clock = iter([0.0, 100.0, 101.0])
    monkeypatch.setattr(meter.time, "perf_counter", lambda: next(clock))
    metered = make(step=40)
    metered.add(sums(1.0), rows(0))
    metered.restart_clock()  # the first step was compiled
    metered.add(sums(1.0, 1.0), rows(1, 2))
    assert metered.read()[1]["images_per_second"] == 8


def test_a_line_without_time_has_no_rate():
    metered = make()
    metered.add(sums(1.0), rows(0))
    metered.restart_clock()
    assert "images_per_second" not in metered.read()[1]


def test_the_step_and_rows_of_what_is_not_finite_are_named_within_a_dispatch_of_many():
    metered = make(step=20)
    metered.add(sums(1.0, 1.0, 1.0), rows(20, 3))
    metered.add(sums(1.0, 1.0, 1.0, 1.0, finite=[1, 1, 0, 0]), rows(23, 4))
    with pytest.raises(NonFiniteError, match=r"^step 26: .* rows of its batch of 4: 2500 2501 2502 2503$"):
        metered.read()


def test_long_batches_are_cut():
    metered = make()
    metered.add(sums(1.0, finite=[0]), np.arange(1000)[None])
    with pytest.raises(NonFiniteError, match=r"batch of 1000: 0 1 .* 127 \.\.\.$"):
        metered.read()


def test_skipped_steps_are_counted_and_are_in_no_mean():
    metered = make(skipped=5, on_nan="skip")
    metered.add(sums(2.0, 99.0, 4.0, 99.0, finite=[1, 0, 1, 0]), rows(0, 4))
    with pytest.warns(UserWarning, match=r"step 2: .*: 100 101 102 103; update skipped \(7 so far\)"):
        step, metrics = metered.read()
    assert (step, metrics["loss"], metrics["skipped"], metered.skipped) == (4, 3.0, 7, 7)
    metered.add(sums(99.0, finite=[0]), rows(4))
    with pytest.warns(UserWarning, match="step 5"):
        assert metered.read() is None


def test_a_state_that_is_not_finite_is_refused_by_name():
    state = {"params": {"kernel": jnp.array([1.0, jnp.inf]), "bias": jnp.zeros(2)}, "step": jnp.int32(3)}
    with pytest.raises(NonFiniteError, match=r"^step 3: after the update, not finite: params/kernel$"):
        check_state(state, 3)
    check_state({"bfloat16": jnp.ones(2, jnp.bfloat16), "key": jnp.zeros(2, jnp.uint32), "none": None}, 3)


def test_the_loss_of_several_steps_is_the_ratio_of_their_sums_and_totals_of_any_shape_add_up():
    class Confusion:
        def scores(self, totals):
            return {"loss": 0.0, "right": float(totals.trace() / totals.sum())}

    metered = Meter(Recipe(data=Data(batch_size=4)), Confusion(), np.zeros(9), 0, 0)
    for total, weight in ((6.0, 2.0), (1.0, 6.0), (0.0, 0.0)):  # ragged, and one step of which nothing counts
        step = Sums(Ratio(np.float32(total), np.float32(weight)), np.array([[2, 1], [0, 1]]), np.float32(1))
        metered.add(step, rows(0))
    _, metrics = metered.read()
    assert (metrics["loss"], metrics["right"]) == (7 / 8, 0.75)


class OnDevice:
    """An array that notes in `told` when its copy to the host is started, and when it is waited for."""

    dtype, index = np.dtype(np.float32), (slice(None),)

    def __init__(self, told):
        self.told = told
        self.data = self

    @property
    def addressable_shards(self):
        return [self, self]  # two replicas

    def copy_to_host_async(self):
        self.told.append("started")

    def __array__(self, dtype=None, copy=None):
        self.told.append("waited")
        return np.ones(2, np.float32)


def test_all_copies_of_a_state_to_the_host_are_started_before_the_first_is_waited_for():
    told = []
    check_state({"kernel": OnDevice(told), "bias": OnDevice(told)}, 3)
    assert told == ["started"] * 2 + ["waited"] * 2
    told.clear()
    found = MeshPlacement(devices=jax.devices()[:1]).local({"logits": OnDevice(told), "boxes": OnDevice(told)})
    assert told == ["started"] * 2 + ["waited"] * 2
    assert found["boxes"].shape == (2,)
