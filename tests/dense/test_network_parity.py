"""FCN on VGG-16, SegNet and U-Net beside the same networks in torch's layers: logits, and every gradient."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from tests.convnets.goldens import numbers
from tests.dense.goldens import networks as given
from zoo.dense.fcn_vgg import FCNVGG
from zoo.dense.segnet import SegNet
from zoo.dense.unet import UNet

QUICK = ("fcn8s", "unet")
KINDS = {"fcn": FCNVGG, "seg": SegNet, "une": UNet}
ENDS = {"running_mean": ("batch_stats", "mean"), "running_var": ("batch_stats", "var"), "bias": ("params", "bias")}


@functools.cache
def golden(name):
    with np.load(Path(__file__).parent / "goldens" / f"{name}.npz") as file:
        return dict(file)


def model_of(name):
    options = {key: value for key, value in given.NETWORKS[name].items() if key != "size"}
    return KINDS[name[:3]](num_classes=given.CLASSES, **options)


def place_of(key, shape):
    """Our path of an array of theirs, and where its axes come from."""
    *layer, end = key.split(".")
    collection, last = ENDS.get(end, ("params", "kernel" if len(shape) > 1 else "scale"))
    axes = tuple(range(len(shape)))
    if len(shape) == 4:  # theirs transposed begins with its inputs
        axes = (2, 3, 0, 1) if layer[-1].startswith("upscore") or is_up_convolution(layer[-1], shape) else (2, 3, 1, 0)
    return "/".join((collection, *layer, last)), axes


def is_up_convolution(layer, shape):
    return layer.startswith("enlarge") and shape[2:] == (2, 2)


@functools.cache
def compared(name):
    """Logits, and the statistics of the gradients in the order of the file."""
    shapes = numbers.shapes(golden(name)["names"])
    model, variables = model_of(name), {}
    for key, shape in shapes.items():
        path, axes = place_of(key, shape)
        variables[path] = numbers.weight(key, shape).transpose(axes)
    variables, images = unflatten_dict(variables, sep="/"), given.images(name)
    slopes = given.slopes(tuple(golden(name)["shape"][[0, 2, 3, 1]]))

    @jax.jit
    def both(variables, images):
        rest = {kind: tree for kind, tree in variables.items() if kind != "params"}
        logits, back = jax.vjp(lambda params: model.apply({"params": params, **rest}, images), variables["params"])
        return logits, back(jnp.asarray(slopes))[0]

    logits, gradients = jax.device_get(both(variables, images))
    gradients = flatten_dict({"params": gradients}, sep="/")
    found = []
    for key, shape in shapes.items():
        path, axes = place_of(key, shape)
        if path in gradients:
            found.append(numbers.statistic(key, gradients.pop(path).transpose(np.argsort(axes))))
    assert not gradients
    return logits.transpose(0, 3, 1, 2), np.stack(found)


of_every_network = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])  # a program each
        for name in given.NETWORKS
    ],
)


@of_every_network
def test_logits_are_those_of_torchs_layers(name):
    logits = compared(name)[0]
    assert logits.shape == tuple(golden(name)["shape"])
    expected = golden(name)["logits"]
    np.testing.assert_allclose(numbers.samples("logits", logits), expected, rtol=0, atol=1e-4 * expected[-1])


@of_every_network
def test_gradients_are_those_of_torchs_layers(name):
    found, expected = compared(name)[1], golden(name)["gradients"]
    assert found.shape == expected.shape
    for ours, theirs in zip(found, expected, strict=True):  # relative to the root mean square
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3 * max(theirs[1], 1e-6))
