"""What the recurrent layers promise: padding, states, directions, steps, types, derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from zoo.sequences import GRU, LSTM, RNN, EmptySequenceError, steps_mask

BATCH, STEPS, INPUTS, HIDDEN = 3, 6, 2, 4
KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
of_every_kind = pytest.mark.parametrize("kind", KINDS)


def by_default(*quick):
    """These kinds by default; the others, of which it says the same by a program each, with the slow tests."""
    marks = {kind: [] if kind in quick else [pytest.mark.slow] for kind in KINDS}
    return pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks[kind]) for kind in KINDS])


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


X = drawn(BATCH, STEPS, INPUTS)
LENGTHS = np.array([6, 1, 4])


@functools.cache
def variables_of(kind, num_layers=2, **options):
    """Drawn without a program to compile."""
    model = KINDS[kind](HIDDEN, num_layers=num_layers, **options)
    shapes = jax.eval_shape(model.init, jax.random.key(0), X)
    return jax.tree.map(lambda leaf: drawn(*leaf.shape, seed=leaf.size) / 2, shapes)


@functools.cache
def applied(kind, **options):
    """The layers, both directions or one, as a compiled function of inputs and keywords."""
    model, variables = KINDS[kind](HIDDEN, num_layers=2, **options), variables_of(kind, **options)
    return jax.jit(lambda x, **given: model.apply(variables, x, **given))


def close(ours, expected, tolerance=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance), ours, expected)


@by_default("GRU")
def test_padding_changes_nothing_whatever_it_holds(kind):
    run = applied(kind, bidirectional=True)
    junk = X.copy()
    junk[~np.asarray(steps_mask(LENGTHS, STEPS))] = np.nan
    last, outputs = run(junk, mask=steps_mask(LENGTHS, STEPS))
    alone, expected = run(X[2:, :4])
    close(outputs[2, :4], expected[0])
    close(jax.tree.map(lambda leaf: leaf[2:], last), alone)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(outputs[row, length:], 0)


@by_default("GRU")
def test_padding_has_no_gradient_and_gives_none_whatever_it_holds(kind):
    model, variables = KINDS[kind](HIDDEN, bidirectional=True), variables_of(kind, 1, bidirectional=True)
    junk = X.copy()
    junk[~np.asarray(steps_mask(LENGTHS, STEPS))] = np.inf

    @jax.jit
    def slopes(variables, x):
        def loss(variables, x):
            last, outputs = model.apply(variables, x, lengths=LENGTHS)
            return (outputs**2).sum() + sum((leaf**2).sum() for leaf in jax.tree.leaves(last))

        return jax.grad(loss, argnums=(0, 1))(variables, x)

    (of_weights, of_x), (expected, _) = slopes(variables, junk), slopes(variables, X)
    close(of_weights, expected)
    np.testing.assert_array_equal(of_x[1, 1:], 0)
    assert np.abs(of_x[1, 0]).max() > 0


@by_default("GRU")
def test_lengths_are_a_mask_of_the_first_steps(kind):
    close(
        applied(kind, bidirectional=True)(X, mask=steps_mask(LENGTHS, STEPS)),
        applied(kind, bidirectional=True)(X, lengths=LENGTHS),
    )


def test_a_mask_may_have_gaps():
    """Those of them are the first steps of a sequence without, of which the rest is padding."""
    run, mask = applied("GRU", bidirectional=True), np.array([[1, 0, 1, 1, 0, 0]] * BATCH, bool)
    last, outputs = run(X, mask=mask)
    expected, packed = run(X[:, [0, 2, 3, 1, 4, 5]], mask=np.arange(STEPS) < np.full((BATCH, 1), 3))
    close(last, expected)
    close(outputs[:, [0, 2, 3]], packed[:, :3])
    np.testing.assert_array_equal(outputs[:, [1, 4, 5]], 0)


def test_without_a_real_step_a_compiled_network_keeps_its_state_and_gives_zeros():
    first = tuple(drawn(BATCH, HIDDEN, seed=9) for _ in range(2))
    model, variables = GRU(HIDDEN, num_layers=2), variables_of("GRU")
    run = jax.jit(lambda x, lengths: model.apply(variables, x, lengths=lengths, initial=first))
    last, outputs = run(X, jnp.array([3, 0, 6]))
    close([leaf[1] for leaf in last], [leaf[1] for leaf in first], 0)
    np.testing.assert_array_equal(outputs[1], 0)
    assert np.isfinite(outputs).all()


def test_a_sequence_without_a_step_is_an_error_of_its_own_name_where_that_is_known():
    model, variables = LSTM(HIDDEN, num_layers=2), variables_of("LSTM")
    with pytest.raises(EmptySequenceError, match="got length 0 at 1"):
        model.apply(variables, X, lengths=np.array([3, 0, 6]))
    with pytest.raises(EmptySequenceError, match="at least one real step, got none at 2"):
        model.apply(variables, X, mask=np.arange(STEPS) < np.array([[1], [2], [0]]))
    with pytest.raises(EmptySequenceError, match=r"LSTM expected at least one step, got shape \(3, 0, 2\)"):
        jax.eval_shape(model.apply, variables, X[:, :0])


@by_default("LSTM")
def test_a_sequence_in_two_pieces_is_the_whole_one(kind):
    run = applied(kind)
    last, outputs = run(X)
    state, first = run(X[:, :3], initial=KINDS[kind](HIDDEN, num_layers=2).initial_state(BATCH))
    again, second = run(X[:, 3:], initial=state)
    close(again, last)
    close(np.concatenate([first, second], axis=1), outputs)


@by_default("LSTM")
def test_step_by_step_it_is_the_whole_sequence(kind):
    model, variables = KINDS[kind](HIDDEN, num_layers=2), variables_of(kind)
    step = jax.jit(lambda state, x: model.apply(variables, state, x, method="step"))
    state, outputs = model.initial_state(BATCH), []
    for time in range(STEPS):
        state, output = step(state, X[:, time])
        outputs.append(output)
    last, expected = applied(kind)(X)
    close(np.stack(outputs, axis=1), expected)
    close(state, last)


@by_default("LSTM")
def test_a_batch_is_its_sequences_one_by_one_and_by_vmap(kind):
    run = applied(kind)
    last, outputs = run(X)
    state, mapped = jax.vmap(lambda x: run(x[None]))(X)
    close(mapped[:, 0], outputs)
    close(jax.tree.map(lambda leaf: leaf[:, 0], state), last)


def test_one_direction_does_not_see_what_comes_later_and_two_do():
    changed = X.copy()
    changed[:, -1] += 1
    one, other = (applied("LSTM")(x)[1] for x in (X, changed))
    np.testing.assert_array_equal(one[:, :-1], other[:, :-1])
    one, other = (applied("GRU", bidirectional=True)(x, mask=np.ones((BATCH, STEPS), bool))[1] for x in (X, changed))
    assert np.abs(one[:, 0] - other[:, 0]).max() > 1e-4


def test_the_backward_direction_is_the_forward_one_of_the_sequence_turned_around():
    params = variables_of("GRU", bidirectional=True)["params"]
    swapped = {"layer1": params["layer1_backward"], "layer1_backward": params["layer1"]}
    run = jax.jit(GRU(HIDDEN, bidirectional=True).apply)
    _, outputs = run({"params": {name: params[name] for name in swapped}}, X)
    _, turned = run({"params": swapped}, X[:, ::-1])
    close(turned[:, ::-1], jnp.roll(outputs, HIDDEN, axis=-1))


@by_default("LSTM")
def test_unrolled_loops_give_the_same(kind):
    model = KINDS[kind](HIDDEN, num_layers=2, unroll=4)
    close(jax.jit(model.apply)(variables_of(kind), X), applied(kind)(X))


def test_dropout_is_between_layers_in_training_alone():
    model, variables = LSTM(HIDDEN, num_layers=2, dropout=0.5), variables_of("LSTM")
    jax.eval_shape(model.apply, variables, X)  # asks for no random key
    train = jax.jit(lambda x, key: model.apply(variables, x, train=True, rngs={"dropout": key}))
    (first, last), outputs = train(X, jax.random.key(0))
    (expected, other), _ = applied("LSTM")(X)
    close(first, expected)
    assert np.abs(last.h - other.h).max() > 1e-3
    np.testing.assert_array_equal(outputs[:, -1], last.h)  # what the last layer gives is whole


@by_default("GRU")
def test_states_stay_float32_and_outputs_are_of_the_compute_type(kind):
    model = KINDS[kind](HIDDEN, num_layers=2, dtype=jnp.bfloat16)
    last, outputs = jax.jit(model.apply)(variables_of(kind), X)
    assert outputs.dtype == jnp.bfloat16
    assert {leaf.dtype.name for leaf in jax.tree.leaves(last)} == {"float32"}
    expected = applied(kind)(X)
    close(outputs.astype(np.float32), expected[1], 0.05)
    shapes = jax.eval_shape(KINDS[kind](HIDDEN, param_dtype=jnp.bfloat16).init, jax.random.key(0), X)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(shapes)} == {"bfloat16"}


def test_weights_are_drawn_as_torch_draws_them():
    params = jax.jit(GRU(64).init)(jax.random.key(0), drawn(1, 2, 50))["params"]["layer1"]
    assert sorted(params) == ["bias", "hidden_bias", "hidden_kernel", "input_kernel"]
    for leaf in params.values():
        assert np.abs(leaf).max() <= 64**-0.5
        np.testing.assert_allclose(np.std(leaf), (3 * 64) ** -0.5, rtol=0.2)


@pytest.mark.parametrize(
    ("kind", "reverse", "order"),
    [
        ("GRU", True, 1),  # whose tangents are joined by a rule of their own
        # Of the others too; and programs of ten seconds: derivatives of derivatives, in either direction.
        pytest.param("RNN", True, 1, marks=pytest.mark.slow),
        pytest.param("LSTM", False, 1, marks=pytest.mark.slow),
        *(pytest.param(kind, reverse, 2, marks=pytest.mark.slow) for kind in KINDS for reverse in (False, True)),
    ],
)
def test_derivatives_in_both_modes_are_finite_differences(kind, reverse, order):
    from zoo.sequences.cells import CELLS
    from zoo.sequences.recurrence import recur

    cell = CELLS[kind.lower() if kind != "RNN" else "tanh"]
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        projected, biases = (
            tuple(random.standard_normal(shape) for _ in range(cell.gates)) for shape in ((4, 2, 3), (3,))
        )
        kernel = random.standard_normal((3, 3 * cell.gates))
        carry = tuple(random.standard_normal((2, 3)) for _ in range(cell.states))
        mask = np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool)

        def value(projected, kernel, biases, carry):
            states, last = recur(cell, reverse, 1, projected, kernel, biases, carry, mask)
            return jnp.sin(states).sum() + sum(jnp.cos(leaf).sum() for leaf in last)

        check_grads(
            jax.jit(value), (projected, kernel, biases, carry), order=order, modes=("fwd", "rev"), atol=1e-5, rtol=1e-5
        )


def loops_of(jaxpr):
    """The loops of a program, those of its parts too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation
        for part in equation.params.values():
            inner = getattr(part, "jaxpr", part)
            if equation.primitive.name != "scan" and hasattr(inner, "eqns"):
                yield from loops_of(inner)


