"""Optimisers against their papers' formulas in numpy, and schedules at the points where their value is known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets import families
from train.config import Optimizer, RecipeError, Schedule
from train.engine.optim import decay_mask, has_moved, make_optimizer, make_schedule, scaled, with_factor
from zoo.names import UnknownNameError

NAMES = ("sgd", "adam", "adamw", "lars", "lamb", "muon")
random = np.random.default_rng(0)
PARAMS = {
    "kernel": random.normal(size=(3, 3, 2, 4)).astype(np.float32),
    "bias": random.normal(size=4).astype(np.float32),
}
GRADS = [jax.tree.map(lambda p: random.normal(size=p.shape).astype(np.float32), PARAMS) for _ in range(3)]
RATES = (0.1, 0.05, 0.2)


def changing_rate(count):
    return jnp.asarray(RATES)[count]


def run(config, schedule=changing_rate, grads=GRADS):
    """The parameters after a step with each gradient."""
    optimizer = make_optimizer(config, schedule)

    @jax.jit
    def step(params, state, grad):
        updates, state = optimizer.update(grad, state, params)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, optimizer.init(PARAMS)
    for grad in grads:
        params, state = step(params, state, grad)
    return jax.device_get(params)


def by_hand(rule, decayed=("kernel",)):
    """The same, leaf by leaf: `rule(parameter, gradient, memory, rate, t, decays) -> (parameter, memory)`."""
    result = {}
    for name, value in PARAMS.items():
        value, memory = value.astype(np.float64), None
        for t, (grads, rate) in enumerate(zip(GRADS, RATES, strict=True), start=1):
            value, memory = rule(value, grads[name].astype(np.float64), memory, rate, t, name in decayed)
        result[name] = value
    return result


def assert_close(found, expected, tolerance=1e-5):
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


def sgd_as_torch(momentum, nesterov, decay):
    """torch.optim.SGD: decay joins the gradient, the buffer does not know the rate."""

    def rule(p, g, buffer, rate, t, decays):
        g = g + decay * p * decays
        buffer = g if t == 1 else momentum * buffer + g
        return p - rate * (g + momentum * buffer if nesterov else buffer), buffer

    return rule


def adam(coupled, decoupled, b1=0.8, b2=0.95, epsilon=1e-8):
    """Kingma and Ba (2015), algorithm 1; the decay of Loshchilov and Hutter (2019), algorithm 2."""

    def rule(p, g, memory, rate, t, decays):
        g = g + coupled * p * decays
        m, v = memory or (0.0, 0.0)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        step = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + epsilon)
        return p - rate * (step + decoupled * p * decays), (m, v)

    return rule


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_couples_decay_and_momentum_as_torch_does(nesterov):
    config = Optimizer("sgd", momentum=0.9, nesterov=nesterov, weight_decay=0.1)
    assert_close(run(config), by_hand(sgd_as_torch(0.9, nesterov, 0.1)))


def test_momentum_zero_is_plain_gradient_descent():
    config = Optimizer("sgd", momentum=0.0, weight_decay=0.0)
    assert_close(run(config), by_hand(lambda p, g, _, rate, *rest: (p - rate * g, None)))


def test_decay_all_also_decays_biases():
    config = Optimizer("sgd", momentum=0.0, weight_decay=0.1, decay_all=True)
    assert_close(run(config), by_hand(sgd_as_torch(0.0, False, 0.1), decayed=("kernel", "bias")))


@pytest.mark.parametrize(
    ("patterns", "decayed"), [(("*bias",), ("bias",)), (("*", "!*kernel"), ("bias",)), (("*",), ("kernel", "bias"))]
)
def test_decay_only_decays_what_its_patterns_name(patterns, decayed):
    config = Optimizer("sgd", momentum=0.0, weight_decay=0.1, decay_only=patterns)
    assert_close(run(config), by_hand(sgd_as_torch(0.0, False, 0.1), decayed=decayed))


@pytest.mark.parametrize("options", [{"decay_all": True}, {"name": "muon"}])
def test_decay_only_does_not_go_with_decay_all_or_muon(options):
    with pytest.raises(RecipeError, match=r"out of range: optimizer\.decay_only"):
        Optimizer(**{"decay_only": ("*",), **options})


def test_adam_adds_decay_to_the_gradient_and_adamw_to_the_step():
    config = Optimizer("adam", b1=0.8, b2=0.95, weight_decay=0.1)
    assert_close(run(config), by_hand(adam(coupled=0.1, decoupled=0.0)))
    config = dataclasses.replace(config, name="adamw")
    assert_close(run(config), by_hand(adam(coupled=0.0, decoupled=0.1)))


def test_nesterov_changes_adamw():
    config = Optimizer("adamw", nesterov=True)
    assert np.abs(run(config)["bias"] - run(dataclasses.replace(config, nesterov=False))["bias"]).max() > 1e-3


def test_lars_scales_kernels_by_the_trust_ratio_and_leaves_biases():
    """You, Gitman and Ginsburg (2017), algorithm 1, with trust coefficient 0.001."""

    def rule(p, g, memory, rate, t, decays):
        g = g + 0.1 * p * decays
        ratio = 0.001 * np.linalg.norm(p) / np.linalg.norm(g) if decays else 1.0
        memory = 0.9 * (0.0 if memory is None else memory) + rate * ratio * g
        return p - memory, memory

    assert_close(run(Optimizer("lars", momentum=0.9, weight_decay=0.1)), by_hand(rule))


def test_lamb_takes_steps_as_long_as_the_rate_times_the_parameters():
    """You et al. (2020), algorithm 2: the step is scaled to the norm of the parameters."""
    moved = run(Optimizer("lamb", weight_decay=0.1), grads=GRADS[:1])
    for name, before in PARAMS.items():
        np.testing.assert_allclose(np.linalg.norm(moved[name] - before), RATES[0] * np.linalg.norm(before), rtol=1e-5)
        if name == "bias":  # without decay the first step of adam is the gradient's sign
            direction = np.sign(GRADS[0][name])
            expected = before - RATES[0] * np.linalg.norm(before) * direction / np.linalg.norm(direction)
            np.testing.assert_allclose(moved[name], expected, rtol=1e-3)


def test_muon_moves_kernels_by_a_nearly_orthogonal_matrix_and_vectors_as_adam():
    moved = run(Optimizer("muon", momentum=0.0, weight_decay=0.0, b1=0.8, b2=0.95))
    assert_close({"bias": moved["bias"]}, {"bias": by_hand(adam(0.0, 0.0))["bias"]})
    first = run(Optimizer("muon", momentum=0.0, weight_decay=0.0), grads=GRADS[:1])
    step = (PARAMS["kernel"] - first["kernel"]).reshape(18, 4) / RATES[0]
    left, _, right = np.linalg.svd(GRADS[0]["kernel"].reshape(18, 4), full_matrices=False)
    scales = np.diag(left.T @ step @ right.T)
    assert np.all((scales > 0.6) & (scales < 1.3))  # Newton and Schulz's five steps come this close to one
    np.testing.assert_allclose(step, left @ np.diag(scales) @ right, atol=1e-3)


def test_muon_decays_vectors_only_when_all_are_decayed():
    base = Optimizer("muon", weight_decay=0.5)
    still = [jax.tree.map(np.zeros_like, PARAMS)]
    np.testing.assert_array_equal(run(base, grads=still)["bias"], PARAMS["bias"])
    decayed = run(dataclasses.replace(base, decay_all=True), grads=still)
    assert_close(decayed, jax.tree.map(lambda p: p * (1 - 0.1 * 0.5), PARAMS))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_reduces_a_loss(name):
    """Least squares; the loss is half the squared distance to the solution, so its gradient is that distance."""
    rate = {"lars": 2.0, "sgd": 0.1}.get(name, 0.05)
    optimizer = make_optimizer(Optimizer(name, rate, weight_decay=1e-4), optax.constant_schedule(rate))

    def step(carry, _):
        params, state = carry
        grads = jax.tree.map(lambda p, solution: p - solution, params, GRADS[0])
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), optax.tree.norm(grads) ** 2 / 2

    losses = jax.jit(lambda: jax.lax.scan(step, (PARAMS, optimizer.init(PARAMS)), length=50)[1])()
    assert losses[-1] < 0.5 * losses[0]


def test_clipping_scales_the_whole_gradient_down_to_the_norm_and_not_up():
    norm = np.sqrt(sum(np.sum(g**2) for g in GRADS[0].values()))
    config = Optimizer("sgd", momentum=0.0, weight_decay=0.0, clip_norm=0.5)
    clipped = run(config, grads=GRADS[:1])
    assert_close(clipped, {k: PARAMS[k] - RATES[0] * GRADS[0][k] * 0.5 / norm for k in PARAMS})
    small = [jax.tree.map(lambda g: g * 0.01 / norm, GRADS[0])]
    assert_close(run(config, grads=small), {k: PARAMS[k] - RATES[0] * small[0][k] for k in PARAMS}, 1e-6)


def test_accumulating_micro_batches_is_one_batch_of_their_mean():
    config = Optimizer("sgd", momentum=0.9, weight_decay=0.1, clip_norm=1.0)
    pairs = [*GRADS, GRADS[0]]
    means = [jax.tree.map(lambda a, b: (a + b) / 2, pairs[i], pairs[i + 1]) for i in (0, 2)]
    assert_close(run(dataclasses.replace(config, accumulate=2), grads=pairs), run(config, grads=means), 1e-6)


def test_accumulation_says_when_the_parameters_moved():
    optimizer = make_optimizer(Optimizer("sgd", accumulate=3), changing_rate)
    state, moved = optimizer.init(PARAMS), []
    update = jax.jit(optimizer.update)
    for _ in range(6):
        updates, state = update(GRADS[0], state, PARAMS)
        assert bool(has_moved(state)) == bool(np.any(updates["bias"]))
        moved.append(bool(has_moved(state)))
    assert moved == [False, False, True] * 2
    assert has_moved(make_optimizer(Optimizer(), changing_rate).init(PARAMS)) is True


def test_decay_mask_skips_everything_of_one_axis():
    params = {"conv": np.zeros((3, 3, 1, 2)), "dense": np.zeros((2, 2)), "scale": np.zeros(2), "bias": np.zeros(2)}
    assert decay_mask(params) == {"conv": True, "dense": True, "scale": False, "bias": False}


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("convnext_mini", {"scale"}),
        ("vit_mini", {"class_token", "position_embedding"}),
        ("swin_mini", {"table"}),
        ("cifar_resnet8", set()),
        ("mobilenet_v2_tiny", set()),
    ],
)
def test_neither_layer_scale_nor_tokens_nor_positions_are_decayed_or_muons(name, others):
    shapes = families.shapes(zoo.create(name), zoo.describe(name).input_shape)
    params = unflatten_dict({path: leaf for path, leaf in shapes.items() if path.startswith("params/")}, sep="/")
    mask = flatten_dict(decay_mask(params), sep="/")
    assert {path.rpartition("/")[2] for path, decays in mask.items() if decays} == {"kernel"}
    left = {path for path, decays in mask.items() if not decays and shapes[path].ndim > 1}
    assert {path.rpartition("/")[2] for path in left} == others
    state = jax.eval_shape(make_optimizer(Optimizer("muon"), changing_rate).init, params)
    momenta = jax.tree_util.tree_leaves_with_path(state.inner_states["muon"])
    moved = {jax.tree_util.keystr(path[-1:], simple=True) for path, leaf in momenta if leaf.ndim > 1}
    assert moved == {"kernel"}


def values(schedule, peak=2.0, updates=100):
    """The learning rate at every update, and after the last."""
    rate = make_schedule(schedule, peak, updates)
    return np.asarray(jax.jit(jax.vmap(rate))(jnp.arange(updates + 1)))


def test_cosine_falls_to_zero_along_half_a_wave():
    expected = 1 + np.cos(np.pi * np.arange(101) / 100)
    np.testing.assert_allclose(values(Schedule("cosine")), expected, atol=1e-6)


def test_warm_up_is_linear_from_zero_and_the_rest_of_the_run_is_the_schedule():
    warmed = values(Schedule("cosine", warmup=0.2))
    np.testing.assert_allclose(warmed[:20], 2 * np.arange(20) / 20, atol=1e-6)
    np.testing.assert_allclose(warmed[20:], 1 + np.cos(np.pi * np.arange(81) / 80), atol=1e-6)
    np.testing.assert_allclose(values(Schedule("constant", warmup=0.1))[[0, 5, 10, 99]], [0, 1, 2, 2])


def test_steps_fall_at_the_milestones_of_the_whole_run():
    """As torch's MultiStepLR: the rate of an update is peak * factor^(milestones that are not after it)."""
    at = np.arange(101)
    expected = 2 * 0.1 ** ((at >= 50).astype(int) + (at >= 75))
    np.testing.assert_allclose(values(Schedule("step")), expected, rtol=1e-6)
    warmed = values(Schedule("step", warmup=0.1))
    np.testing.assert_allclose(warmed[10:], expected[10:], rtol=1e-6)
    paper = make_schedule(Schedule("step"), 0.1, 64_000)
    found = [float(paper(update)) for update in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    np.testing.assert_allclose(found, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


def test_milestones_that_meet_in_a_short_run_both_count():
    short = values(Schedule("step", milestones=(0.5, 0.6), factor=0.5), updates=2)
    np.testing.assert_allclose(short, [2.0, 0.5, 0.5])


def test_one_cycle_rises_from_a_25th_along_a_cosine_and_falls_to_a_10000th_of_that():
    rise, fall = np.arange(25) / 25, np.arange(76) / 75
    low, end = 2 / 25, 2 / 25 / 1e4
    wave = lambda start, stop, t: stop + (start - stop) * (1 + np.cos(np.pi * t)) / 2  # noqa: E731
    found = values(Schedule("one_cycle", warmup=0.25))
    np.testing.assert_allclose(found[:25], wave(low, 2, rise), rtol=1e-5)
    np.testing.assert_allclose(found[25:], wave(2, end, fall), atol=1e-6)
    assert np.argmax(values(Schedule("one_cycle"))) == 30


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "one_cycle"])
def test_the_shortest_runs_have_rates_between_zero_and_the_peak(name):
    for updates, warmup in ((1, 0.0), (1, 0.9), (2, 0.4), (3, 0.9)):
        rates = values(Schedule(name, warmup=warmup), updates=updates)
        assert np.all((rates >= 0) & (rates <= 2 + 1e-6)), (updates, warmup, rates)


