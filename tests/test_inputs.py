"""Models of any inputs: initial variables, tables, benchmarks, operations and exports, from rows, shapes and types."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import zoo
from tests.composites import composites  # noqa: F401 (a fixture)
from zoo import tables
from zoo.__main__ import main
from zoo.benchmark import benchmark
from zoo.catalog.inputs import Input, as_inputs, batch_of, random_batch
from zoo.flops import count_flops

pytestmark = pytest.mark.usefixtures("composites")

TOKENS = jax.ShapeDtypeStruct((6,), jnp.int32)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_row_of_one_image_says_its_shape_and_has_an_input():
    entry = zoo.describe("cifar_resnet8")
    assert entry.inputs == (Input("images", (32, 32, 3), "float32", "image"),)
    assert entry.input_shape == (32, 32, 3)
    assert [one.kind for one in zoo.describe("pair").inputs] == ["image", "image", "number"]
    with pytest.raises(ValueError, match="expected the shape of one example"):
        zoo.Entry("none", "zoo.a:A", "classification", (), "", "")


def test_shapes_types_and_rows_say_the_same():
    model, key = zoo.create("tokens"), jax.random.key(0)
    variables = zoo.init(model, key, TOKENS)
    same(variables, zoo.init(model, key, *zoo.describe("tokens").inputs))
    same(variables, zoo.init(model, key, zoo.describe("tokens").inputs))
    same(variables, jax.jit(model.init)(key, jnp.zeros((1, 6), jnp.int32)))
    pair = zoo.create("pair")
    variables = zoo.init(pair, key, (16, 16, 3), (16, 16, 3), jax.ShapeDtypeStruct((), jnp.float32))
    same(variables, zoo.init(pair, key, zoo.describe("pair").inputs))
    assert variables["params"]["conv"]["kernel"].shape == (4, 2, 6, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "expected the shape of one example, without the batch axis, for each input"),
        (((8, 8, 3), ()), r"input 2: expected positive sizes of one example, got \(\)"),
        ((Input("boxes", (0, 4)),), r"boxes: expected positive sizes of one example, got \(0, 4\)"),
        ((jax.ShapeDtypeStruct((0,), jnp.int32),), r"input_shape: expected positive sizes .* got \(0,\)"),
    ],
)
def test_no_input_and_inputs_without_values_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        zoo.init(zoo.create("tokens"), jax.random.key(0), *given)


def test_integers_are_drawn_as_integers_and_are_without_channels():
    boxes, tokens = Input("boxes", (5, 4), kind="boxes"), Input("tokens", (7,), "int32", "tokens")
    values = random_batch((boxes, tokens), 3, np.random.default_rng(0))
    assert [(value.shape, value.dtype) for value in values] == [
        (one.shape, one.dtype) for one in batch_of((boxes, tokens), 3)
    ]
    assert set(np.unique(values[1])) == {0, 1}
    assert (boxes.places, tokens.places) == ((5,), (7,))
    assert as_inputs([(4, 4, 1), boxes]) == (Input("input 1", (4, 4, 1)), boxes)


def test_summaries_and_operations_are_of_all_inputs(capsys):
    summary = tables.summarise("pair")
    assert summary.stages == {"flow": (4, 8, 2)}
    assert summary.parameters == 4 * 2 * 6 * 2 + 2
    multiply_adds = 4 * 8 * 2 * (4 * 2 * 6)
    assert 2 * multiply_adds <= summary.flops <= 2 * multiply_adds + 3 * 4 * 8 * 2
    larger = tables.summarise("pair", (32, 16, 3), (32, 16, 3), zoo.describe("pair").inputs[2])
    assert larger.stages == {"flow": (8, 8, 2)}
    model = zoo.create("tokens")
    variables = zoo.init(model, jax.random.key(0), TOKENS)
    assert count_flops(model, variables, jnp.zeros((2, 6), jnp.int32)) > 0
    assert main(["summary", "clips", "--input-shape", "8", "16", "16", "3"]) == 0
    assert "one 8 x 16 x 16 x 3 example" in capsys.readouterr().out
    assert main(["describe", "pair"]) == 0
    assert "first 16 x 16 x 3, second 16 x 16 x 3, scale one number" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("name", "side"), [("clips", 8), ("tokens", 0), ("pair", 0)])
def test_any_model_can_be_timed(name, side, capsys):
    result = benchmark(name, batch=2, side=side, rounds=1, train=True)
    assert result.training is not None
    if name == "clips":
        assert result.inputs[0].shape == (4, 8, 8, 3)
        assert main(["benchmark", name, "--batch", "3", "--rounds", "1"]) == 0
        out = capsys.readouterr().out
        assert "clips, 3 examples of 4 x 16 x 16 x 3, float32, on" in out
        assert "million an example" in out


@pytest.mark.parametrize("in_bytes", [False, True])
@pytest.mark.parametrize("name", ["pair", "tokens"])
def test_an_exported_program_gives_the_models_numbers_for_any_batch_from_its_bytes_too(name, in_bytes):
    model, inputs = zoo.create(name), zoo.describe(name).inputs
    variables = zoo.init(model, jax.random.key(0), inputs)
    program = zoo.export_model(model, jax.eval_shape(lambda: variables), inputs)
    if in_bytes:
        pytest.importorskip("flatbuffers")  # jax writes with it, and does not ask for it
        program = export.deserialize(program.serialize())
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    for size in (1, 3):
        batch = random_batch(inputs, size, np.random.default_rng(size))
        expected = jax.jit(model.apply)(variables, *batch)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), program.call(variables, *batch), expected
        )


def test_a_program_for_one_size_of_batch_serves_that_alone():
    model = zoo.create("mlp", hidden=(4,))
    variables = zoo.init(model, jax.random.key(0), (6, 6, 1))
    program = zoo.export_model(model, variables, (6, 6, 1), batch=2, platforms=("cpu",), features=True)
    assert program.call(variables, jnp.ones((2, 6, 6, 1)))["logits"].shape == (2, 10)
    with pytest.raises(ValueError, match="2"):
        program.call(variables, jnp.ones((3, 6, 6, 1)))
