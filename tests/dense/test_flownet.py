"""FlowNet: the same network in torch, from one size of flow to the next; numbers of parameters in closed form."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from tests.dense.goldens import flow as given
from zoo.dense.flownet import STRIDES, FlowNetC, FlowNetS
from zoo.nn.resize import resize

GOLDENS = Path(__file__).parent / "goldens"


def model_of(name):
    fields = {"widths": given.WIDTHS, "refined": given.REFINED}
    if name == "flownet_s":
        return FlowNetS(**fields)
    return FlowNetC(**fields, redirected=given.REDIRECTED, max_displacement=given.MAX_DISPLACEMENT, step=given.STEP)


def variables_of(name):
    found = {}
    for key, shape in given.layers(name).items():
        layer = given.filters(key, shape)
        turned = key.startswith(("deconv", "upsample"))
        found[f"{key}/kernel"] = layer["kernel"].transpose((2, 3, 0, 1) if turned else (2, 3, 1, 0))
        found[f"{key}/bias"] = layer["bias"]
    return {"params": unflatten_dict(found, sep="/")}


@functools.cache
def ours(name):
    model = model_of(name)

    @jax.jit
    def program(variables, images):
        def total(params):
            flows = model.apply({"params": params}, *images, train=True)
            slopes = (
                given.slopes(f"flow{level}", flow.shape) for level, flow in zip((6, 5, 4, 3, 2), flows, strict=True)
            )
            return sum((flow * slope).sum() for flow, slope in zip(flows, slopes, strict=True)), flows

        return jax.grad(total, has_aux=True)(variables["params"]), model.apply(variables, *images)

    return jax.device_get(program(variables_of(name), given.pair(*given.FLOWNETS[name])))


# Each five seconds to compile; the second has all that the first has but for its first layer.
of_both = pytest.mark.parametrize("name", [pytest.param("flownet_s", marks=pytest.mark.slow), "flownet_c"])


@of_both
def test_flows_of_every_size_and_gradients_are_torchs(name):
    (slopes, flows), fine = ours(name)
    with np.load(GOLDENS / f"{name}.npz") as file:
        golden = dict(file)
    for level, flow in zip((6, 5, 4, 3, 2), flows, strict=True):
        expected = golden[f"flow{level}"]
        found = numbers.samples(f"flow{level}", np.moveaxis(flow, -1, 1))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected[-1])
    named = flatten_dict(slopes, sep="/")
    expected = iter(golden["slopes"])
    for key in given.layers(name):
        turned = key.startswith(("deconv", "upsample"))
        for kind in ("kernel", "bias"):
            slope = named[f"{key}/{kind}"]
            slope = slope.transpose((2, 3, 0, 1) if turned else (3, 2, 0, 1)) if kind == "kernel" else slope
            there = next(expected)
            np.testing.assert_allclose(numbers.statistic(f"{key}/{kind}", slope), there, atol=1e-3 * there[1])
    np.testing.assert_allclose(fine, resize(flows[-1], fine.shape[1:3]), atol=1e-3)


def closed_form(joined, first, biases):
    """Parameters of a network whose first convolution has so many weights a filter, and third stage so many inputs."""

    def conv(inputs, filters, side, bias=1):
        return inputs * filters * side**2 + bias * filters

    down = conv(first, 64, 7) + conv(64, 128, 5) + conv(128, 256, 5) + conv(joined, 256, 3)
    down += conv(256, 512, 3) + 3 * conv(512, 512, 3) + conv(512, 1024, 3) + conv(1024, 1024, 3)
    up = conv(1024, 512, 4) + conv(1026, 256, 4) + conv(770, 128, 4) + conv(386, 64, 4)
    predicted = sum(conv(inputs, 2, 3, biases[0]) for inputs in (1024, 1026, 770, 386, 194))
    return down + up + predicted + 4 * conv(2, 2, 4, biases[1])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("flownet_s", closed_form(256, 6, (1, 1))),
        ("flownet_c", closed_form(441 + 32, 3, (1, 1)) + 32 * 257),
    ],
)
def test_networks_have_the_parameters_of_the_closed_form(name, parameters):
    images = [jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)] * 2
    params = jax.eval_shape(zoo.create(name).init, jax.random.key(0), *images)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == parameters
    published = {"flownet_s": 38_676_504, "flownet_c": 39_175_298}  # of NVIDIA's flownet2-pytorch
    # Its FlowNetS is counted without the biases of the five predictions.
    assert parameters - published[name] == {"flownet_s": 10, "flownet_c": 0}[name]
    assert closed_form(256, 6, (0, 1)) == published["flownet_s"]


@pytest.mark.parametrize("size", [(1, 1), (65, 130), (64, 1000)])
def test_flows_have_a_place_for_every_stride_begun(size):
    model = zoo.create("flownet_s_tiny")
    images = [jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)] * 2
    variables = jax.eval_shape(model.init, jax.random.key(0), *images)
    flows = jax.eval_shape(lambda v, *x: model.apply(v, *x, train=True), variables, *images)
    assert [flow.shape[1:3] for flow in flows] == [tuple(-(-side // stride) for side in size) for stride in STRIDES]
