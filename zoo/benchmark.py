"""How fast a model is on this machine: the times of compiling, of inference and of a training step.

What `python -m zoo benchmark NAME` prints. The inputs are random, so are the weights; both sides of a
comparison should be timed in one run, as `tests/benchmarks/convnets.py` does.
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PyTree

from zoo.catalog import Input, create, describe
from zoo.catalog.inputs import random_batch
from zoo.flops import count_flops

CALLS_AHEAD = 10
"""Calls of a program in a round, but on a CPU, where it is one.

On an accelerator a call returns at once: to wait after each would be to time the way there and back.
"""

DTYPES = ("float32", "bfloat16", "float16")

LEARNING_RATE = 1e-4
"""Small, so that a network with initial weights stays finite for as long as one likes to measure."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """One program, compiled once and run for some rounds."""

    compile_seconds: float
    """Tracing, lowering and compiling; a compilation cache, where one is on, makes it less."""
    milliseconds: tuple[float, ...]
    """A call, in each round: from the first call of the round until the results of its last are there, by calls."""

    def examples_per_second(self, batch: int) -> float:
        """At the median of the rounds."""
        return 1e3 * batch / statistics.median(self.milliseconds)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What was measured of one model."""

    name: str
    batch: int
    """Examples a call."""
    inputs: tuple[Input, ...]
    platform: str
    """"cpu", "gpu" or "tpu"."""
    device: str
    parameters: int
    """Trained numbers."""
    dtype: str
    """The compute type; parameters are float32."""
    flops: float
    """Of the inference of one example, see `zoo.flops`."""
    inference: Timing
    training: Timing | None
    """Forward and backward pass and an update of plain gradient descent, in place of the variables before."""


def benchmark(
    name: str, batch: int = 8, side: int = 0, rounds: int = 10, train: bool = False, dtype: str = "float32"
) -> Benchmark:
    """Times a model of the catalog on the default device.

    Args:
      name: a name in the catalog.
      batch: examples a call.
      side: pixels a side of images and of the frames of clips; by default the catalog's.
      rounds: how many times each program runs, after one run to warm up.
      train: time a training step too.
      dtype: the compute type: float32, bfloat16 or float16.

    Raises:
      UnknownNameError: no such model.
      ValueError: a size that is not positive, or that the model does not take; another type.

    >>> benchmark("mlp", batch=2, rounds=3).parameters
    535818
    """
    entry = describe(name)
    for what, value, least in (("batch", batch, 1), ("side", side, 0), ("rounds", rounds, 1)):
        if value < least:
            raise ValueError(f"{what}: expected a positive integer, got {value}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype}")
    described = tuple(_sized(one, side) for one in entry.inputs) if side else entry.inputs
    options = {} if dtype == "float32" else {"dtype": jnp.dtype(dtype)}
    model, random = create(name, **options), np.random.default_rng(0)
    inputs = random_batch(described, batch, random)  # zeros multiply faster on some chips
    key = jax.random.key(0, impl="rbg")
    shapes = jax.eval_shape(model.init, key, *inputs)  # first: a model that does not take the inputs says so at once
    flops = count_flops(create(name), shapes, *inputs)  # of float32: casts are no work of the network
    variables = _drawn(shapes, random)
    inference = timed(model.apply, (variables, *inputs), rounds)
    training = None
    if train:
        labels = None
        if entry.task in ("classification", "video_classification"):
            outputs = jax.eval_shape(model.apply, variables, *inputs).shape[-1]
            labels = jnp.asarray(random.integers(0, outputs, batch))
        training = timed(_training_step(model), (variables, inputs, labels, key), rounds, in_place=True)
    device = inputs[0].devices().pop()
    parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    return Benchmark(
        name,
        batch,
        described,
        device.platform,
        device.device_kind,
        parameters,
        dtype,
        flops / batch,
        inference,
        training,
    )


def _sized(one: Input, side: int) -> Input:
    """An image or a clip with so many pixels a side; another input as it is."""
    leading = {"image": 0, "clip": 1}.get(one.kind)
    if leading is None:
        return one
    return dataclasses.replace(one, shape=(*one.shape[:leading], side, side, *one.shape[leading + 2 :]))


