"""The slides' RNN and LSTM: the formulas in numpy, torch's layers, and the modules."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sequences.goldens import recurrent as given
from zoo.perceptrons import forward
from zoo.sequences import (
    LSTM,
    RNN,
    EmptySequenceError,
    LSTMTrace,
    SlideLSTM,
    SlideLSTMCarry,
    SlideLSTMParams,
    SlideRNN,
    SlideRNNParams,
    init_slide_lstm,
    init_slide_rnn,
    plot_trace,
    slide_lstm,
    slide_lstm_step,
    slide_lstm_trace,
    slide_rnn,
    slide_rnn_step,
    unrolled_rnn,
    zero_carry,
)
from zoo.weights.recurrent import from_torch

INPUTS, HIDDEN, OUTPUTS, STEPS = 3, 5, 2, 7
run_rnn, run_lstm = jax.jit(slide_rnn), jax.jit(slide_lstm)
"""One program for each shape."""


def close(ours, expected, tolerance=1e-6):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)


def drawn(kind, **shapes):
    random = np.random.default_rng(0)
    return kind(**{name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


@pytest.fixture(scope="module")
def rnn():
    return drawn(SlideRNNParams, U=(HIDDEN, INPUTS), W=(HIDDEN, HIDDEN), V=(OUTPUTS, HIDDEN), b=(HIDDEN,))


@pytest.fixture(scope="module")
def lstm():
    rows = {"U": INPUTS, "W": HIDDEN}
    return drawn(SlideLSTMParams, **{name: (rows[name[0]], HIDDEN) for name in SlideLSTMParams._fields})


@pytest.fixture(scope="module")
def steps():
    return np.random.default_rng(1).normal(size=(STEPS, INPUTS)).astype(np.float32)


def test_the_rnn_is_the_slides_formula(rnn, steps):
    memory = first = np.linspace(-1, 1, HIDDEN, dtype=np.float32)
    memories, outputs = [], []
    for x in steps:
        memory = rnn.W @ np.tanh(memory) + rnn.U @ x + rnn.b
        memories.append(memory)
        outputs.append(rnn.V @ np.tanh(memory))
    last, found = run_rnn(rnn, first, steps)
    close(found, outputs, 1e-5)
    close(last, memories[-1], 1e-5)
    after, output = slide_rnn_step(rnn, memories[2], steps[3])
    close(after, memories[3], 1e-5)
    close(output, outputs[3], 1e-5)


def test_the_lstm_is_the_slides_formula(lstm, steps):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    carry = first = SlideLSTMCarry(np.linspace(-1, 1, HIDDEN, dtype=np.float32), np.full(HIDDEN, 0.3, np.float32))
    outputs = []
    trace = slide_lstm_trace(lstm, first, steps)
    for time, x in enumerate(steps):
        c, m = carry
        gates = {g: x @ getattr(lstm, f"U_{g}") + m @ getattr(lstm, f"W_{g}") for g in "ifog"}
        i, f, o = (sigmoid(gates[g]) for g in "ifo")
        candidate = np.tanh(gates["g"])
        c = c * f + candidate * i
        carry = SlideLSTMCarry(c, np.tanh(c) * o)
        outputs.append(carry.m)
        for name, value in {"i": i, "f": f, "o": o, "candidate": candidate, "c": c, "m": carry.m}.items():
            close(getattr(trace, name)[time], value, 1e-5)
    last, found = run_lstm(lstm, first, steps)
    close(found, outputs, 1e-5)
    close(last.c, carry.c, 1e-5)
    close(last.m, carry.m, 1e-5)


def test_the_lstm_is_torchs_without_biases():
    with np.load(Path(__file__).parent / "goldens" / "recurrent.npz") as file:
        name = "lstm without biases"
        weights = {
            key: given.weight(key, *file[f"{name}/gradient/{key}"].shape) for key in ("weight_ih_l0", "weight_hh_l0")
        }
        expected = file[f"{name}/outputs"][1]  # the sequence that is as long as all steps
    layer = from_torch(weights)["layer1"]
    parts = [np.split(layer[kernel], 4, axis=1) for kernel in ("input_kernel", "hidden_kernel")]
    params = SlideLSTMParams(*parts[0], *parts[1])  # E25; i, f, o, g in both
    h, c = given.states(name)
    _, outputs = slide_lstm(params, SlideLSTMCarry(c[0, 1], h[0, 1]), given.inputs(name)[1])
    close(outputs, expected, 2e-6)


def test_the_rnns_memory_is_the_layers_before_tanh(rnn, steps):
    layer = {"input_kernel": rnn.U.T, "hidden_kernel": rnn.W.T, "bias": rnn.b}
    (last,), hidden = RNN(HIDDEN).apply({"params": {"layer1": layer}}, steps[None])
    memory, outputs = run_rnn(rnn, np.zeros(HIDDEN, np.float32), steps)
    close(last[0], np.tanh(memory), 1e-5)
    close(outputs, hidden[0] @ rnn.V.T, 1e-5)


def test_the_lstm_layer_without_biases_is_the_slides(lstm, steps):
    kernels = [jnp.concatenate([getattr(lstm, f"{matrix}_{gate}") for gate in "ifog"], axis=1) for matrix in "UW"]
    layer = dict(zip(("input_kernel", "hidden_kernel"), kernels, strict=True))
    (last,), hidden = LSTM(HIDDEN, use_bias=False).apply({"params": {"layer1": layer}}, steps[None])
    carry, outputs = run_lstm(lstm, zero_carry(lstm, ()), steps)
    close(hidden[0], outputs)
    close(last.c[0], carry.c)


def test_the_modules_are_the_functions(rnn, lstm, steps):
    batch = np.stack([steps, -steps])

    def twice(params, model):
        """From the beginning, and once more from where that ended."""
        last, outputs = model.apply({"params": params}, batch)
        return last, outputs, model.apply({"params": params}, batch, last)[0]

    memory, outputs, again = jax.jit(lambda: twice(rnn._asdict(), SlideRNN(HIDDEN, OUTPUTS)))()
    last, expected = run_rnn(rnn, np.zeros((2, HIDDEN), np.float32), batch)
    close(outputs, expected)
    close(memory, last)
    close(again, run_rnn(rnn, last, batch)[0])

    carry, outputs, again = jax.jit(lambda: twice(lstm._asdict(), SlideLSTM(HIDDEN)))()
    last, expected = run_lstm(lstm, zero_carry(lstm, (2,)), batch)
    close(outputs, expected)
    close(carry.c, last.c)
    close(again.c, run_lstm(lstm, last, batch)[0].c)


def test_the_modules_parameters_have_the_slides_names_and_shapes(rnn, lstm, steps):
    for model, params in ((SlideRNN(HIDDEN, OUTPUTS), rnn), (SlideLSTM(HIDDEN), lstm)):
        shapes = jax.eval_shape(lambda model=model: model.init(jax.random.key(0), steps))["params"]
        assert {name: leaf.shape for name, leaf in shapes.items()} == {
            name: array.shape for name, array in params._asdict().items()
        }


def test_matrices_are_drawn_as_torch_draws_a_linear_layers():
    key = jax.random.key(0)
    rnn, lstm = init_slide_rnn(key, 400, 100, 100), init_slide_lstm(key, 400, 100)
    assert (rnn.U.shape, lstm.U_f.shape) == ((100, 400), (400, 100))
    for matrix, inputs in ((rnn.U, 400), (rnn.W, 100), (rnn.V, 100), (lstm.U_f, 400), (lstm.W_g, 100)):
        assert np.abs(matrix).max() <= inputs**-0.5
        np.testing.assert_allclose(np.std(matrix), (3 * inputs) ** -0.5, rtol=0.03)
    assert not rnn.b.any()


def test_a_batch_is_its_sequences_one_by_one(lstm, steps):
    batch = np.stack([steps, 2 * steps])
    _, outputs = run_lstm(lstm, zero_carry(lstm, (2,)), batch)
    for sequence, found in zip(batch, outputs, strict=True):
        close(found, run_lstm(lstm, zero_carry(lstm, ()), sequence)[1])


def test_steps_do_not_see_what_comes_later(rnn, steps):
    changed = steps.copy()
    changed[4:] = 0
    before, after = (run_rnn(rnn, np.zeros(HIDDEN, np.float32), each)[1] for each in (steps, changed))
    np.testing.assert_array_equal(before[:4], after[:4])
    assert np.abs(before[4:] - after[4:]).max() > 0.1


def test_an_open_forget_gate_keeps_the_cell_state_and_a_closed_one_drops_it():
    params = SlideLSTMParams(*(np.zeros((1, 1), np.float32) for _ in range(8)))
    carry = SlideLSTMCarry(np.array([2.0]), np.array([0.0]))
    for forget, kept in ((40, 2.0), (-40, 0.0)):
        gates = params._replace(U_f=np.full((1, 1), forget))
        (c, _), _ = slide_lstm_step(gates, carry, np.ones(1))
        close(c, [kept])


def test_an_rnn_is_a_perceptron_whose_layers_share_their_parameters(rnn):
    """With an input at the first step alone, beside the chapter on perceptrons."""
    x = np.random.default_rng(2).normal(size=INPUTS).astype(np.float32)
    inputs = np.zeros((STEPS, INPUTS), np.float32)
    inputs[0] = x
    _, outputs = run_rnn(rnn, np.zeros(HIDDEN, np.float32), inputs)
    layers = [(rnn.U.T, rnn.b), *((STEPS - 1) * [(rnn.W.T, rnn.b)]), (rnn.V.T, np.zeros(OUTPUTS))]
    expected, _ = forward(layers, x, "tanh")
    close(outputs[-1], expected, 1e-5)


def test_written_out_it_gives_the_same_and_its_gradient_is_the_sum_of_the_layers(rnn, steps):
    first = jnp.linspace(-0.5, 0.5, HIDDEN)
    weights = np.random.default_rng(3).normal(size=(STEPS, OUTPUTS))

    def loss(network, params):
        return (network(params, first, steps)[1] * weights).sum()

    value, together = jax.jit(jax.value_and_grad(lambda params: loss(slide_rnn, params)))(rnn)
    layers = STEPS * [rnn]
    apart, of_each = jax.jit(jax.value_and_grad(lambda layers: loss(unrolled_rnn, layers)))(layers)
    close(apart, value, 1e-4)
    for name in SlideRNNParams._fields:
        total = sum(getattr(each, name) for each in of_each)
        close(total, getattr(together, name), 1e-4 * float(np.abs(total).max()))


def test_written_out_it_wants_a_layer_for_each_step(rnn, steps):
    with pytest.raises(ValueError, match="expected parameters for each of 7 steps, got 2"):
        unrolled_rnn(2 * [rnn], jnp.zeros(HIDDEN), steps)


def test_no_step_is_an_error_of_its_own_name(rnn, lstm):
    empty = np.zeros((0, INPUTS), np.float32)
    for call in (
        lambda: slide_rnn(rnn, jnp.zeros(HIDDEN), empty),
        lambda: slide_lstm(lstm, zero_carry(lstm, ()), empty),
        lambda: slide_lstm_trace(lstm, zero_carry(lstm, ()), empty),
        lambda: unrolled_rnn([], jnp.zeros(HIDDEN), empty),
        lambda: SlideRNN(2, 1).init(jax.random.key(0), empty),
        lambda: SlideLSTM(2).init(jax.random.key(0), empty),
    ):
        with pytest.raises(EmptySequenceError, match=r"expected at least one step, got shape \(0, 3\)"):
            call()


def test_a_trace_is_drawn_as_panels_of_units_over_time():
    random = np.random.default_rng(0)
    trace = LSTMTrace(*(random.uniform(size=(100, 300)).astype(np.float32) for _ in LSTMTrace._fields))
    figure = plot_trace(trace, [f"x{number}" for number in range(100)])
    assert max(figure.get_size_inches()) < 40
    panels = [axes for axes in figure.axes if axes.images]
    titles = [axes.get_title("left").split()[0] for axes in panels]
    assert titles == ["forget", "input", "candidate", "cell", "output", "output"]
    for axes, name in zip(panels, ("f", "i", "candidate", "c", "o", "m"), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), np.asarray(getattr(trace, name)).T)
        low, high = axes.images[0].get_clim()
        assert (low, high) == (0, 1) if name in "ifo" else low == -high <= -1
    labels = [label.get_text() for label in panels[-1].get_xticklabels()]
    assert labels == [f"x{number}" for number in range(0, 100, 4)]  # as many as there is room for
    with pytest.raises(ValueError, match=r"one sequence \(time, hidden\), got shape \(2, 7, 5\)"):
        plot_trace(LSTMTrace(*(np.zeros((2, 7, 5)) for _ in LSTMTrace._fields)))
    with pytest.raises(ValueError, match="expected words for 100 steps, got 2"):
        plot_trace(trace, ["a", "b"])
