"""Transfer: frozen layers stay to the bit, their statistics too; rates fall by layer; weights are where runs begin."""

import dataclasses
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from tests.train import harness
from tests.train.small import TASK, ConvNet, Net, images_and_labels, make_state
from train.config import Augment, Data, Model, Optimizer, Recipe, RecipeError
from train.config.tasks.angles import CosFace
from train.engine import transfer
from train.engine.assemble import assemble
from train.engine.optim import has_moved, make_optimizer
from train.engine.state import fingerprint
from train.engine.step import make_update
from train.store.workdir import Workdir
from zoo.hyperspheres.heads import LearnedDirections

random = np.random.default_rng(0)
PARAMS = {
    "stem": {"kernel": random.normal(size=(3, 4)).astype(np.float32), "bias": np.ones(4, np.float32)},
    "head": {"kernel": random.normal(size=(4, 2)).astype(np.float32)},
}
GRADS = [jax.tree.map(lambda p: random.normal(size=p.shape).astype(np.float32), PARAMS) for _ in range(3)]
ALL_BUT_HEAD = ("*", "!head/*")
BATCH = {**images_and_labels(), "image": random.normal(size=(16, 8, 8, 3)).astype(np.float32)}
CONVNET = ("conv1/*", "norm1/*")


def steps(optimizer, params=PARAMS, grads=GRADS):
    """The parameters after a step with each gradient, and the optimiser's last state."""

    @jax.jit
    def step(params, state, grad):
        updates, state = optimizer.update(grad, state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for grad in grads:
        params, state = step(params, state, grad)
    return jax.device_get(params), state


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
    whole, state = steps(make_optimizer(config, schedule, lambda moves: transfer.only_moving(moves, ("stem/*",))))
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
    moved, state = steps(optimizer)
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


def test_layers_are_counted_in_the_order_of_computation():
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    layer = transfer.layers(zoo.create("cifar_preact_resnet110", depth=20), (image,))
    assert layer["stem/conv/kernel"] == 0
    assert layer["stage1/block1/conv1/kernel"] == layer["stage1/block1/norm2/scale"] == 1
    assert [layer[f"stage{s}/block3/conv2/kernel"] for s in (1, 2, 3)] == [3, 6, 9]
    assert (layer["final_norm/scale"], layer["head/kernel"], layer["head/bias"]) == (10, 11, 11)
    dense = transfer.layers(zoo.create("cifar_densenet_tiny"), (image,))
    assert dense["stem/conv/kernel"] < dense["stage1/layer2/conv1/kernel"] < dense["transition1/conv/kernel"]
    assert dense["transition1/conv/kernel"] < dense["stage2/layer1/conv1/kernel"] < dense["head/kernel"]
    remat = transfer.layers(zoo.create("cifar_preact_resnet110", depth=20, remat=True), (image,))
    assert remat == layer
    transformer = transfer.layers(zoo.create("vit_mini"), (image,))
    assert {transformer[name] for name in ("class_token", "position_embedding", "stem/conv/kernel")} == {0}
    assert transformer["stage1/block1/norm1/scale"] == 1


def test_an_mlp_has_a_layer_a_matrix():
    layer = transfer.layers(zoo.create("mlp", hidden=(8,) * 11, num_classes=3), (jnp.zeros((1, 4, 4, 1)),))
    order = sorted({path.partition("/")[0]: number for path, number in layer.items()}.items(), key=lambda item: item[1])
    assert [number for _, number in order] == list(range(12))
    assert order[-1][0] in ("output", "head")
    numbered = [int("".join(filter(str.isdigit, name))) for name, _ in order[:-1]]
    assert numbered == sorted(numbered)


class Three(nn.Module):
    """A scalar in each of three layers."""

    @nn.compact
    def __call__(self, x):
        for name in ("stem", "middle", "head"):
            x = nn.Dense(1, use_bias=False, name=name)(x)
        return x


@pytest.mark.parametrize("name", ["sgd", "adamw", "lamb"])
def test_rates_fall_by_the_factor_from_layer_to_layer(name):
    """As with an optimiser of its own for each layer, whose rate is that of the layer."""
    config = Optimizer(name, weight_decay=0.1, decay_all=True)
    params = {
        layer: {"kernel": np.full((1, 1), value, np.float32)} for layer, value in zip("abc", (1, -2, 3), strict=True)
    }
    params = dict(zip(("stem", "middle", "head"), params.values(), strict=True))
    grads = [jax.tree.map(lambda p, g=g: g * p**2, params) for g in (0.3, -0.2)]
    optimizer = make_optimizer(
        config,
        optax.constant_schedule(0.1),
        lambda moves: transfer.slower_below(moves, Three(), jnp.zeros((1, 1)), 0.5),
    )
    found, _ = steps(optimizer, params, grads)
    for layer, rate in (("head", 0.1), ("middle", 0.05), ("stem", 0.025)):
        alone = make_optimizer(config, optax.constant_schedule(rate))
        expected, _ = steps(alone, {layer: params[layer]}, [{layer: grad[layer]} for grad in grads])
        np.testing.assert_allclose(found[layer]["kernel"], expected[layer]["kernel"], rtol=1e-5)


MLP = Model("mlp", options=("hidden=(4,)",))


def of_mlp(**changes):
    return Recipe(model=MLP, data=Data(source="digits", limit=40, batch_size=8), steps=2, **changes)


def test_a_run_begins_with_the_weights_of_another_and_a_new_head_where_classes_differ(tmp_path):
    model = assemble(of_mlp()).model
    variables = zoo.init(model, jax.random.key(5), (8, 8, 1))
    file = tmp_path / "model.safetensors"
    zoo.save_weights(variables, file)
    assembly = assemble(of_mlp(weights=str(file)))
    state = assembly.initialise()
    assert fingerprint(state.params) == fingerprint(variables["params"])
    assert fingerprint(assemble(of_mlp()).initialise().params) != fingerprint(variables["params"])
    assert assembly.origin() == {"weights": {"sha256": transfer.digest(file)}}
    assert assemble(of_mlp()).origin() == {}
    average = assemble(of_mlp(weights=str(file), optimizer=Optimizer(ema=0.9))).initialise().ema
    assert fingerprint(average["params"]) == fingerprint(variables["params"])


def test_a_head_for_other_classes_is_drawn_by_the_seed(tmp_path):
    variables = zoo.init(zoo.create("cifar_resnet8", num_classes=7), jax.random.key(1), (8, 8, 1))
    file = tmp_path / "model.safetensors"
    zoo.save_weights(variables, file)
    recipe = Recipe(model=Model("cifar_resnet8"), data=Data(source="digits"), weights=str(file))
    heads = []
    for seed in (0, 0, 1):
        with pytest.warns(UserWarning, match="has a head for 7 classes, the model one for 10: initialised anew"):
            loaded = assemble(dataclasses.replace(recipe, seed=seed)).weights
        np.testing.assert_array_equal(
            loaded["params"]["stem"]["conv"]["kernel"], variables["params"]["stem"]["conv"]["kernel"]
        )
        heads.append(loaded["params"]["head"]["kernel"])
    np.testing.assert_array_equal(heads[0], heads[1])
    assert np.all(heads[0] != heads[2])


def test_weights_that_cannot_be_had_or_do_not_fit_are_refused_by_name(tmp_path):
    with pytest.raises(RecipeError, match=r"weights: expected a file of weights, found none: .*missing\.safetensors"):
        assemble(of_mlp(weights=str(tmp_path / "missing.safetensors"))).weights  # noqa: B018
    zoo.save_weights({"params": {"other": {"kernel": np.zeros((2, 2))}}}, tmp_path / "other.safetensors")
    with pytest.raises(RecipeError, match=r"weights: .*other\.safetensors does not fit"):
        assemble(of_mlp(weights=str(tmp_path / "other.safetensors"))).weights  # noqa: B018


def test_patterns_are_checked_before_a_run_begins():
    with pytest.raises(RecipeError, match=r"freeze: no parameter fits 'stem/\*'"):
        assemble(of_mlp(freeze=("stem/*",)))


@pytest.mark.parametrize("placement", ["jit", "fsdp", "pmap"])
def test_every_placement_starts_from_the_weights(tmp_path, placement):
    file = tmp_path / "model.safetensors"
    variables = zoo.init(assemble(of_mlp()).model, jax.random.key(5), (8, 8, 1))
    zoo.save_weights(variables, file)
    assembly = assemble(of_mlp(weights=str(file), placement=placement))
    state = assembly.placement.to_portable(assembly.initialise())
    assert fingerprint(state.params) == fingerprint(variables["params"])


@pytest.mark.usefixtures("runs")
def test_in_two_commands_a_frozen_backbone_and_then_all_of_it_and_resumed_to_the_bit(
    tmp_path, data, whole, monkeypatch
):
    """`fit --freeze ...`, then `fit --weights runs/.../model.safetensors`, the first interrupted on its way."""
    backbone = Workdir(whole[0]).weights
    frozen = harness.recipe(
        data, weights=str(backbone), freeze=("*", "!dense/*"), augment=Augment(mean=(0.3,), std=(0.2,)), seed=3
    )
    entire = harness.run(frozen, tmp_path / "entire")
    trained = Workdir(tmp_path / "entire").weights
    for name, array in safetensors(backbone).items():
        same = np.array_equal(array, safetensors(trained)[name])
        assert same == ("dense" not in name), name
    card = json.loads((tmp_path / "entire" / "recipe.json").read_text())
    assert card["weights"]["sha256"] == transfer.digest(backbone)
    transfer.check_origin(frozen, card)
    with pytest.raises(RecipeError, match="is not what the run began with: expected sha256 abc, got"):
        transfer.check_origin(frozen, {"weights": {"sha256": "abc"}})

    advance = harness.MemoryFeed.advance
    harness.signal_at(monkeypatch, harness.MemoryFeed, "advance", harness.signal.SIGINT, call=11)
    assert harness.run(frozen, tmp_path / "parts").fingerprint is None
    monkeypatch.setattr(harness.MemoryFeed, "advance", advance)
    resumed = harness.run(frozen, tmp_path / "parts", resume=True)
    assert resumed.fingerprint == entire.fingerprint

    tuned = dataclasses.replace(frozen, weights=str(trained), freeze=(), optimizer=Optimizer("adam", layer_decay=0.5))
    outcome = harness.run(tuned, tmp_path / "tuned")
    assert outcome.metrics["accuracy"] > 0.9
    changed = safetensors(Workdir(tmp_path / "tuned").weights)
    assert all(np.any(changed[name] != array) for name, array in safetensors(trained).items())


def safetensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


@pytest.mark.usefixtures("runs")
def test_a_task_with_layers_of_its_own_begins_with_the_networks_weights_and_draws_its_own(whole, data):
    assembly = assemble(harness.recipe(data, task=CosFace(dims=4), weights=str(whole[0] / "model.safetensors")))
    expected = zoo.load_weights("tiny", whole[0] / "model.safetensors")
    found = assembly.weights
    for collection, tree in expected.items():
        jax.tree.map(np.testing.assert_array_equal, found[collection]["backbone"], tree)
    (own,) = found["params"].keys() - {"backbone"}
    drawn = jax.jit(assembly.make_state)().params
    jax.tree.map(np.testing.assert_array_equal, found["params"][own], drawn[own])
    assert fingerprint(drawn["backbone"]) != fingerprint(found["params"]["backbone"])


def test_blocks_of_a_network_that_is_part_of_another_count_as_alone_and_what_is_beside_it_is_on_top():
    alone, image = zoo.create("cifar_resnet8", num_classes=4), jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    expected = transfer.layers(alone, (image,))
    found = transfer.layers(LearnedDirections(alone, 3), (image,), part="backbone")
    assert found.pop("directions") == max(expected.values()) + 1
    assert {path.removeprefix("backbone/"): number for path, number in found.items()} == expected