def timed(function: Callable, arguments: tuple, rounds: int, in_place: bool = False) -> Timing:
    """Compiles a function for its arguments, runs it once to warm up, and times it.

    Args:
      function: what to time.
      arguments: its arguments.
      rounds: how many measurements.
      in_place: the result takes the memory and the place of the first argument, which is gone afterwards.
    """
    started = time.perf_counter()
    compiled = jax.jit(function, donate_argnums=(0,) if in_place else ()).lower(*arguments).compile()
    took = time.perf_counter() - started
    first, *others = arguments
    calls = 1 if jax.default_backend() == "cpu" else CALLS_AHEAD
    milliseconds = []
    for turn in range(rounds + 1):
        started = time.perf_counter()
        for _ in range(calls):
            result = compiled(first, *others)
            first = result if in_place else first
        jax.block_until_ready(result)
        if turn:  # the first warms up
            milliseconds.append(1e3 * (time.perf_counter() - started) / calls)
    return Timing(took, tuple(milliseconds))


def _drawn(shapes: PyTree[Any], random: np.random.Generator) -> PyTree[Array]:
    """Variables that let a signal through, drawn without a program to compile."""

    def draw(path: Any, leaf: Any) -> Array:
        last = path[-1].key
        if leaf.ndim < 2:
            return jnp.full(leaf.shape, 0.0 if last in ("bias", "mean") else 1.0, leaf.dtype)
        return jnp.asarray(random.standard_normal(leaf.shape) / math.sqrt(math.prod(leaf.shape[:-1])), leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def gradients(
    model: nn.Module,
    variables: PyTree[Array],
    inputs: tuple[Array, ...],
    labels: Int[Array, "batch"] | None,
    key: Key[Array, ""],
) -> tuple[PyTree[Array], PyTree[Array]]:
    """The gradient of a loss in the parameters, and the other variables after the forward pass.

    The loss is the mean cross entropy of a classifier's logits with the labels; without labels the sum of the mean
    squares of all outputs, whatever they are.
    """
    others = {collection: tree for collection, tree in variables.items() if collection != "params"}

    def loss(params: PyTree[Array]) -> tuple[Array, PyTree[Array]]:
        outputs, updated = model.apply(
            {"params": params, **others}, *inputs, train=True, rngs={"dropout": key}, mutable=list(others)
        )
        if labels is None:
            numbers = [leaf for leaf in jax.tree.leaves(outputs) if jnp.issubdtype(leaf.dtype, jnp.floating)]
            return sum(jnp.square(leaf).mean() for leaf in numbers), updated
        chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], axis=-1)
        return -chosen.mean(), updated

    return jax.grad(loss, has_aux=True)(variables["params"])


def _training_step(model: nn.Module) -> Callable[..., PyTree[Array]]:
    def step(variables: PyTree[Array], inputs: tuple[Array, ...], labels: Array | None, key: Array) -> PyTree[Array]:
        slopes, updated = gradients(model, variables, inputs, labels, key)
        params = jax.tree.map(lambda param, slope: param - LEARNING_RATE * slope, variables["params"], slopes)
        return {"params": params, **updated}

    return step


def print_benchmark(name: str, **options: Any) -> None:
    """Prints what `benchmark` measures with these options."""
    result = benchmark(name, **options)
    kinds = {one.kind for one in result.inputs}
    one, many = ("image", "images") if kinds == {"image"} else ("example", "examples")
    shapes = ", ".join(" x ".join(map(str, each.shape)) for each in result.inputs)
    print(f"{name}, {result.batch} {many} of {shapes}, {result.dtype}, on {result.platform} ({result.device})")
    print(f"parameters      {result.parameters:,}")
    print(f"FLOPs           {result.flops / 1e6:,.1f} million an {one}, as XLA counts them for TPU")
    for what, timing in (("inference", result.inference), ("training step", result.training)):
        if timing is not None:
            times = timing.milliseconds
            print(
                f"{what:<15} {statistics.median(times):,.1f} ms (from {min(times):,.1f} to {max(times):,.1f}, "
                f"{len(times)} rounds), {timing.examples_per_second(result.batch):,.1f} {many}/s, "
                f"compiled in {timing.compile_seconds:.1f} s"
            )
