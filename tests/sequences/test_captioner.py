"""Show and Tell: its equations in numpy, one word after the other or all at once, and what every model promises."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

import zoo
from tests.detection.drawn import drawn
from zoo import tables
from zoo.catalog.inputs import batch_of
from zoo.sequences import EmptySequenceError
from zoo.sequences.captioner import Captioner
from zoo.sequences.search import beam_search
from zoo.weights import NewHeadWarning, WeightsError

NAME, BATCH, STEPS = "captioner_tiny", 3, 5
MODEL = zoo.create(NAME)
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((BATCH, 32, 32, 3)).astype(np.float32)
TOKENS = RANDOM.integers(0, MODEL.num_classes, (BATCH, 2, STEPS)).astype(np.int32)
"""Two captions an image."""


class Pixels(nn.Module):
    """A backbone without parameters: the image is its only map."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        return {"map": images} if features else images.mean((1, 2))


ON_PIXELS = MODEL.copy(backbone=Pixels())
"""What follows the backbone, which has programs of its own elsewhere."""


@functools.cache
def evaluated():
    """What one program gives: of both captions at once, of the first alone, step by step, in other ways."""

    model = ON_PIXELS

    @jax.jit
    def program(variables, images, tokens):
        state, told = model.apply(variables, images, method="begin"), []
        for place in range(STEPS):
            state, logits = model.apply(variables, state, tokens[:, 0, place], method="step")
            told.append(logits)
        other = tokens.at[:, :, 3:].add(1) % model.num_classes
        return {
            "features": model.apply(variables, images, tokens, features=True),
            "first": model.apply(variables, images, tokens[:, 0]),
            "steps": jnp.stack(told, axis=1),
            "other": model.apply(variables, images, other),
            "mapped": jax.vmap(lambda i, t: model.apply(variables, i[None], t[None])[0])(images, tokens),
            "bfloat16": model.copy(dtype=jnp.bfloat16).apply(variables, images, tokens),
        }

    return jax.device_get(program(drawn(model, IMAGES, TOKENS[:, 0]), IMAGES, TOKENS))


@functools.cache
def shapes_of(model=MODEL):
    return jax.eval_shape(model.init, jax.random.key(0), *batch_of(zoo.describe(NAME).inputs))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("grid", [1, 2])
def test_the_numbers_are_those_of_the_papers_equations(grid):
    """x_-1 = CNN(I), x_t = W_e S_t, p_t+1 = softmax(LSTM(x_t)), with a loop over words; equations 10 to 12."""
    model = Captioner(Pixels(), num_classes=7, embed_size=4, hidden_size=6, grid=grid)
    images, tokens = IMAGES[:, :4, :4], TOKENS[:, 0] % 7
    trained = drawn(model, images, tokens)
    params = jax.tree.map(np.asarray, trained["params"])
    logits = jax.jit(model.apply)(trained, images, tokens)
    kernels = params["lstm"]["layer1"]
    for row in range(BATCH):
        cells = images[row].reshape(grid, 4 // grid, grid, 4 // grid, 3).mean(axis=(1, 3)).reshape(-1)
        image = cells @ params["image"]["kernel"] + params["image"]["bias"]
        m = c = np.zeros(6)
        for place, x in enumerate([image, *params["embed"]["embedding"][tokens[row]]]):
            gates = x @ kernels["input_kernel"] + m @ kernels["hidden_kernel"] + kernels["bias"]
            i, f, o, g = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            m = sigmoid(o) * np.tanh(c)
            if place:
                expected = m @ params["head"]["kernel"] + params["head"]["bias"]
                np.testing.assert_allclose(logits[row, place - 1], expected, rtol=1e-4, atol=1e-5)


def test_word_by_word_the_logits_are_those_of_all_words_at_once():
    np.testing.assert_allclose(evaluated()["steps"], evaluated()["first"], rtol=1e-4, atol=1e-5)


def test_captions_of_one_image_are_each_as_if_it_were_alone():
    found = evaluated()
    assert found["features"]["logits"].shape == (BATCH, 2, STEPS, MODEL.num_classes)
    np.testing.assert_allclose(found["features"]["logits"][:, 0], found["first"], rtol=1e-4, atol=1e-5)
    assert np.abs(found["features"]["logits"][:, 1] - found["first"]).max() > 1e-2


def test_no_logits_depend_on_later_words():
    found = evaluated()
    np.testing.assert_array_equal(found["other"][:, :, :3], found["features"]["logits"][:, :, :3])
    assert (np.abs(found["other"] - found["features"]["logits"])[:, :, 3:].max(axis=-1) > 1e-3).all()


def test_a_batch_is_its_images_one_by_one():
    found = evaluated()
    np.testing.assert_allclose(found["mapped"], found["features"]["logits"], rtol=1e-3, atol=1e-4)


def test_bfloat16_is_near_float32_and_gives_float32():
    found, right = evaluated()["bfloat16"], evaluated()["features"]["logits"]
    assert found.dtype == np.float32
    assert 0 < np.abs(found - right).mean() < 0.05 * np.abs(right).max()


def test_features_are_the_backbones_maps_and_what_follows_them():
    assert evaluated()["features"].keys() == {"map", "image", "embedded", "hidden", "logits"}
    assert list(zoo.feature_info(NAME)) == ["stem", "stage1", "stage2", "stage3", "stage4"]


def test_parameters_are_those_by_hand_and_of_the_type_asked_for():
    count = {name: sum(leaf.size for leaf in jax.tree.leaves(part)) for name, part in shapes_of()["params"].items()}
    embed, hidden, words = 8, 12, 16
    assert count == {
        "backbone": tables.count_parameters("resnet_tiny") - 10 * (32 + 1),  # its head
        "image": 32 * embed + embed,
        "embed": words * embed,
        "lstm": 4 * hidden * (embed + hidden + 1),
        "head": hidden * words + words,
    }
    narrow = shapes_of(zoo.create(NAME, param_dtype=jnp.bfloat16))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(narrow["params"])} == {"bfloat16"}


