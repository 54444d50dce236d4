"""Frozen layers stay to the bit, their statistics too, and cost nothing on the way back."""

import jax
import numpy as np
import optax
import pytest

import zoo
from tests.train.small import TASK, ConvNet, Net, images_and_labels, make_state, steps
from train.config import Optimizer
from train.engine import transfer
from train.engine.optim import has_moved, make_optimizer
from train.engine.state import fingerprint
from train.engine.step import make_update

random = np.random.default_rng(0)
PARAMS = {
    "stem": {"kernel": random.normal(size=(3, 4)).astype(np.float32), "bias": np.ones(4, np.float32)},
    "head": {"kernel": random.normal(size=(4, 2)).astype(np.float32)},
}
GRADS = [jax.tree.map(lambda p: random.normal(size=p.shape).astype(np.float32), PARAMS) for _ in range(3)]
ALL_BUT_HEAD = ("*", "!head/*")
BATCH = {**images_and_labels(), "image": random.normal(size=(16, 8, 8, 3)).astype(np.float32)}
CONVNET = ("conv1/*", "norm1/*")


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        ((), []),
        (("stage1/*",), ["stage1/block1/conv1/kernel", "stage1/block1/norm1/scale"]),
        (("*norm*",), ["stage1/block1/norm1/scale"]),
        (("*", "!head/*", "!stage2/*"), ["stem/kernel", "stage1/block1/conv1/kernel", "stage1/block1/norm1/scale"]),
        (("stage[12]/*", "!*/norm?/*"), ["stage1/block1/conv1/kernel", "stage2/kernel"]),
        (("!head/*", "head/kernel"), ["head/kernel"]),
    ],
)
def test_the_last_pattern_that_fits_decides(patterns, frozen):
    paths = ("stem/kernel", "stage1/block1/conv1/kernel", "stage1/block1/norm1/scale", "stage2/kernel", "head/kernel")
    assert [path for path in paths if transfer.is_frozen(path, patterns)] == frozen


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lars", "lamb", "muon"])
def test_with_frozen_layers_the_others_move_as_if_they_were_alone_and_nothing_else_is_remembered(name):
    config = Optimizer(name, weight_decay=0.1, clip_norm=1.0, decay_all=True)
    schedule = optax.constant_schedule(0.1)
    whole, state = steps(
        make_optimizer(config, schedule, lambda moves: transfer.only_moving(moves, ("stem/*",))), PARAMS, GRADS
    )
    head = {"head": PARAMS["head"]}
    alone, alone_state = steps(make_optimizer(config, schedule), head, [{"head": grad["head"]} for grad in GRADS])
    jax.tree.map(np.testing.assert_array_equal, whole["stem"], PARAMS["stem"])
    np.testing.assert_allclose(whole["head"]["kernel"], alone["head"]["kernel"], rtol=1e-6)
    remembered = [leaf.shape for leaf in jax.tree.leaves(state)]
    assert sorted(remembered) == sorted(leaf.shape for leaf in jax.tree.leaves(alone_state))


def test_accumulation_comes_around_what_is_frozen():
    config = Optimizer("sgd", accumulate=3, weight_decay=0.0)
    optimizer = make_optimizer(
        config, optax.constant_schedule(0.1), lambda moves: transfer.only_moving(moves, ("stem/*",))
    )
    moved, state = steps(optimizer, PARAMS, GRADS)
    assert bool(has_moved(state))
    mean = np.mean([grad["head"]["kernel"] for grad in GRADS], axis=0)
    np.testing.assert_allclose(moved["head"]["kernel"], PARAMS["head"]["kernel"] - 0.1 * mean, rtol=1e-5)


def test_patterns_that_fit_nothing_or_leave_nothing_are_refused():
    transfer.check_patterns(PARAMS, ALL_BUT_HEAD)
    with pytest.raises(ValueError, match=r"no parameter fits 'stme/\*': they begin with head, stem"):
        transfer.check_patterns(PARAMS, ("stme/*",))
    with pytest.raises(ValueError, match="leaves no parameter that moves"):
        transfer.check_patterns(PARAMS, ("*",))


