"""What the tests of a step share: a batch, and updates and states of small models, compiled once."""

import functools

import jax
import numpy as np
import optax

from tests.train.small import TASK, images_and_labels, make_state
from train.config import Optimizer
from train.engine.optim import make_optimizer
from train.engine.step import make_update

BATCH = images_and_labels()
IMAGES = BATCH["image"]
MOMENTUM = Optimizer("sgd", momentum=0.9, weight_decay=0.01)


def optimizer_of(config, rate=0.1):
    return make_optimizer(config, optax.constant_schedule(rate))


@functools.cache
def compiled(model, config=MOMENTUM, rate=0.1, **options):
    return jax.jit(make_update(model, TASK, optimizer_of(config, rate), **options))


@functools.cache
def state_of(model, config=MOMENTUM, **options):
    return make_state(model, optimizer_of(config), IMAGES, **options)


def run(update, state, batches):
    """The last state and the sums of each step."""
    collected = []
    for batch in batches:
        state, sums = update(state, batch)
        collected.append(floats(sums))
    return state, collected


def floats(sums):
    """All sums of a step by name, the loss as its total."""
    totals = {name: np.asarray(value) if np.ndim(value) else float(value) for name, value in sums.totals.items()}
    return {**totals, "loss": float(sums.loss.total), "weight": float(sums.loss.weight), "finite": float(sums.finite)}


def shapes_and_types(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def assert_close(found, expected, tolerance=1e-6):
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=tolerance), found, expected)
