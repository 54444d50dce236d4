"""The step: gradients by hand, the same bits from the same seed, what a bad batch may change, narrow types."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from tests.train.engine.stepping import (
    BATCH,
    IMAGES,
    MOMENTUM,
    assert_close,
    compiled,
    floats,
    optimizer_of,
    run,
    shapes_and_types,
    state_of,
)
from tests.train.small import TASK, Net, images_and_labels, make_state
from train.config import Optimizer
from train.engine.state import fingerprint
from train.engine.step import AUGMENTATION, DROPOUT, make_evaluate, make_predict, make_update, step_key
from train.engine.step import TASK as TASK_DRAWS
from zoo.perceptrons import MLP


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
