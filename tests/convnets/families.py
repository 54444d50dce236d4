"""What the tests ask of every family: counts and shapes without computing anything, and a few steps of training."""

import functools
import math
import re
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from zoo.nn import BatchNorm
from zoo.weights import family_of
from zoo.weights.rules import to_ours, to_theirs

SMALL = re.compile(r"mlp|lenet5|cifar_resnet8|(?!convnext).*_tiny|.*_mini")
"""Names of the variants for tests: one of every class, and more where an architecture is two."""

SIBLINGS = re.compile(
    r"vgg(13|16_bn|19)|resnet101|resnext101_.*|resnet101_1x100d|se_resnet(34|152)|wide_resnet101_2|cifar_resnet1202"
    r"|cifar_preact_resnet1001|cifar_densenet_bc_250_24|densenet(169|201)|convnext_(small|large)|efficientnet_b[1-6]"
    r"|efficientnet_v2_[ml]|mnasnet(0_75|1_3)|regnet_[xy]_(800mf|1_6gf|3_2gf|8gf|16gf|32gf)|shufflenet_v2_x1_5|swin_s"
)
"""Networks that differ in numbers alone from others that are tested: of each family the ends of the row remain."""


def marks(name, quick):
    """When a network's test is run: by default, with the slow ones, or with all."""
    if quick:
        return []
    return [pytest.mark.exhaustive if SIBLINGS.fullmatch(name) else pytest.mark.slow]


@functools.cache
def shapes(model, input_shape):
    """Shapes of all variables by path; a network is traced once, whoever asks."""
    images = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    return types.MappingProxyType(flatten_dict(jax.eval_shape(model.init, jax.random.key(0), images), sep="/"))


def parameters(name, **overrides):
    """How many parameters a model of the catalog has."""
    found = shapes(zoo.create(name, **overrides), zoo.describe(name).input_shape)
    return sum(math.prod(leaf.shape) for path, leaf in found.items() if path.startswith("params/"))


def outputs(model, input_shape, **options):
    """Shapes and types of what the model gives for two examples."""
    images = jax.ShapeDtypeStruct((2, *input_shape), jnp.float32)
    variables = unflatten_dict(dict(shapes(model, input_shape)), sep="/")
    order = []  # eval_shape sorts names

    def forward(variables, images):
        result, _ = model.apply(variables, images, mutable=True, rngs={"dropout": jax.random.key(0)}, **options)
        order.extend(result if isinstance(result, dict) else ())
        return result

    result = jax.eval_shape(forward, variables, images)
    return {name: result[name] for name in order} if order else result


def feature_shapes(name, side=None, **overrides):
    """(height, width, channels) of every feature of a model of the catalog, in order of computation."""
    shape = zoo.describe(name).input_shape if side is None else (side, side, 3)
    return {key: value.shape[1:] for key, value in outputs(zoo.create(name, **overrides), shape, features=True).items()}


def layout(name, layout_name, **overrides):
    """Shapes by the names that a layout gives to a model's arrays, every one of which comes back where it was."""
    model = zoo.create(name, **overrides)
    family = family_of(layout_name, model)
    empty = {
        path: np.broadcast_to(np.float32(0), leaf.shape)
        for path, leaf in shapes(model, zoo.describe(name).input_shape).items()
    }
    theirs, problems = to_theirs(family, empty)
    assert not problems
    back, _, problems = to_ours(family, theirs)
    assert not problems
    assert {path: array.shape for path, array in back.items()} == {path: array.shape for path, array in empty.items()}
    return {key: array.shape for key, array in theirs.items()}


def initial(model, input_shape, *layers):
    """The initial parameters of some layers, by path, drawn; compiling these alone takes the least time."""

    def draw(key):
        params = flatten_dict(model.init(key, jnp.zeros((1, *input_shape)))["params"], sep="/")
        return {path: value for path, value in params.items() if path.rpartition("/")[0] in layers}

    return jax.jit(draw)(jax.random.key(0, impl="rbg"))  # faster than threefry


def assert_spread(array, std):
    """The values are drawn with this standard deviation, as far as their number tells."""
    assert abs(float(array.std()) / std - 1) < 6 / math.sqrt(2 * array.size)


def norms(model, input_shape):
    """Momentum and epsilon of all the model's batch norms."""
    found = set()

    def look(call, arguments, options, context):
        if isinstance(context.module, BatchNorm):
            found.add((context.module.momentum, context.module.epsilon))
        return call(*arguments, **options)

    with nn.intercept_methods(look):
        shapes.__wrapped__(model, input_shape)  # a trace of its own
    return found


def he_normal(model, input_shape):
    """Variables drawn by numpy, which compiles nothing: kernels of He's size, and all else as it begins."""
    random = np.random.default_rng(0)
    drawn = {}
    for path, leaf in shapes(model, input_shape).items():
        if path.endswith("kernel"):
            fan_in = math.prod(leaf.shape[:-1])
            drawn[path] = (random.standard_normal(leaf.shape) * math.sqrt(2 / fan_in)).astype(leaf.dtype)
        else:
            drawn[path] = np.full(leaf.shape, float(path.endswith(("scale", "var"))), leaf.dtype)
    return unflatten_dict(drawn, sep="/")


def losses(name, steps=4, rate=0.05, **overrides):
    """Training losses of a model of the catalog on four images, step by step; one compilation."""
    model = zoo.create(name, **overrides)
    side = zoo.describe(name).input_shape[0]
    images, labels = numbers.images(4, side).transpose(0, 2, 3, 1), jnp.arange(4)
    variables = he_normal(model, images.shape[1:])

    @jax.jit
    def step(variables, key):
        def loss(params):
            out, state = model.apply(
                {**variables, "params": params}, images, train=True, mutable=["batch_stats"], rngs={"dropout": key}
            )
            heads = out if isinstance(out, dict) else {"logits": out}
            terms = [-jax.nn.log_softmax(logits)[jnp.arange(4), labels].mean() for logits in heads.values()]
            return sum(terms), state

        (value, state), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        params = jax.tree.map(lambda p, g: p - rate * g, variables["params"], gradients)
        return value, {"params": params, **state}

    values = []
    for i in range(steps):
        value, variables = step(variables, jax.random.key(i))
        values.append(float(value))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))
    return values