def test_with_remat_the_backbones_blocks_are_computed_again_and_have_the_names_that_they_had():
    again = zoo.create(NAME, remat=True)
    jaxpr, shapes = jax.make_jaxpr(again.init, return_shape=True)(
        jax.random.key(0), *batch_of(zoo.describe(NAME).inputs)
    )
    assert any(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns)
    assert flatten_dict(shapes, sep="/").keys() == flatten_dict(shapes_of(), sep="/").keys()


def test_a_program_is_exported_for_batches_of_any_size():
    exported = zoo.export_model(ON_PIXELS, shapes_of(ON_PIXELS), zoo.describe(NAME).inputs, platforms=("cpu",))
    assert [str(leaf.shape[0]) for leaf in exported.out_avals] == ["batch"]


def test_weights_for_another_vocabulary_keep_all_but_embedding_and_head(tmp_path):
    file, inputs, key = tmp_path / "w.safetensors", zoo.describe(NAME).inputs, jax.random.key(3)
    model = Captioner(Pixels(), num_classes=7, embed_size=4, hidden_size=6)
    trained = drawn(model, IMAGES, TOKENS)
    zoo.save_weights(trained, file)
    with pytest.warns(NewHeadWarning, match="a head for 7 classes, the model one for 9") as told:
        loaded = zoo.load_weights(model.copy(num_classes=9), file, inputs, key)
    assert told[0].message.classes == 7
    params, before = (flatten_dict(each["params"], sep="/") for each in (loaded, trained))
    new = {name for name in params if params[name].shape != before[name].shape}
    assert new == {"embed/embedding", "head/kernel", "head/bias"}
    assert params["embed/embedding"].shape == (9, 4)
    assert np.std(params["embed/embedding"]) > 0.1
    for name in params.keys() - new:
        np.testing.assert_array_equal(params[name], before[name])
    with pytest.raises(WeightsError, match=r"params/embed/embedding: expected shape \(9, 3\), got \(7, 4\)"):
        zoo.load_weights(model.copy(num_classes=9, embed_size=3), file, inputs)