@pytest.fixture(scope="module")
def convnet():
    """A network whose first half is frozen, before and after three steps of training."""
    model = ConvNet()
    optimizer = make_optimizer(
        Optimizer("sgd", weight_decay=0.1), optax.constant_schedule(0.1), lambda m: transfer.only_moving(m, CONVNET)
    )
    before = make_state(model, optimizer, BATCH["image"])
    before = before.replace(model_state=jax.tree.map(lambda s: s + 0.5, before.model_state))
    update = jax.jit(make_update(model, TASK, optimizer, freeze=CONVNET))
    after = before
    for _ in range(3):
        after, sums = update(after, BATCH)
    assert np.isfinite(sums.loss.total)
    return model, before, jax.device_get(after)


def test_frozen_layers_and_their_statistics_stay_to_the_bit_while_the_others_move(convnet):
    _, before, after = convnet
    for name in ("conv1", "norm1"):
        assert fingerprint(after.params[name]) == fingerprint(before.params[name])
        assert fingerprint(after.params[name.replace("1", "2")]) != fingerprint(before.params[name.replace("1", "2")])
    assert fingerprint(after.model_state["batch_stats"]["norm1"]) == fingerprint(
        before.model_state["batch_stats"]["norm1"]
    )
    moved = jax.tree.map(
        lambda a, b: np.all(a != b), after.model_state["batch_stats"], before.model_state["batch_stats"]
    )
    assert all(moved["norm2"].values())


def test_a_frozen_norm_takes_its_running_statistics_in_training(convnet):
    """By hand: what the second convolution sees is normalised by what the first norm has stored."""
    model, before, _ = convnet
    variables = jax.device_get(before.variables())

    def seen_by_the_second(freeze):
        with transfer.kept_statistics(freeze):
            _, state = model.apply(
                variables,
                BATCH["image"],
                train=True,
                mutable=["batch_stats", "intermediates"],
                capture_intermediates=True,
            )
        return np.asarray(state["intermediates"]["norm1"]["__call__"][0])

    conv = zoo.nn.Conv(16, (3, 3), strides=2, padding=1, use_bias=False)
    x = np.asarray(conv.apply({"params": variables["params"]["conv1"]}, BATCH["image"]), np.float64)
    norm, stored = variables["params"]["norm1"], variables["batch_stats"]["norm1"]
    expected = (x - stored["mean"]) / np.sqrt(stored["var"] + 1e-5) * norm["scale"] + norm["bias"]
    np.testing.assert_allclose(seen_by_the_second(CONVNET), expected, atol=1e-4)
    of_batch = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5) * norm["scale"] + norm["bias"]
    np.testing.assert_allclose(seen_by_the_second(()), of_batch, atol=1e-3)


def test_a_recomputed_block_is_frozen_too():
    model = Net(remat=True)
    optimizer = optax.sgd(0.1)
    before = make_state(model, optimizer, images_and_labels()["image"])
    after, _ = jax.jit(make_update(model, TASK, optimizer, freeze=("block/*",)))(before, images_and_labels())
    assert fingerprint(after.model_state) == fingerprint(before.model_state)
    assert fingerprint(after.params["block"]) == fingerprint(before.params["block"])
    assert fingerprint(after.params["first"]) != fingerprint(before.params["first"])


def test_nothing_is_computed_on_the_way_back_to_frozen_layers():
    model, optimizer = ConvNet(), optax.sgd(0.1)
    state = jax.eval_shape(lambda: make_state(model, optimizer, BATCH["image"]))

    def flops(freeze):
        update = make_update(model, TASK, optimizer, freeze=freeze)
        return jax.jit(update).lower(state, BATCH).cost_analysis()["flops"]

    assert flops(("*", "!head/*")) < 0.55 * flops(())
