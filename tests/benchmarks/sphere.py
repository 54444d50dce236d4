"""A training step on the sphere beside one with softmax cross entropy, interleaved; ratios are what to quote.

    python -m tests.benchmarks.sphere

100 classes: cross entropy has 100 outputs, the sphere 50. The residual network is what both are for; the network of two
small dense layers is the worst case, where a loss is a large part of the step. Prototypes are timed by
`python -m tests.benchmarks.prototypes`.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

import zoo
from train.config import Optimizer, Schedule
from train.engine.optim import make_optimizer, make_schedule
from train.engine.state import initial_state
from train.engine.step import make_update
from train.tasks.classification.task import Classification
from train.tasks.fitting import as_rows
from train.tasks.sphere.task import SphereClassification
from zoo.hyperspheres import separate

CLASSES, DIMS, BATCH, ROUNDS = 100, 50, 128, 9
NAMES = tuple(map(str, range(CLASSES)))
NETWORKS = {"cifar_resnet20": ((32, 32, 3), 4), "mlp": ((28, 28, 1), 200)}
"""The images' shape, and steps a round."""


def stepper(name: str, task, shape: tuple[int, ...], steps: int):
    """A function that takes `steps` steps and returns the seconds of one."""
    random = np.random.default_rng(0)
    batch = {
        "image": jnp.asarray(random.random((BATCH, *shape), np.float32)),
        "label": jnp.asarray(random.integers(0, CLASSES, BATCH, np.int32)),
        "mask": jnp.ones(BATCH, bool),
    }
    model = zoo.create(name, **task.model_options())
    optimizer = make_optimizer(Optimizer("sgd", 0.01), make_schedule(Schedule("constant"), 0.01, 1))
    variables = zoo.init(model, jax.random.key(0, impl="rbg"), shape)
    state = initial_state(variables, optimizer, jax.random.key(1), False)
    update = jax.jit(make_update(model, task, optimizer), donate_argnums=0)

    def run() -> float:
        nonlocal state
        started = time.perf_counter()
        for _ in range(steps):
            state, sums = update(state, batch)
        jax.block_until_ready(sums)
        return (time.perf_counter() - started) / steps

    return run


def main() -> None:
    """Prints the ratio for each network: median, lowest and highest of the rounds."""
    started = time.perf_counter()
    prototypes = jax.block_until_ready(separate(jax.random.key(0), CLASSES, DIMS))
    print(f"separate({CLASSES}, {DIMS}): {time.perf_counter() - started:.2f} s")
    tasks = {
        "softmax": Classification(NAMES),
        "sphere": SphereClassification(NAMES, as_rows(prototypes)),
    }
    for name, (shape, steps) in NETWORKS.items():
        runs = {kind: stepper(name, task, shape, steps) for kind, task in tasks.items()}
        for run in runs.values():
            run()
        rounds = [{kind: run() for kind, run in runs.items()} for _ in range(ROUNDS)]
        ratios = [each["sphere"] / each["softmax"] for each in rounds]
        softmax = statistics.median(each["softmax"] for each in rounds)
        print(
            f"{name}: softmax {1e3 * softmax:.2f} ms a step; sphere / softmax {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
