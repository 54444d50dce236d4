"""Images as sequences: which step decides, what each column sees, and that every cell learns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.detection.drawn import drawn
from zoo.sequences import ColumnTagger, RowClassifier

IMAGES = np.random.default_rng(0).standard_normal((4, 6, 5, 2)).astype(np.float32)


@functools.cache
def program(model, **options):
    return jax.jit(lambda images: model.apply(drawn(model, IMAGES), images, **options))


def applied(model, images, **options):
    return program(model, **options)(images)


def test_rows_are_read_from_top_to_bottom():
    named = applied(RowClassifier(3, hidden_size=4), IMAGES, features=True)
    assert named["layer1"].shape == (4, 6, 4)
    np.testing.assert_array_equal(named["pre_logits"], named["layer1"][:, -1])
    changed = IMAGES.copy()
    changed[:, -1] += 1
    again = applied(RowClassifier(3, hidden_size=4), changed, features=True)
    np.testing.assert_array_equal(again["layer1"][:, :-1], named["layer1"][:, :-1])
    assert np.abs(again["logits"] - named["logits"]).max() > 1e-3


def test_each_direction_is_read_where_it_ends():
    named = applied(RowClassifier(3, hidden_size=4, bidirectional=True), IMAGES, features=True)
    expected = np.concatenate([named["layer1"][:, -1, :4], named["layer1"][:, 0, 4:]], axis=-1)
    np.testing.assert_array_equal(named["pre_logits"], expected)


def test_dropout_is_of_what_layers_give_in_training_alone():
    model = RowClassifier(3, hidden_size=16, dropout=0.5)
    variables = drawn(model, IMAGES)

    @jax.jit
    def program(key):
        train = model.apply(variables, IMAGES, train=True, features=True, rngs={"dropout": key})
        return train, model.apply(variables, IMAGES, features=True)

    train, evaluated = program(jax.random.key(0))
    np.testing.assert_array_equal(evaluated["pre_logits"], evaluated["layer1"][:, -1])
    kept = np.asarray(train["pre_logits"]) != 0
    assert 0.2 < kept.mean() < 0.8
    np.testing.assert_allclose(train["pre_logits"][kept], 2 * train["layer1"][:, -1][kept], rtol=1e-6)
    with pytest.raises(ValueError, match=r"expected 0 <= dropout < 1, got 1\.0"):
        jax.eval_shape(RowClassifier(3, dropout=1.0).init, jax.random.key(0), IMAGES)


def test_columns_of_one_direction_see_what_is_left_of_them():
    model, changed = ColumnTagger(3, hidden_size=4), IMAGES.copy()
    changed[:, :, 3] += 1
    before, after = applied(model, IMAGES), applied(model, changed)
    assert before.shape == (4, 5, 3)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (np.abs(before[:, 3:] - after[:, 3:]).max(axis=(0, 2)) > 1e-4).all()


@pytest.mark.parametrize(
    "cell",
    # A program each, of which one has all that is new in them.
    ["gru", *(pytest.param(cell, marks=pytest.mark.slow) for cell in ("slide_rnn", "slide_lstm", "rnn", "lstm"))],
)
def test_every_cell_learns_one_batch_by_heart(cell):
    model, labels = RowClassifier(4, cell=cell, hidden_size=16), jnp.arange(4)
    variables = jax.jit(model.init)(jax.random.key(0), IMAGES)

    @jax.jit
    def train(variables):
        def loss(variables):
            logits = model.apply(variables, IMAGES)
            return -jax.nn.log_softmax(logits)[jnp.arange(4), labels].mean()

        def step(variables, _):
            value, slopes = jax.value_and_grad(loss)(variables)
            return jax.tree.map(lambda leaf, slope: leaf - 0.5 * slope, variables, slopes), value

        return jax.lax.scan(step, variables, length=150)[1]

    losses = train(variables)
    assert losses[0] > 1
    assert losses[-1] < 0.05


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # (28 + 128 + biases) x 128 a gate, and the head; the slides' have V, or no biases.
        ("rnn_rows", (28 + 128 + 1) * 128 + 1290),
        ("slide_rnn_rows", (28 + 128 + 1 + 128) * 128 + 1290),
        ("lstm_rows", 4 * (28 + 128 + 1) * 128 + 1290),
        ("slide_lstm_rows", 4 * (28 + 128) * 128 + 1290),
        ("gru_rows", 3 * (28 + 128 + 1) * 128 + 128 + 1290),
    ],
)
def test_parameters_are_those_of_the_gates(name, parameters):
    shapes = jax.eval_shape(lambda: zoo.init(zoo.create(name), jax.random.key(0), (28, 28, 1)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == parameters


def test_images_of_another_size_and_unknown_cells_are_refused():
    for cell in ("lstm", "slide_rnn", "slide_lstm"):
        model = RowClassifier(3, cell=cell, hidden_size=4)
        with pytest.raises(ValueError, match=r"RowClassifier expected images with 10 values a step, got images of"):
            model.apply(drawn(model, IMAGES), IMAGES[:, :, :4])
    with pytest.raises(ValueError, match=r"expected a cell of slide_rnn, .* got 'elman'"):
        jax.eval_shape(RowClassifier(3, cell="elman").init, jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match="the slides' cells have one direction"):
        jax.eval_shape(ColumnTagger(3, cell="slide_rnn", bidirectional=True).init, jax.random.key(0), IMAGES)
