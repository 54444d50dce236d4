"""Variables drawn by numpy, by the names that arrays have in torch: no compilation, the same in any library."""

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from tests.convnets.goldens import numbers
from zoo.weights import family_of
from zoo.weights.rules import rename


def torch_name(path):
    """The torch name of our path, and the axes that a torch array is transposed by."""
    rules = family_of("akamaster/cifar_resnet", None).rules
    named = ((rename(path, rule.ours, rule.theirs), rule.axes) for rule in rules)
    return next((name, axes) for name, axes in named if name is not None)


def variables_of(model, input_shape=(32, 32, 3)):
    """The variables that the golden files were made with."""
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *input_shape))))
    drawn = {}
    for path, ours in flatten_dict(shapes, sep="/").items():
        name, axes = torch_name(path)
        theirs = list(ours.shape)
        for axis, source in enumerate(axes or range(len(ours.shape))):
            theirs[source] = ours.shape[axis]
        array = numbers.weight(name, tuple(theirs))
        drawn[path] = array.transpose(axes) if axes else array
    return unflatten_dict(drawn, sep="/")


def drawn(module, *inputs):
    """Variables of any module of the zoo for these inputs."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: (0.5 + 0.5 * random.random(leaf.shape)).astype(leaf.dtype), shapes)
