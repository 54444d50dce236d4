"""The step: gradients by hand, the same bits from the same seed, what a bad batch may change, and any task."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from tests.train.small import (
    TASK,
    Boxes,
    Detection,
    Net,
    detection_batch,
    images_and_labels,
    make_state,
)
from train.config import Optimizer
from train.engine.optim import has_moved, make_optimizer
from train.engine.state import fingerprint
from train.engine.step import AUGMENTATION, DROPOUT, make_evaluate, make_predict, make_update, step_key
from train.engine.step import TASK as TASK_DRAWS
from train.tasks.protocol import Aux, OneForward, Ratio
from zoo.perceptrons import MLP

BATCH = images_and_labels()
IMAGES = BATCH["image"]
MOMENTUM = Optimizer("sgd", momentum=0.9, weight_decay=0.01)


def optimizer_of(config, rate=0.1):
    return make_optimizer(config, optax.constant_schedule(rate))


@functools.cache
def compiled(model, config=MOMENTUM, rate=0.1, **options):
    return jax.jit(make_update(model, TASK, optimizer_of(config, rate), **options))


@functools.cache
def state_of(model, config=MOMENTUM, **options):
    return make_state(model, optimizer_of(config), IMAGES, **options)


def run(update, state, batches):
    """The last state and the sums of each step."""
    collected = []
    for batch in batches:
        state, sums = update(state, batch)
        collected.append(floats(sums))
    return state, collected


def floats(sums):
    """All sums of a step by name, the loss as its total."""
    totals = {name: np.asarray(value) if np.ndim(value) else float(value) for name, value in sums.totals.items()}
    return {**totals, "loss": float(sums.loss.total), "weight": float(sums.loss.weight), "finite": float(sums.finite)}


def shapes_and_types(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def assert_close(found, expected, tolerance=1e-6):
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=tolerance), found, expected)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_a_step_of_a_linear_classifier_is_the_gradient_by_hand():
    model, config = MLP(hidden=(), num_classes=3), Optimizer("sgd", momentum=0.0, weight_decay=0.0)
    state = state_of(model, config)
    new, sums = compiled(model, config)(state, BATCH)
    x, before = IMAGES.reshape(16, -1), jax.device_get(state.params["head"])
    probabilities = softmax(x @ before["kernel"] + before["bias"])
    error = (probabilities - np.eye(3)[BATCH["label"]]) / 16
    np.testing.assert_allclose(new.params["head"]["kernel"], before["kernel"] - 0.1 * x.T @ error, atol=1e-6)
    np.testing.assert_allclose(new.params["head"]["bias"], before["bias"] - 0.1 * error.sum(axis=0), atol=1e-6)
    losses = -np.log(probabilities[np.arange(16), BATCH["label"]])
    expected = {"count": 16, "loss": losses.sum(), "correct": np.sum(probabilities.argmax(1) == BATCH["label"])}
    assert floats(sums) == pytest.approx({**expected, "weight": 16, "finite": 1}, rel=1e-5)
    assert int(new.step) == 1


def test_the_loss_in_the_sums_is_what_was_minimised():
    model, config = MLP(hidden=(), num_classes=3), Optimizer("sgd", momentum=0.0, weight_decay=0.0)
    mixed = {**BATCH, "label_b": BATCH["label"][::-1], "mix": np.full(16, 0.25, np.float32)}
    state = state_of(model, config)
    _, sums = compiled(model, config)(state, mixed)
    params = jax.device_get(state.params["head"])
    probabilities = softmax(IMAGES.reshape(16, -1) @ params["kernel"] + params["bias"])
    targets = 0.25 * np.eye(3)[BATCH["label"]] + 0.75 * np.eye(3)[BATCH["label"][::-1]]
    np.testing.assert_allclose(sums.loss.total, -np.sum(targets * np.log(probabilities)), rtol=1e-5)
    assert float(sums.totals["correct"]) == np.sum(probabilities.argmax(axis=1) == BATCH["label"])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    model = Net(dropout=0.5)
    update, batches = compiled(model), [images_and_labels(seed=seed) for seed in range(3)]
    start = state_of(model)
    first, second = (run(update, start, batches)[0] for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    other = start.replace(key=start.key + np.uint32(1))  # the same parameters, other dropout
    assert fingerprint(run(update, other, batches)[0].params) != fingerprint(first.params)


def test_dropout_differs_between_the_replicas_of_a_mapped_axis():
    both = jax.tree.map(lambda x: np.stack([x, x]), BATCH)  # two devices with the same images

    def moved(dropout, axis_name):
        update = make_update(
            Net(dropout=dropout, axis_name=axis_name), TASK, optimizer_of(MOMENTUM), axis_name=axis_name
        )
        state = state_of(Net(dropout=dropout))
        if axis_name is None:
            return jax.jit(update)(state, BATCH)[0].params
        mapped = jax.vmap(update, in_axes=(None, 0), out_axes=(None, 0), axis_name=axis_name)
        return jax.jit(mapped)(state, both)[0].params

    assert not same(moved(0.5, None), moved(0.5, "devices"))
    assert same(moved(0.0, None), moved(0.0, "devices"))


def same(one, other):
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))


def test_dropout_differs_by_step_and_only_by_step():
    model = Net(dropout=0.5)
    update, state = compiled(model), state_of(model)

    def loss_at(step):
        return float(update(state.replace(step=np.int32(step)), BATCH)[1].loss.total)

    losses = [loss_at(step) for step in (0, 1, 2, 0)]
    assert len(set(losses)) == 3
    assert losses[0] == losses[3]


def test_the_keys_of_steps_and_purposes_are_all_different():
    data = state_of(Net()).key
    keys = [step_key(data, step, purpose) for step in range(4) for purpose in (AUGMENTATION, DROPOUT, TASK_DRAWS)]
    assert len({jax.random.key_data(key).tobytes() for key in keys}) == 12


def test_batch_statistics_move_a_tenth_of_the_way():
    model = Net()
    state = state_of(model)
    new, _ = compiled(model)(state, BATCH)
    dense = jax.device_get(state.params["first"])
    activations = IMAGES.reshape(16, -1) @ dense["kernel"] + dense["bias"]
    stats = new.model_state["batch_stats"]["block"]["norm"]
    np.testing.assert_allclose(stats["mean"], 0.1 * activations.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * activations.var(axis=0), atol=1e-5)


BROKEN = {**BATCH, "image": np.where(np.arange(16)[:, None, None, None] == 3, np.nan, IMAGES).astype(np.float32)}


@pytest.mark.parametrize("config", [Optimizer("adamw"), Optimizer("sgd", accumulate=2)], ids=lambda c: c.name)
def test_skipping_a_batch_that_is_not_finite_changes_the_step_alone(config):
    model = Net()
    update, start = compiled(model, config, ema=0.8, skip_nonfinite=True), state_of(model, config, ema=True)
    state, _ = update(start, BATCH)
    skipped, sums = update(state, BROKEN)
    assert fingerprint(skipped) == fingerprint(state.replace(step=np.int32(2)))
    assert set(map(float, floats(sums).values())) == {0}
    good, sums = update(skipped, BATCH)
    assert float(sums.finite) == 1
    assert fingerprint(good.params) != fingerprint(state.params) or config.accumulate > 1
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(good))


def test_of_accumulated_steps_the_one_that_is_not_finite_is_left_out_and_the_next_takes_its_place():
    model, config = Net(), Optimizer("sgd", accumulate=2)
    update, start = compiled(model, config, skip_nonfinite=True), state_of(model, config)
    other = images_and_labels(seed=1)
    waiting, _ = run(update, start, [BATCH, BROKEN])
    skipped, _ = run(update, start, [BATCH, BROKEN, other])
    never, _ = run(update, start, [BATCH, other])
    assert fingerprint(waiting.params) == fingerprint(start.params)
    assert fingerprint(never.params) != fingerprint(start.params)
    assert fingerprint(skipped) == fingerprint(never.replace(step=np.int32(3)))


def test_without_skipping_a_batch_that_is_not_finite_is_reported():
    _, (good, bad) = run(compiled(Net()), state_of(Net()), [BATCH, BROKEN])
    assert (good["finite"], bad["finite"]) == (1, 0)


def test_an_infinite_gradient_of_a_finite_loss_is_reported():
    class Root(nn.Module):
        @nn.compact
        def __call__(self, images, train=False):
            offset = self.param("offset", nn.initializers.zeros, (3,))
            return jnp.sqrt(offset) + images.reshape(len(images), -1)[:, :3]

    optimizer = optax.sgd(0.1)
    state = make_state(Root(), optimizer, IMAGES).replace(params={"offset": np.zeros(3, np.float32)})
    _, sums = jax.jit(make_update(Root(), TASK, optimizer))(state, BATCH)
    assert np.isfinite(sums.loss.total)
    assert float(sums.finite) == 0


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


def test_bfloat16_compute_keeps_float32_state_and_nearly_the_same_loss():
    model = Net(dtype=jnp.bfloat16)
    state = state_of(model)
    assert jax.eval_shape(model.apply, state.variables(), IMAGES).dtype == jnp.bfloat16
    new, (sums,) = run(compiled(model), state, [BATCH])
    assert shapes_and_types(new) == shapes_and_types(state)
    assert {leaf.dtype for leaf in jax.tree.leaves(new.variables())} == {np.dtype(np.float32)}
    _, (exact,) = run(compiled(Net()), state, [BATCH])
    assert sums["loss"] == pytest.approx(exact["loss"], rel=0.02)
    assert sums["loss"] != exact["loss"]


def test_a_residual_network_in_bfloat16_keeps_a_float32_state():
    model = zoo.create("cifar_resnet8", dtype=jnp.bfloat16)
    state = jax.eval_shape(lambda: make_state(model, optimizer_of(MOMENTUM), IMAGES, ema=True))
    new, sums = jax.eval_shape(make_update(model, TASK, optimizer_of(MOMENTUM), ema=0.9), state, BATCH)
    assert shapes_and_types(new) == shapes_and_types(state)
    assert {leaf.dtype for leaf in jax.tree.leaves((new.variables(), sums))} == {np.dtype(np.float32)}


def assert_remat_changes_nothing(plain, remat, batch):
    state = make_state(plain, optimizer_of(MOMENTUM), batch["image"])
    first, (one,) = run(compiled(plain), state, [batch])
    second, (two,) = run(compiled(remat), state, [batch])
    assert one == pytest.approx(two, rel=1e-6)
    assert_close(first.variables(), second.variables(), 1e-5)
    steps = [jax.make_jaxpr(make_update(model, TASK, optax.sgd(0.1))) for model in (plain, remat)]
    state = make_state(plain, optax.sgd(0.1), batch["image"])
    assert ["remat" in str(step(state, batch)) for step in steps] == [False, True]  # it really computes twice


def test_remat_changes_neither_the_loss_nor_the_new_parameters():
    assert_remat_changes_nothing(Net(dropout=0.5), Net(dropout=0.5, remat=True), BATCH)


@pytest.mark.slow
def test_remat_changes_nothing_in_a_residual_network():
    plain, remat = (zoo.create("cifar_resnet8", num_classes=3, remat=remat) for remat in (False, True))
    assert_remat_changes_nothing(plain, remat, BATCH)


def test_evaluation_uses_running_statistics_and_no_dropout():
    model = Net(dropout=0.5)
    state, _ = compiled(model)(state_of(model), BATCH)
    totals = jax.jit(make_evaluate(model, TASK))(state.variables(), {**BATCH, "mask": np.arange(16) < 5})
    predictions = jax.jit(make_predict(model, TASK))(state.variables(), {"image": IMAGES})
    params, stats = jax.device_get((state.params, state.model_state["batch_stats"]["block"]["norm"]))
    x = IMAGES.reshape(16, -1) @ params["first"]["kernel"] + params["first"]["bias"]
    x = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * params["block"]["norm"]["scale"] + params["block"]["norm"][
        "bias"
    ]
    logits = np.maximum(x, 0) @ params["last"]["kernel"] + params["last"]["bias"]
    np.testing.assert_allclose(predictions["logits"], logits, atol=1e-5)
    assert float(totals["count"]) == 5
    assert float(totals["correct"]) == np.sum(logits.argmax(axis=1)[:5] == BATCH["label"][:5])


def test_a_task_of_dictionaries_trains_and_evaluates_unchanged():
    model, task, optimizer = Boxes(), Detection(), optax.sgd(0.3)
    batch = detection_batch()
    state = make_state(model, optimizer, *task.inputs(batch))
    update = jax.jit(make_update(model, task, optimizer, skip_nonfinite=True, ema=None))
    state, collected = run(update, state, [batch] * 20)
    assert collected[0]["confusion"].shape == (3, 3)
    assert collected[-1]["loss"] < 0.7 * collected[0]["loss"]
    assert collected[0]["boxes"] == collected[0]["weight"] == batch["objects"]["valid"].sum()
    totals = jax.jit(make_evaluate(model, task))(state.variables(), {**batch, "mask": np.arange(16) < 10})
    predictions = jax.jit(make_predict(model, task))(state.variables(), batch)
    assert totals["boxes"] == totals["confusion"].sum() == batch["objects"]["valid"][:10].sum()
    assert {name: leaf.shape for name, leaf in predictions.items()} == {"boxes": (16, 3, 4), "masks": (16, 3, 3, 3)}
    assert 0 <= task.scores(jax.device_get(totals))["error"] <= 1


class Twice(OneForward):
    """Calls the model twice with other dropout, and draws a number of its own: what a plain task does not."""

    def loss(self, apply, params, batch, keys):
        first, state = apply(params, batch["image"])
        second, state = apply(params, batch["image"], state=state, key=jax.random.fold_in(keys.dropout, 1))
        noise = jax.random.uniform(keys.task)
        difference = jnp.sum((first - second) ** 2) + 0 * noise
        totals = {"count": jnp.float32(len(first)), "difference": difference, "noise": noise}
        return Ratio(jnp.sum(first**2) + difference, jnp.float32(len(first))), Aux(totals, state)

    def objective(self, outputs, batch): ...

    def totals(self, outputs, batch): ...

    def decode(self, outputs): ...


def test_a_task_may_call_the_model_several_times_and_draw_from_its_key():
    model, optimizer = Net(dropout=0.5), optax.sgd(0.1)
    state = make_state(model, optimizer, IMAGES)
    update = jax.jit(make_update(model, Twice(), optimizer))
    new, sums = update(state, BATCH)
    _, sums_later = update(new, BATCH)
    assert float(sums.totals["difference"]) > 0
    assert float(sums.totals["noise"]) != float(sums_later.totals["noise"])
    mean, once = (s.model_state["batch_stats"]["block"]["norm"]["mean"] for s in (new, update_once(state)))
    np.testing.assert_allclose(mean, once + 0.9 * once, rtol=1e-4)  # the statistics moved twice


def update_once(state):
    return compiled(Net(dropout=0.5))(state.replace(opt_state=state_of(Net(dropout=0.5)).opt_state), BATCH)[0]


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


def test_a_batch_without_any_weight_moves_nothing():
    model, task, optimizer = Boxes(), Detection(), optax.sgd(0.1)
    batch = detection_batch()
    batch["objects"]["valid"] = np.zeros((16, 3), bool)
    state = make_state(model, optimizer, *task.inputs(batch))
    new, sums = jax.jit(make_update(model, task, optimizer))(state, batch)
    assert (float(sums.loss.total), float(sums.loss.weight), float(sums.finite)) == (0, 0, 1)
    assert fingerprint(new.params) == fingerprint(state.params)
