"""Checks of the exercises on many devices: the parts of a batch, the shares of an array, sums in bfloat16. Row L12."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from zoo.exercises.mistakes import is_same
from zoo.exercises.verdict import Verdict, Wrong, judged, same

SMALLEST = 2**12
"""Elements of the smallest array that is worth sharing out."""


def check_parallel_gradient(parallel_gradient: Callable) -> Verdict:
    """Checks `parallel_gradient(gradient, weights, inputs, targets, devices)`: a batch's gradient, from its parts.

    >>> check_parallel_gradient(lambda gradient, weights, inputs, targets, devices: None)
    Not yet: gradient on 4 devices: nothing came back yet
    """
    return judged(lambda: _parallel_gradient(parallel_gradient))


def _parallel_gradient(parallel_gradient: Callable) -> str:
    random = np.random.default_rng(0)
    weights = random.normal(size=3).astype(np.float32)

    @jax.grad
    def slope(weights, inputs, targets):
        return jnp.mean((inputs @ weights - targets) ** 2)

    for devices, examples in ((4, 24), (8, 16), (1, 5)):
        inputs, targets = random.normal(size=(examples, 3)), random.normal(size=examples)
        seen: list[int] = []

        def gradient(weights, inputs, targets, seen=seen):
            seen.append(len(inputs))
            return slope(weights, jnp.asarray(inputs), jnp.asarray(targets))

        what = f"gradient on {devices} device{'s' if devices > 1 else ''}"
        got = parallel_gradient(gradient, weights, inputs, targets, devices)
        right = slope(weights, jnp.asarray(inputs), jnp.asarray(targets))
        try:
            same(what, got, right)
        except Wrong as wrong:
            if is_same(got, devices * right):
                raise Wrong(f"{wrong}. That is the sum of the parts' gradients; the loss is a mean") from None
            if seen and sum(seen) < examples:
                raise Wrong(f"{wrong}. Only {sum(seen)} of {examples} examples were used") from None
            raise
        if set(seen) != {examples // devices}:  # under vmap it is asked once, for all parts
            raise Wrong(f"{what}: expected it asked for {examples // devices} examples a device, got {seen}")
    return "the mean of the parts' gradients is the gradient of the batch, so devices only exchange gradients"


def check_bytes_per_device(bytes_per_device: Callable) -> Verdict:
    """Checks `bytes_per_device(shape, devices)`: of a float32 array that FSDP shares out.

    >>> check_bytes_per_device(lambda shape, devices: 4 * math.prod(shape) // devices)
    Not yet: bytes of (3, 3, 16, 16) on 8 devices: expected 9216, got 1152. It has under 4096 elements: all stays
    """
    return judged(lambda: _bytes_per_device(bytes_per_device))


def _bytes_per_device(bytes_per_device: Callable) -> str:
    cases = [
        ((3, 3, 64, 64), 8),
        ((3, 3, 16, 16), 8),
        ((64, 64), 8),
        ((10,), 8),
        ((63, 129), 8),
        ((1000, 2048), 4),
        ((5, 4096), 2),
        ((4096, 5), 2),  # the first axis alone
        ((64, 129), 8),  # not the longest
        ((66, 132), 8),  # their product, and neither of them
        ((784, 300), 1),
    ]
    for shape, devices in cases:
        whole = 4 * math.prod(shape)
        right, why = 4 * math.prod(_share(shape, devices)), ""
        got = bytes_per_device(shape, devices)
        if math.prod(shape) < SMALLEST:
            why = f". It has under {SMALLEST} elements: all stays"
        elif right == whole and devices > 1:
            why = f". No axis of it divides by {devices}: all stays"
        elif got == whole and devices > 1:
            why = ". An axis of it divides: each keeps one part"
        elif got == right // 4:
            why = ". A float32 has 4 bytes"
        what = f"bytes of {shape} on {devices} device{'s' if devices > 1 else ''}"
        try:
            same(what, got, right, 0)
        except Wrong as wrong:
            raise Wrong(f"{wrong}{why}") from None
    return "large arrays are divided by the number of devices, and small ones stay whole"


def _share(shape: tuple[int, ...], devices: int) -> tuple[int, ...]:
    """What jax gives each device of an array whose largest axis that divides is split."""
    dividing = [axis for axis, size in enumerate(shape) if size % devices == 0]
    if math.prod(shape) < SMALLEST or not dividing:
        return shape
    axis = max(dividing, key=lambda each: shape[each])
    mesh = AbstractMesh((devices,), ("data",))
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data")).shard_shape(shape)


def check_total(total: Callable) -> Verdict:
    """Checks `total(values)`: the sum of many bfloat16 numbers, to four digits.

    >>> check_total(lambda values: jax.lax.scan(lambda sum, value: (sum + value, None), values[0], values[1:])[0])
    Not yet: total of 3,000 numbers: expected 2998.62, got 512. In bfloat16 it has 8 bits: keep it in float32
    """
    return judged(lambda: _total(total))


def _total(total: Callable) -> str:
    random = np.random.default_rng(0)
    for count in (3000, 100):
        values = jnp.asarray(random.uniform(0.9, 1.1, count), jnp.bfloat16)
        right = np.asarray(values, np.float64).sum()
        got = total(values)
        in_bfloat16 = getattr(got, "dtype", None) == jnp.bfloat16
        got = got.astype(jnp.float32) if in_bfloat16 else got  # numpy does not take it for a number
        try:
            same(f"total of {count:,} numbers", got, right, 1e-4)
        except Wrong as wrong:
            if is_same(got, right / count, 0.02):
                raise Wrong(f"{wrong}. That is the mean") from None
            if in_bfloat16:
                raise Wrong(f"{wrong}. In bfloat16 it has 8 bits: keep it in float32") from None
            raise
    return "numbers may be bfloat16, but their sums are kept in float32"