def test_nothing_of_the_weights_is_computed_in_the_loop_back_through_time():
    """One product for their gradient, not one a step: no loop has an array of their shape to add to."""
    model = LSTM(5)
    variables = jax.eval_shape(model.init, jax.random.key(0), X)
    slopes = jax.grad(lambda variables, x: model.apply(variables, x)[1].sum())
    loops = list(loops_of(jax.make_jaxpr(slopes)(variables, X).jaxpr))
    assert len(loops) == 2
    for loop in loops:
        assert (5, 20) not in [variable.aval.shape for variable in loop.outvars]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "positive hidden_size, num_layers and unroll"),
        ({"num_layers": 0}, "positive hidden_size, num_layers and unroll"),
        ({"dropout": 1.0}, "0 <= dropout < 1"),
        ({"activation": "sigmoid"}, "activation tanh or relu, got 'sigmoid'"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(RNN(**{"hidden_size": 2, **options}).init, jax.random.key(0), X)


def test_what_does_not_fit_is_refused():
    model, variables = LSTM(HIDDEN, num_layers=2), variables_of("LSTM")

    def refused(kind, message, x=X, **given):
        with pytest.raises(kind, match=message):
            model.apply(variables, x, **given)

    refused(ValueError, r"sequences \(batch, time, features\), got shape \(6, 2\)", X[0])
    refused(TypeError, "floating-point sequences, got int32: embed tokens first", X.astype(np.int32))
    refused(ValueError, "lengths or a mask, got both", lengths=LENGTHS, mask=steps_mask(LENGTHS, STEPS))
    refused(ValueError, "expected 3 lengths, got shape", lengths=LENGTHS[:2])
    refused(ValueError, "lengths from 1 to 6, got 7 at 0", lengths=np.array([7, 1, 1]))
    refused(TypeError, "lengths in whole steps, got float", lengths=LENGTHS.astype(np.float32))
    refused(ValueError, r"a mask of shape \(3, 6\) \(batch, time\), got \(3, 5\)", mask=np.ones((3, 5), bool))
    refused(TypeError, "a mask of truth values, got int32", mask=np.ones((3, 6), np.int32))
    refused(ValueError, "states of shapes", initial=model.initial_state(2))
    refused(ValueError, "states of shapes", initial=model.initial_state(BATCH)[:1])
    both = LSTM(HIDDEN, bidirectional=True)
    with pytest.raises(ValueError, match="expected one direction for single steps"):
        both.apply({"params": {}}, both.initial_state(BATCH), X[:, 0], method="step")
