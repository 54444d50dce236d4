"""Exercises on convolutional networks: right answers written here pass, and usual mistakes are told what they are."""

import flax.linen as nn
import numpy as np
import pytest

from zoo.exercises.convnets import check_batch_norm, check_conv_parameters, check_occlusion


def conv_parameters(inputs, outputs, window, groups):
    return inputs // groups * outputs * window**2


def test_the_weights_of_groups_are_right():
    assert check_conv_parameters(conv_parameters)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *_: ..., "3 to 64 channels, 7x7, one group: nothing came back yet"),
        (lambda inputs, outputs, window, groups: inputs * outputs * window**2, "one group's channels only"),
        (lambda inputs, outputs, window, groups: inputs * outputs * window // groups, "The window has two sides"),
        (lambda inputs, outputs, window, groups: inputs * outputs // groups, "a whole window for each channel"),
        (lambda *given: conv_parameters(*given) + given[1], "counts a bias"),
        (lambda *given: conv_parameters(*given) / 0, "ZeroDivisionError"),
    ],
)
def test_usual_miscounts_of_weights_are_named(wrong, said):
    verdict = check_conv_parameters(wrong)
    assert not verdict
    assert said in verdict.said


def occlusion(score, image, size, stride, value):
    whole = score(image)
    drops = []
    for top in range(0, image.shape[0] - size + 1, stride):
        row = []
        for left in range(0, image.shape[1] - size + 1, stride):
            covered = image.copy()
            covered[top : top + size, left : left + size] = value
            row.append(whole - score(covered))
        drops.append(row)
    return np.array(drops)


def without_mending(score, image, size, stride, value):
    return occlusion(score, Stubborn(image.copy()), size, stride, value)


class Stubborn(np.ndarray):
    """An image whose copy is itself."""

    def __new__(cls, array):
        return np.asarray(array).view(cls)

    def copy(self):
        return self


def on_the_image(score, image, size, stride, value):
    right = occlusion(score, image, size, stride, value)
    image[0, 0] = value
    return right


def test_the_occlusion_map_is_right():
    assert check_occlusion(occlusion)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *_: None, "squares of 2, stride 2: nothing came back yet"),
        (lambda *given: -occlusion(*given), "where the score falls, the map is positive"),
        (lambda *given: given[0](given[1]) - occlusion(*given), "the score that is left"),
        (lambda *given: occlusion(*given).T, "expected shape (2, 3), got (3, 2)"),
        (lambda *given: occlusion(*given)[:-1], "expected shape (2, 3), got (1, 3)"),
        (without_mending, "Each square is covered alone"),
        (on_the_image, "expected the image untouched"),
        (lambda score, image, *given: occlusion(lambda seen: score(seen[None]), image, *given), "expected one image"),
    ],
)
def test_usual_mistakes_in_occlusion_are_named(wrong, said):
    verdict = check_occlusion(wrong)
    assert not verdict
    assert said in verdict.said


def batch_norm(x, scale, bias, mean, var, train, axes=(0, 1, 2), keep=0.9, ddof=0, swap=False):
    new_mean, new_var = mean, var
    if train:
        batch_mean, batch_var = x.mean(axis=axes), x.var(axis=axes)
        new_mean = keep * mean + (1 - keep) * x.mean(axis=(0, 1, 2))
        new_var = keep * var + (1 - keep) * x.var(axis=(0, 1, 2), ddof=ddof)
    else:
        batch_mean, batch_var = mean, var
    if swap:
        batch_mean, batch_var = (mean, var) if train else (x.mean(axis=axes), x.var(axis=axes))
    return (x - batch_mean) / np.sqrt(batch_var + 1e-5) * scale + bias, new_mean, new_var


def changed(**options):
    return lambda *given: batch_norm(*given, **options)


def without_scale(x, scale, bias, mean, var, train):
    result, *running = batch_norm(x, scale, bias, mean, var, train)
    return (result - bias) / scale, *running


def test_batch_normalisation_is_right_in_training_and_at_evaluation():
    assert check_batch_norm(batch_norm)


def test_batch_normalisation_by_flax_is_right():
    def of_flax(x, scale, bias, mean, var, train):
        layer = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)
        variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": {"mean": mean, "var": var}}
        result, state = layer.apply(variables, x, mutable=["batch_stats"])
        return result, state["batch_stats"]["mean"], state["batch_stats"]["var"]

    assert check_batch_norm(of_flax)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *_: ..., "nothing came back yet"),
        (lambda *given: batch_norm(*given)[0], "expected three things"),
        (changed(swap=True), "In training it takes the batch statistics"),
        (lambda *given: batch_norm(*given[:-1], True), "At evaluation it takes the running statistics"),
        (changed(axes=0), "over the batch, the height and the width"),
        (without_scale, "Scale and bias come after it"),
        (lambda *given: (batch_norm(*given)[0], given[3], given[4]), "In training it moves"),
        (changed(keep=0.0), "It keeps nine tenths of what it was"),
        (changed(keep=0.1), "nine tenths of what it was, not one"),
        (changed(ddof=1), "the biased one"),
        (lambda *given: (batch_norm(*given)[0], *batch_norm(*given[:-1], True)[1:]), "At evaluation it stays"),
    ],
)
def test_usual_mistakes_in_batch_normalisation_are_named(wrong, said):
    verdict = check_batch_norm(wrong)
    assert not verdict
    assert said in verdict.said
