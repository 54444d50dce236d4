"""Variables of a network that says something of noise, drawn without a program to compile."""

import math

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict


def drawn(model, *inputs):
    """Of the shapes that the model has for these inputs."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    random, found = np.random.default_rng(1), {}
    for path, leaf in flatten_dict(shapes, sep="/").items():
        values = random.standard_normal(leaf.shape)
        if path.endswith("kernel"):
            values *= math.sqrt(2 / math.prod(leaf.shape[:-1]))
        elif path.endswith(("scale", "var")):
            values = random.uniform(0.5, 1.5, leaf.shape)
        else:
            values *= 0.1
        found[path] = (0.3 * values if "deltas" in path else values).astype(leaf.dtype)
    return unflatten_dict(found, sep="/")
