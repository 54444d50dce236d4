"""Exercises on many devices: right answers written here pass, and usual mistakes are told what they are."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.exercises import many_devices as exercises


def parts_of(gradient, weights, inputs, targets, devices):
    pairs = zip(np.split(inputs, devices), np.split(targets, devices), strict=True)
    return [gradient(weights, *pair) for pair in pairs]


def mean_of_parts(*arguments):
    return np.mean(parts_of(*arguments), axis=0)


def sum_of_parts(*arguments):
    return np.sum(parts_of(*arguments), axis=0)


def first_part(gradient, weights, inputs, targets, devices):
    return gradient(weights, np.split(inputs, devices)[0], np.split(targets, devices)[0])


def whole(gradient, weights, inputs, targets, devices):
    return gradient(weights, inputs, targets)


def in_bytes(shape, devices):
    count = math.prod(shape)
    shared = count >= 4096 and any(size % devices == 0 for size in shape)
    return 4 * count // (devices if shared else 1)


def mean_of_mapped_parts(gradient, weights, inputs, targets, devices):
    parts = (jnp.reshape(array, (devices, -1, *array.shape[1:])) for array in (inputs, targets))
    return jnp.mean(jax.vmap(gradient, in_axes=(None, 0, 0))(weights, *parts), axis=0)


def where(shared):
    """Bytes of an array of at least 4096 elements, divided where `shared(shape, devices)`."""

    def in_bytes(shape, devices):
        count = math.prod(shape)
        return 4 * count // (devices if count >= 4096 and shared(shape, devices) else 1)

    return in_bytes


def shared_always_where_an_axis_divides(shape, devices):
    return 4 * math.prod(shape) // (devices if any(size % devices == 0 for size in shape) else 1)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (exercises.check_parallel_gradient, mean_of_parts),
        (exercises.check_parallel_gradient, mean_of_mapped_parts),
        (exercises.check_bytes_per_device, in_bytes),
        (exercises.check_total, lambda values: jnp.sum(values.astype(jnp.float32))),
        (exercises.check_total, lambda values: jnp.sum(values, dtype=jnp.float32)),
    ],
)
def test_a_right_answer_is_right(check, answer):
    assert check(answer), check(answer)


@pytest.mark.parametrize(
    ("check", "answer", "said"),
    [
        (exercises.check_parallel_gradient, lambda *_: ..., "nothing came back yet"),
        (exercises.check_parallel_gradient, sum_of_parts, "the loss is a mean"),
        (exercises.check_parallel_gradient, first_part, "Only 6 of 24 examples were used"),
        (exercises.check_parallel_gradient, whole, "for 6 examples a device, got [24]"),
        (exercises.check_parallel_gradient, lambda: None, "TypeError"),
        (exercises.check_bytes_per_device, lambda shape, devices: 4 * math.prod(shape), "each keeps one part"),
        (exercises.check_bytes_per_device, lambda shape, devices: math.prod(shape) // devices, "has 4 bytes"),
        (exercises.check_bytes_per_device, shared_always_where_an_axis_divides, "under 4096 elements"),
        (
            exercises.check_bytes_per_device,
            lambda shape, devices: 4 * math.prod(shape) // (devices if math.prod(shape) >= 4096 else 1),
            "No axis of it divides by 8",
        ),
        (exercises.check_bytes_per_device, where(lambda shape, n: math.prod(shape) % n == 0), "No axis of it divides"),
        (exercises.check_bytes_per_device, where(lambda shape, n: shape[-1] % n == 0), "each keeps one part"),
        (exercises.check_bytes_per_device, where(lambda shape, n: max(shape) % n == 0), "each keeps one part"),
        (exercises.check_bytes_per_device, lambda shape, devices: None, "nothing came back yet"),
        (exercises.check_total, lambda values: jnp.sum(values, dtype=jnp.float32) / len(values), "That is the mean"),
        (exercises.check_total, lambda values: jnp.sum(values), "keep it in float32"),
        (exercises.check_total, lambda values: float(values[0]) * 3000, "expected 2998.62"),
        (exercises.check_total, lambda values: values, "expected shape ()"),
    ],
)
def test_a_usual_mistake_is_named(check, answer, said):
    verdict = check(answer)
    assert not verdict
    assert said in verdict.said
