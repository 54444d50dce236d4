"""RNN, LSTM and GRU beside torch's: outputs, last states and every gradient, of padded sequences too."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sequences.goldens import recurrent as given
from zoo.sequences import GRU, LSTM, RNN, LSTMState
from zoo.weights import WeightsError
from zoo.weights.recurrent import from_torch, to_torch

KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}

QUICK = ("rnn relu", "lstm deep", "gru deep")
"""The others are slow: a program each, of what the deep ones have too, or `test_slides.py` of one without biases."""

of_every_layer = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in given.LAYERS]
)


@functools.cache
def golden():
    with np.load(Path(__file__).parent / "goldens" / "recurrent.npz") as file:
        return dict(file)


def of(name, beginning=""):
    """What the file holds of a layer, below a beginning of names."""
    start = f"{name}/{beginning}"
    return {key.removeprefix(start): array for key, array in golden().items() if key.startswith(start)}


def torch_weights(name):
    return {key: given.weight(key, *array.shape) for key, array in of(name, "gradient/").items() if "_l" in key}


def model_of(name):
    settings = given.LAYERS[name]
    options = {key: settings[key] for key in ("num_layers", "bidirectional") if key in settings}
    if "nonlinearity" in settings:
        options["activation"] = settings["nonlinearity"]
    return KINDS[settings["kind"]](given.HIDDEN, use_bias=settings.get("bias", True), **options)


def as_state(arrays):
    """Torch's (layers * directions, batch, hidden) as ours."""
    return tuple(LSTMState(*each) if len(each) > 1 else each[0] for each in zip(*arrays, strict=True))


@functools.cache
def compared(name):
    """Outputs, last states, and gradients by torch's names."""
    model, lengths = model_of(name), given.LAYERS[name].get("lengths")
    expected = of(name)
    slopes = given.slopes(f"outputs of {name}", *expected["outputs"].shape)
    of_last = as_state([given.slopes(f"{part} of {name}", *expected[part].shape) for part in "hc" if part in expected])

    @jax.jit
    def run(params, inputs, initial):
        def outcome(params, inputs, initial):
            return model.apply(
                {"params": params},
                inputs,
                initial=initial,
                lengths=None if lengths is None else jnp.array(lengths),
            )

        (last, outputs), back = jax.vjp(outcome, params, inputs, initial)
        return last, outputs, back((of_last, jnp.asarray(slopes)))

    params = from_torch(torch_weights(name))
    last, outputs, gradients = run(params, given.inputs(name), as_state(given.states(name)))
    return last, outputs, gradients


def stacked(state):
    """Our states as torch's arrays by name."""
    each = [part if isinstance(part, tuple) else (part,) for part in state]
    return {name: np.stack(parts) for name, parts in zip("hc", zip(*each, strict=True), strict=False)}


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6 * max(1, np.abs(expected).max()))


@of_every_layer
def test_outputs_and_last_states_are_torchs(name):
    last, outputs, _ = compared(name)
    close(outputs, golden()[f"{name}/outputs"])
    for part, state in stacked(last).items():
        close(state, golden()[f"{name}/{part}"])


@of_every_layer
def test_gradients_of_inputs_and_first_states_are_torchs(name):
    _, _, (_, inputs, initial) = compared(name)
    close(inputs, golden()[f"{name}/gradient/inputs"])
    for part, state in stacked(initial).items():
        close(state, golden()[f"{name}/gradient/{part}"])


@of_every_layer
def test_gradients_of_all_weights_are_torchs(name):
    _, _, (params, _, _) = compared(name)
    expected = {key: array for key, array in of(name, "gradient/").items() if "_l" in key}
    # Torch's two biases have one gradient; but for the candidate of a GRU, whose second one has its own.
    ours = to_torch(jax.device_get(params))
    assert ours.keys() == expected.keys()
    for key, array in expected.items():
        if not key.startswith("bias_hh"):
            close(ours[key], array)
        elif given.LAYERS[name]["kind"] == "GRU":
            close(ours[key][-given.HIDDEN :], array[-given.HIDDEN :])


@pytest.mark.parametrize("name", given.LAYERS)
def test_weights_go_to_torch_and_back(name):
    params = from_torch(torch_weights(name))
    back = from_torch(to_torch(params))
    jax.tree.map(np.testing.assert_array_equal, back, params)
    shapes = jax.eval_shape(lambda: model_of(name).init(jax.random.key(0), given.inputs(name)))["params"]
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, shapes)


def test_what_is_no_recurrent_layer_is_refused_with_all_that_is_wrong():
    with pytest.raises(WeightsError, match=r"conv1\.weight"):
        from_torch({"conv1.weight": np.ones((4, 3))})
    with pytest.raises(WeightsError, match="nothing in it"):
        from_torch({})
    weights = torch_weights("gru")
    with pytest.raises(WeightsError, match="layer1: weight_hh is missing"):
        from_torch({name: array for name, array in weights.items() if name != "weight_hh_l0"})
    with pytest.raises(WeightsError, match="layer1: bias_hh is missing"):
        from_torch({name: array for name, array in weights.items() if name != "bias_hh_l0"})
    with pytest.raises(WeightsError, match=r"1, 3 or 4 rows a hidden unit, got weight_hh \(12, 6\)"):
        from_torch({**weights, "weight_hh_l0": np.ones((12, 6))})
    with pytest.raises(WeightsError, match="params: expected layer1, layer2_backward or the like"):
        to_torch({"params": from_torch(weights)})
    deep = torch_weights("gru deep")
    for change, message in (
        ({"weight_hh_l0": None, "weight_ih_l0": None, "bias_ih_l0": None, "bias_hh_l0": None}, "layer1: all of it is"),
        ({name: None for name in deep if name.endswith("l1_reverse")}, "layer2_backward: all of it is missing"),
        ({"weight_ih_l1": np.ones((12, 4))}, r"layer2: expected weight_ih \(12, 8\), got \(12, 4\)"),
        ({"weight_ih_l0_reverse": np.ones((12, 2))}, r"layer1_backward: expected weight_ih \(12, 3\), got \(12, 2\)"),
        (
            {name: None for name in deep if name.startswith("bias") and name.endswith("l1")},
            "layer2: expected biases in",
        ),
    ):
        with pytest.raises(WeightsError, match=message):
            from_torch({name: array for name, array in {**deep, **change}.items() if array is not None})
    with pytest.raises(WeightsError, match=r"expected 12 values, got bias_hh \(4,\)"):
        from_torch({**weights, "bias_hh_l0": np.ones(4)})
