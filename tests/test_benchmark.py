"""`python -m zoo benchmark`: what it prints is consistent, whatever the times are."""

import re
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo import benchmark, tables
from zoo.__main__ import main
from zoo.flops import count_flops

NUMBER = r"([\d,.]+)"
LINE = rf" +{NUMBER} ms \(from {NUMBER} to {NUMBER}, (\d+) rounds\), {NUMBER} images/s, compiled in {NUMBER} s"


def numbers(pattern, text):
    (found,) = re.findall(pattern, text, re.MULTILINE)
    return [float(number.replace(",", "")) for number in found]


def test_what_is_printed_is_consistent(capsys):
    arguments = ["benchmark", "cifar_resnet8", "--batch", "2", "--side", "16", "--rounds", "3", "--train"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    device = jax.devices()[0]
    assert f"cifar_resnet8, 2 images of 16 x 16 x 3, float32, on {device.platform} ({device.device_kind})" in out
    assert f"parameters      {tables.count_parameters('cifar_resnet8'):,}\n" in out
    (millions,) = re.findall(rf"^FLOPs +{NUMBER} million an image", out, re.MULTILINE)
    expected = tables.summarise("cifar_resnet8", (16, 16, 3)).flops
    assert 1e6 * float(millions) == pytest.approx(expected, rel=0.02)
    for what in ("inference", "training step"):
        median, low, high, rounds, rate, seconds = numbers(rf"^{what}{LINE}", out)
        assert low <= median <= high
        assert rounds == 3
        assert rate * median == pytest.approx(2000, rel=0.1)  # the times are printed to a tenth of a millisecond
        assert seconds > 0


def test_training_is_timed_only_when_asked_for_and_the_side_is_the_catalogs():
    result = benchmark.benchmark("lenet5", batch=3, rounds=5)
    assert result.training is None
    assert result.inputs == zoo.describe("lenet5").inputs
    assert len(result.inference.milliseconds) == 5
    rate = result.inference.examples_per_second(3)
    assert rate == pytest.approx(3000 / statistics.median(result.inference.milliseconds))


def test_the_compute_type_is_a_choice_and_the_work_the_same():
    half, single = (benchmark.benchmark("mlp", batch=2, rounds=1, dtype=dtype) for dtype in ("bfloat16", "float32"))
    assert (half.dtype, single.dtype) == ("bfloat16", "float32")
    assert half.parameters == single.parameters
    assert half.flops == single.flops


def test_a_step_in_place_goes_on_from_its_own_result_and_an_accelerator_is_asked_ahead(monkeypatch):
    seen = []
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    count = jnp.zeros(())

    def step(x, y):
        jax.debug.callback(lambda value: seen.append(float(value)), x)
        return x + y

    timing = benchmark.timed(step, (count, jnp.ones(())), rounds=2, in_place=True)
    jax.effects_barrier()
    assert count.is_deleted()
    assert sorted(seen) == list(range(3 * benchmark.CALLS_AHEAD))  # a round to warm up, and two
    assert len(timing.milliseconds) == 2


def test_a_round_on_a_cpu_is_one_call(monkeypatch):
    seen = []
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    benchmark.timed(lambda x: jax.debug.callback(seen.append, x) or x, (jnp.ones(()),), rounds=2)
    jax.effects_barrier()
    assert len(seen) == 3


def test_flops_count_every_group_of_a_convolution():
    model = zoo.create("regnet_tiny")
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    expected = count_flops(model, variables, images)
    larger = count_flops(model, variables, images.update(shape=(64, 32, 32, 3)))  # on CPU groups are loops
    assert larger == pytest.approx(64 * expected, rel=0.01)


def test_signals_go_through_the_weights_that_are_timed():
    for name in ("convnext_mini", "swin_mini", "mobilenet_v3_tiny"):
        model, images = zoo.create(name), jax.random.normal(jax.random.key(0), (2, *zoo.describe(name).input_shape))
        variables = benchmark._drawn(jax.eval_shape(model.init, jax.random.key(0), images), np.random.default_rng(0))
        logits = jax.jit(model.apply)(variables, images)
        assert jnp.isfinite(logits).all()
        assert jnp.ptp(logits, axis=0).max() > 0


def test_the_step_that_is_timed_descends():
    model, shape = zoo.create("mlp", hidden=(8,), num_classes=3), (4, 4, 1)
    key = jax.random.key(0, impl="rbg")
    variables = zoo.init(model, key, shape)
    images, labels = jax.random.normal(key, (6, *shape)), jnp.arange(6) % 3

    def loss(variables):
        return -jax.nn.log_softmax(model.apply(variables, images))[jnp.arange(6), labels].mean()

    stepped = jax.jit(benchmark._training_step(model))(variables, (images,), labels, key)
    slopes = jax.grad(loss)(variables)
    expected = float(sum(jnp.vdot(slope, slope) for slope in jax.tree.leaves(slopes)))
    assert float(loss(variables) - loss(stepped)) == pytest.approx(benchmark.LEARNING_RATE * expected, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet"], "error: no model 'lenet'; nearest: lenet5"),
        (["lenet5", "--side", "8"], "error: LeNet5 expected images of 28 x 28 or 32 x 32"),
        (["lenet5", "--batch", "0"], "error: batch: expected a positive integer, got 0"),
        (["lenet5", "--side", "-1"], "error: side: expected a positive integer, got -1"),
        (["lenet5", "--rounds", "0"], "error: rounds: expected a positive integer, got 0"),
        (["mlp", "--dtype", "int8"], "error: dtype: expected one of float32, bfloat16, float16, got int8"),
    ],
)
def test_what_cannot_be_timed_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(["benchmark", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(message)
    assert err.count("\n") == 1