def test_names_that_do_not_exist_are_answered_with_the_nearest():
    nameless = dataclasses.make_dataclass("Nameless", ["name", ("warmup", float, 0.0)])
    with pytest.raises(UnknownNameError, match="no schedule 'cosin'; nearest: cosine"):
        make_schedule(nameless("cosin"), 0.1, 10)
    config = Optimizer()
    object.__setattr__(config, "name", "adamx")
    with pytest.raises(UnknownNameError, match="no optimizer 'adamx'; nearest: adam"):
        make_optimizer(config, changing_rate)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_scaling_what_an_optimizer_says_is_another_learning_rate(name, accumulate):
    config = Optimizer(name, momentum=0.9, weight_decay=0.1, clip_norm=1.0, accumulate=accumulate)
    expected = run(config, lambda count: 0.03 * changing_rate(count))
    optimizer = scaled(make_optimizer(config, changing_rate))
    params, state = PARAMS, with_factor(optimizer.init(PARAMS), 0.03)
    moved = []
    for grad in GRADS:
        updates, state = jax.jit(optimizer.update)(grad, state, params)
        params = optax.apply_updates(params, updates)
        moved.append(bool(has_moved(state)))
    assert moved == ([True] * 3 if accumulate == 1 else [False, True, False])
    assert_close(jax.device_get(params), expected)