def test_dropout_is_of_image_words_and_what_the_lstm_gives_in_training_alone():
    model = Captioner(Pixels(), num_classes=7, embed_size=4, hidden_size=6, dropout=0.5)
    tokens, key = TOKENS % 7, {"rngs": {"dropout": jax.random.key(0)}}
    trained = drawn(model, IMAGES, tokens)
    head = trained["params"]["head"]

    @jax.jit
    def program():
        def apply(*given, **options):
            return model.apply(trained, *given, **options)

        begun = apply(IMAGES, method="begin", train=True, **key)
        return {
            "image": (begun[0].h, apply(IMAGES, method="begin")[0].h),
            "steps": [apply(begun, tokens[:, 0, 0], method="step", train=train, **key) for train in (True, False)],
            "call": apply(IMAGES, tokens, train=True, features=True, **key),
        }

    found = jax.device_get(program())
    jax.eval_shape(model.apply, trained, IMAGES, tokens)  # evaluation asks for no random key
    assert np.abs(found["image"][0] - found["image"][1]).max() > 1e-3
    ((one,), dropped), ((other,), _) = found["steps"]
    assert np.abs(one.h - other.h).max() > 1e-3  # the words
    assert np.abs(dropped - (one.h @ head["kernel"] + head["bias"])).max() > 1e-3
    named = found["call"]
    assert np.abs(named["hidden"][:, 0, 0] - other.h).max() > 1e-3  # as the step without
    assert np.abs(named["logits"] - (named["hidden"] @ head["kernel"] + head["bias"])).max() > 1e-3


@pytest.mark.slow  # 150 steps; by default `tests/train/test_captioning_runs.py` learns by heart
def test_it_learns_the_captions_of_a_batch_by_heart_and_a_search_finds_them():
    """Token 0 begins a caption and 1 ends it; one is shorter, so that its padding must not be learned."""
    model = Captioner(Pixels(), num_classes=6, embed_size=8, hidden_size=16)
    images = np.array([1, -1, 0], np.float32)[:, None, None, None] * np.ones((3, 2, 2, 3), np.float32)
    captions = np.array([[0, 2, 3, 4, 1], [0, 5, 5, 1, 1], [0, 3, 2, 2, 1]])
    real = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]], bool)
    optimizer = optax.adam(3e-2)

    def loss_of(params):
        logits = model.apply({"params": params}, images, captions[:, :-1])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, captions[:, 1:])
        return losses.mean(where=real)

    @jax.jit
    def learned(params):
        def update(_, carry):
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss_of)(params), state)
            return optax.apply_updates(params, updates), state

        params, _ = jax.lax.fori_loop(0, 150, update, (params, optimizer.init(params)))
        step = lambda state, words: model.apply({"params": params}, state, words, method="step")  # noqa: E731
        begun = model.apply({"params": params}, images, method="begin")
        return loss_of(params), beam_search(step, begun, jnp.zeros(3, int), steps=4, end=1, beams=3)

    loss, found = learned(model.init(jax.random.key(0), images, captions[:, :-1])["params"])
    assert loss < 0.02
    np.testing.assert_array_equal(found.tokens[:, 0], captions[:, 1:])
    assert found.lengths[:, 0].tolist() == [4, 3, 4]


def test_other_shapes_types_and_sizes_are_refused():
    shapes, model = shapes_of(ON_PIXELS), ON_PIXELS

    def refused(kind, message, images=IMAGES.shape, tokens=TOKENS.shape, dtypes=("float32", "int32"), model=model):
        given = [jax.ShapeDtypeStruct(*each) for each in zip((images, tokens), dtypes, strict=True)]
        with pytest.raises(kind, match=message):
            jax.eval_shape(model.apply, shapes, *given)

    refused(ValueError, r"Captioner expected images \(batch, height, width, channels\)", images=(32, 32, 3))
    refused(TypeError, "expected floating-point images, got uint8", dtypes=("uint8", "int32"))
    refused(TypeError, "expected tokens as integers, got float32", dtypes=("float32", "float32"))
    refused(ValueError, r"expected tokens \(3, time\) or \(3, captions, time\), got shape \(3,\)", tokens=(3,))
    refused(ValueError, r"expected tokens \(3, time\) .*, got shape \(2, 5\)", tokens=(2, 5))
    refused(EmptySequenceError, "expected at least one step", tokens=(3, 0))
    refused(ValueError, "num_classes: expected a positive integer, got 0", model=model.copy(num_classes=0))
    refused(ValueError, "dropout: expected at least 0 and less than 1, got 1.0", model=model.copy(dropout=1.0))
    refused(ValueError, "grid: expected a positive integer, got 0", model=model.copy(grid=0))
    refused(ValueError, "expected a backbone that gives its maps", model=model.copy(backbone=nn.Dense(3)))
