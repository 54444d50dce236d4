"""How fast a model is on this machine: the times of compiling, of inference and of a training step.

What `python -m zoo benchmark NAME` prints. The images are random, so are the weights; both sides of a
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

from zoo.catalog import create, describe
from zoo.flops import count_flops

LEARNING_RATE = 1e-4
"""Small, so that a network with initial weights stays finite for as long as one likes to measure."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """One program, compiled once and run for some rounds."""

    compile_seconds: float
    """Tracing, lowering and compiling; a compilation cache, where one is on, makes it less."""
    milliseconds: tuple[float, ...]
    """Of each round, from the call until the results are there."""

    def images_per_second(self, batch: int) -> float:
        """At the median of the rounds."""
        return 1e3 * batch / statistics.median(self.milliseconds)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What was measured of one model."""

    name: str
    batch: int
    """Images a call."""
    image_shape: tuple[int, ...]
    platform: str
    """"cpu", "gpu" or "tpu"."""
    device: str
    parameters: int
    """Trained numbers."""
    flops: float
    """Of the inference of one image, see `zoo.flops`."""
    inference: Timing
    training: Timing | None
    """Forward and backward pass and an update of plain gradient descent."""


def benchmark(name: str, batch: int = 8, side: int = 0, rounds: int = 10, train: bool = False) -> Benchmark:
    """Times a model of the catalog on the default device.

    Args:
      name: a name in the catalog.
      batch: images a call.
      side: pixels a side of the images; by default the catalog's.
      rounds: how many times each program runs, after one run to warm up.
      train: time a training step too.

    Raises:
      UnknownNameError: no such model.
      ValueError: a size that is not positive, or that the model does not take.

    >>> benchmark("mlp", batch=2, rounds=3).parameters
    535818
    """
    entry = describe(name)
    for what, value, least in (("batch", batch, 1), ("side", side, 0), ("rounds", rounds, 1)):
        if value < least:
            raise ValueError(f"{what}: expected a positive integer, got {value}")
    shape = (side, side, *entry.input_shape[2:]) if side else entry.input_shape
    model, random = create(name), np.random.default_rng(0)
    images = jnp.asarray(random.standard_normal((batch, *shape)), jnp.float32)  # zeros multiply faster on some chips
    key = jax.random.key(0, impl="rbg")
    shapes = jax.eval_shape(model.init, key, images)  # first: a model that does not take the images says so at once
    flops = count_flops(model, shapes, images)
    variables = _drawn(shapes, random)
    inference = timed(model.apply, (variables, images), rounds)
    training = None
    if train:
        outputs = jax.eval_shape(model.apply, variables, images).shape[-1]
        labels = jnp.asarray(random.integers(0, outputs, batch))
        training = timed(_training_step(model), (variables, images, labels, key), rounds)
    device = images.devices().pop()
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return Benchmark(
        name, batch, shape, device.platform, device.device_kind, parameters, flops / batch, inference, training
    )


def timed(function: Callable, arguments: tuple, rounds: int) -> Timing:
    """Compiles a function for its arguments, runs it once to warm up, and times it."""
    started = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    took = time.perf_counter() - started
    jax.block_until_ready(compiled(*arguments))
    milliseconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        milliseconds.append(1e3 * (time.perf_counter() - started))
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
    model: nn.Module, variables: PyTree[Array], images: Array, labels: Int[Array, "batch"], key: Key[Array, ""]
) -> tuple[PyTree[Array], PyTree[Array]]:
    """The gradient of the mean cross entropy in the parameters, and the other variables after the forward pass."""
    others = {collection: tree for collection, tree in variables.items() if collection != "params"}

    def loss(params: PyTree[Array]) -> tuple[Array, PyTree[Array]]:
        logits, updated = model.apply(
            {"params": params, **others}, images, train=True, rngs={"dropout": key}, mutable=list(others)
        )
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)
        return -chosen.mean(), updated

    return jax.grad(loss, has_aux=True)(variables["params"])


def _training_step(model: nn.Module) -> Callable[..., PyTree[Array]]:
    def step(variables: PyTree[Array], images: Array, labels: Array, key: Array) -> PyTree[Array]:
        slopes, updated = gradients(model, variables, images, labels, key)
        params = jax.tree.map(lambda param, slope: param - LEARNING_RATE * slope, variables["params"], slopes)
        return {"params": params, **updated}

    return step


def print_benchmark(name: str, **options: Any) -> None:
    """Prints what `benchmark` measures with these options."""
    result = benchmark(name, **options)
    shape = " x ".join(map(str, result.image_shape))
    print(f"{name}, {result.batch} images of {shape}, on {result.platform} ({result.device})")
    print(f"parameters      {result.parameters:,}")
    print(f"FLOPs           {result.flops / 1e6:,.1f} million an image, as XLA counts them for TPU")
    for what, timing in (("inference", result.inference), ("training step", result.training)):
        if timing is not None:
            times = timing.milliseconds
            print(
                f"{what:<15} {statistics.median(times):,.1f} ms (from {min(times):,.1f} to {max(times):,.1f}, "
                f"{len(times)} rounds), {timing.images_per_second(result.batch):,.1f} images/s, "
                f"compiled in {timing.compile_seconds:.1f} s"
            )
