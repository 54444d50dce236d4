"""Exercises on pretrained networks: right answers written here pass, and usual mistakes are told what they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.exercises.pretrained import check_learning_rates, check_new_head, check_prepare


def prepare(pixels, crop, mean, std):
    top, left = (round((side - crop) / 2) for side in pixels.shape[:2])
    return (pixels[top : top + crop, left : left + crop] / 255 - mean) / std


def square(pixels, crop):
    return prepare(pixels, crop, 0, 1)


def test_the_prepared_image_is_right():
    assert check_prepare(prepare)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *_: ..., "nothing came back yet"),
        (lambda pixels, crop, mean, std: (pixels / 255 - mean) / std, "The central square is missing"),
        (lambda *given: prepare(*given).transpose(2, 0, 1), "Channels come last here"),
        (lambda pixels, crop, mean, std: (255 * square(pixels, crop) - mean) / std, "Divide by 255 first"),
        (lambda pixels, crop, mean, std: square(pixels, crop), "Mean and standard deviation are missing"),
        (lambda pixels, crop, mean, std: 255 * square(pixels, crop), "Nothing was scaled yet"),
        (lambda pixels, crop, mean, std: square(pixels, crop) / std - mean, "Subtract the mean before dividing"),
        (lambda pixels, crop, mean, std: prepare(pixels, crop, std, mean), "exchanged"),
        (lambda pixels, crop, mean, std: (pixels[:crop, :crop] / 255 - mean) / std, "not the centre"),
    ],
)
def test_usual_mistakes_in_preparing_an_image_are_named(wrong, said):
    verdict = check_prepare(wrong)
    assert not verdict
    assert said in verdict.said


def new_head(variables, classes, key, small=True, bias=0.0):
    inputs = variables["params"]["head"]["kernel"].shape[0]
    kernel = jax.random.normal(key, (inputs, classes)) / (inputs**0.5 if small else 0.1)
    head = {"kernel": kernel, "bias": jnp.full(classes, bias)}
    return {**variables, "params": {**variables["params"], "head": head}}


def transposed(variables, classes, key):
    found = new_head(variables, classes, key)
    head = found["params"]["head"]
    return {**found, "params": {**found["params"], "head": {**head, "kernel": head["kernel"].T}}}


def of_zeros(variables, classes, key):
    found = new_head(variables, classes, key)
    return {**found, "params": {**found["params"], "head": jax.tree.map(jnp.zeros_like, found["params"]["head"])}}


def in_place(variables, classes, key):
    variables["params"] = new_head(variables, classes, key)["params"]
    return variables


def from_scratch(variables, classes, key):
    return jax.tree.map(jnp.zeros_like, new_head(variables, classes, key))


def test_the_new_head_is_right():
    assert check_new_head(new_head)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *_: None, "nothing came back yet"),
        (lambda *given: new_head(*given)["params"], "expected a dictionary with batch_stats and params, got"),
        (lambda variables, classes, key: variables, "head/kernel: expected shape (64, 3), got (64, 10)"),
        (transposed, "head/kernel: expected shape (64, 3), got (3, 64)"),
        (of_zeros, "expected random numbers, got zeros"),
        (in_place, "expected the given variables untouched"),
        (from_scratch, "batch_stats/stage1/block1/norm1/mean"),
        (lambda *given: new_head(*given, bias=1.0), "head/bias at (0,): expected 0, got 1"),
        (lambda *given: new_head(*given, small=False), "expected small numbers"),
        (lambda variables, classes, key: new_head(variables, classes, jax.random.key(0)), "from another key"),
        (lambda *given: {**new_head(*given), "batch_stats": {}}, "expected as it was, got nothing"),
    ],
)
def test_usual_mistakes_with_a_new_head_are_named(wrong, said):
    verdict = check_new_head(wrong)
    assert not verdict
    assert said in verdict.said


def learning_rates(layers, peak, decay):
    return peak * decay ** (layers - 1 - np.arange(layers))


def test_the_learning_rates_are_right():
    assert check_learning_rates(learning_rates)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *_: None, "nothing came back yet"),
        (lambda *given: learning_rates(*given)[::-1], "it comes last"),
        (lambda layers, peak, decay: learning_rates(layers + 1, peak, decay)[:-1], "The head has the peak itself"),
        (lambda layers, peak, decay: [peak] * layers, "at (0,): expected 0.125, got 1"),
        (lambda layers, peak, decay: learning_rates(layers, peak, decay)[1:], "expected shape (4,)"),
    ],
)
def test_usual_mistakes_in_learning_rates_are_named(wrong, said):
    verdict = check_learning_rates(wrong)
    assert not verdict
    assert said in verdict.said
