"""What the engine costs: its steps beside a hand-written `lax.scan` loop, and the time to a first step.

    python -m tests.benchmarks.step           the MNIST network, batch 128, five interleaved rounds
    python -m tests.benchmarks.step first     ResNet-20's time to first step, with a warm compilation cache, by phase
    python -m tests.benchmarks.step first inexact    the same with kernels of a GPU that need not repeat their bits

Both sides do the same arithmetic on the same number of random images; ratios are what to quote.
"""

import json
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import zoo
from train.config import Augment, Optimizer, Schedule
from train.data import ArraySource, Facts, MemoryPipeline, augment
from train.engine.feed import MemoryFeed, choose_steps_per_dispatch
from train.engine.optim import make_optimizer, make_schedule
from train.engine.placement import MeshPlacement
from train.engine.state import initial_state
from train.engine.step import make_update
from train.tasks.classification.task import Classification

EXAMPLES, BATCH, STEPS, ROUNDS = 12_800, 128, 960, 5
HIDDEN, CLASSES = (512, 256), 10


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """Random bytes of MNIST's shape: never zeros, which some hardware multiplies faster."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (EXAMPLES, 28, 28, 1), np.uint8)
    return images, random.integers(0, CLASSES, EXAMPLES, np.int32)


def engine():
    """STEPS steps of the engine, as `python -m train fit mnist_mlp` takes them."""
    images, labels = images_and_labels()
    source = ArraySource("random", {"image": images, "label": labels}, facts=Facts(classes=tuple("0123456789")))
    model = zoo.create("mlp", hidden=HIDDEN)
    optimizer = make_optimizer(Optimizer("sgd", 0.01, weight_decay=0.0), make_schedule(Schedule("constant"), 0.01, 1))
    placement = MeshPlacement()

    def make_state():
        variables = model.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
        return initial_state(variables, optimizer, jax.random.key(1), False)

    chunk = choose_steps_per_dispatch(0, placement, jax.eval_shape(make_state).params)
    update = make_update(model, Classification(source.facts.classes), optimizer)
    vary = augment(Augment(), source.spec, source.facts, ())
    feed = MemoryFeed(MemoryPipeline(source, BATCH, 0), placement, vary, update, chunk)
    state = placement.initialise(make_state)

    def run() -> float:
        nonlocal state
        started = time.perf_counter()
        for step in range(0, STEPS, chunk):
            state, sums, _ = feed.advance(state, step, chunk)
        jax.block_until_ready(sums)
        return time.perf_counter() - started

    return run


def bare():
    """The same steps by hand: one `lax.scan` over batches gathered on the device, nothing else."""
    images, labels = (jnp.asarray(array) for array in images_and_labels())
    optimizer = optax.sgd(0.01, 0.9)
    sizes = (784, *HIDDEN, CLASSES)
    keys = jax.random.split(jax.random.key(0), len(sizes))
    params = [
        (jax.random.normal(key, (n, m)) * (2 / n) ** 0.5, jnp.zeros(m))
        for key, n, m in zip(keys, sizes[:-1], sizes[1:], strict=False)
    ]

    def loss_of(params, x, y):
        for i, (weight, bias) in enumerate(params):
            x = x @ weight + bias
            x = jax.nn.relu(x) if i < len(params) - 1 else x
        return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()

    def step(carry, rows):
        params, opt_state = carry
        x = images[rows].reshape(BATCH, -1).astype(jnp.float32) / 255
        loss, grads = jax.value_and_grad(loss_of)(params, x, labels[rows])
        updates, opt_state = optimizer.update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), loss

    loop = jax.jit(lambda carry, rows: jax.lax.scan(step, carry, rows), donate_argnums=0)
    carry = (params, optimizer.init(params))
    order = np.random.default_rng(1)

    def run() -> float:
        nonlocal carry
        rows = np.concatenate(
            [order.permutation(EXAMPLES).astype(np.int32) for _ in range(STEPS * BATCH // EXAMPLES + 1)]
        )
        rows = rows[: STEPS * BATCH].reshape(STEPS, BATCH)
        started = time.perf_counter()
        carry, losses = loop(carry, rows)
        jax.block_until_ready(losses)
        return time.perf_counter() - started

    return run


def overhead() -> None:
    """Prints the steps a second of both, and the engine's share of the bare loop's."""
    sides = {"engine": engine(), "bare scan": bare()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():
        run()  # compiles
    for _ in range(ROUNDS):
        for name, run in sides.items():
            times[name].append(run())
    for name, seconds in times.items():
        low, middle, high = (STEPS / f(seconds) for f in (max, statistics.median, min))
        print(f"{name:<10} {middle:8.0f} steps/s  (from {low:.0f} to {high:.0f})")
    ratios = [b / e for e, b in zip(times["engine"], times["bare scan"], strict=True)]
    print(f"engine / bare scan: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")


FIRST_STEP = """
import dataclasses, json, sys, time
times = [time.perf_counter()]
exact = "inexact" not in sys.argv
import jax
from train.engine.compiled import keep_compiled_programs
from train.engine import exact as kernels
from train.engine.assemble import assemble
from train.config import Model
from train.recipes import get
keep_compiled_programs()
kernels.ask(exact)
times.append(time.perf_counter())
jax.devices()
times.append(time.perf_counter())
recipe = dataclasses.replace(get("digits"), model=Model("cifar_resnet20"), exact=exact)
run = assemble(recipe)
feed = run.make_feed()
times.append(time.perf_counter())
state = jax.block_until_ready(run.placement.initialise(run.make_state))
times.append(time.perf_counter())
state, sums, _ = feed.advance(state, 0, 1)
jax.block_until_ready(sums)
times.append(time.perf_counter())
state, sums, _ = feed.advance(state, 1, 1)
jax.block_until_ready(sums)
times.append(time.perf_counter())
print(json.dumps([after - before for before, after in zip(times, times[1:])]))
"""
PHASES = ("imports", "devices", "data and model", "initial state", "first step", "second step")


def first_step(*options: str) -> None:
    """Prints the seconds from starting Python to ResNet-20's first finished step, and where they go.

    The first attempt fills the cache of compiled programs.
    """
    for attempt in range(4):
        command = [sys.executable, "-c", FIRST_STEP, *options]
        seconds = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        parts = ", ".join(f"{phase} {time:.2f}" for phase, time in zip(PHASES, seconds, strict=True))
        print(f"{'cold or warm' if attempt == 0 else 'warm'}: {sum(seconds[:-1]):.1f} s ({parts})")


if __name__ == "__main__":
    first_step(*sys.argv[2:]) if sys.argv[1:2] == ["first"] else overhead()
