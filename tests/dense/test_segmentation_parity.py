"""torchvision's segmentation networks: names, shapes, parameters, every map, gradients and batch statistics.

The numbers were written by `goldens/write_segmentation.py`; both sides draw their weights by torch's names.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from tests.dense.goldens import segmentation as made
from zoo.convnets.mobilenet import MobileNetV3
from zoo.convnets.resnet import ResNet
from zoo.dense import LRASPP, DeepLabV3, DilatedFCN
from zoo.dense.deeplab import ASPP
from zoo.weights import family_of
from zoo.weights.rules import Family, to_ours, to_theirs
from zoo.weights.segmentation import deeplabv3, fcn, lraspp

GOLDENS = Path(__file__).parent / "goldens"
TOLERANCE = 1e-4
"""Of the largest magnitude, or four times what torch itself is off in float32 where that is more."""
POOLED = 2e-3
"""The same for gradients of DeepLabV3 on a residual network: one normalisation is of as many values as there are
images, whose variance float32 has few digits of. In float64 they are torch's to seven digits."""
FAMILIES = {DilatedFCN: fcn, DeepLabV3: deeplabv3, LRASPP: lraspp}

slow = pytest.mark.slow  # a whole network with its gradient, ten to twenty seconds to compile
QUICK = ("fcn_resnet50",)
"""Compared in names by default; the others take seconds to trace."""


@functools.cache
def golden(name):
    with np.load(GOLDENS / f"segmentation_{name}.npz") as file:
        return dict(file)


def model_of(name):
    """The twin of the golden file's network, without dropout."""
    if name in made.PUBLISHED:
        off = {} if name.startswith("lraspp") else {"dropout": 0.0, "aux_dropout": 0.0}
        return zoo.create(name, **off)
    widths = {"width": made.CHANNELS, "group_width": made.CHANNELS, "stage_sizes": made.UNITS}
    backbone = ResNet(num_classes=0, replace_stride_with_dilation=(False, True, True), **widths)
    off = {"num_classes": made.CLASSES, "dropout": 0.0, "aux_dropout": 0.0}
    if name == "fcn":
        return DilatedFCN(backbone, **off)
    if name == "deeplabv3":
        return DeepLabV3(backbone, **off)
    backbone = MobileNetV3(num_classes=0, width=made.WIDTH, maps_only=True, dilated=True)
    if name == "lraspp":
        return LRASPP(backbone, num_classes=made.CLASSES)
    return DeepLabV3(backbone, map="final", aux_map="stage3/block1", **off)


def variables_of(name, family):
    shapes = numbers.shapes(golden(name)["names"])
    theirs = {key: made.weight(key, shape) for key, shape in shapes.items() if not key.endswith("num_batches_tracked")}
    ours, _, problems = to_ours(family, theirs)
    assert not problems
    return unflatten_dict(ours, sep="/"), theirs


def kept_of(name, family, slopes):
    """The gradients that the golden file has, by our paths."""
    asked = {key: made.weight(key, numbers.shapes(golden(name)["names"])[key]) for key in made.SLOPES[name]}
    flat = flatten_dict({"params": slopes}, sep="/")
    return {path: flat[path] for path in to_ours(family, asked)[0]}


def compared(name, family, evaluated, trained, state, slopes, theirs):
    """Every entry of the golden file beside ours."""
    expected, found = golden(name), {f"eval/{key}": value for key, value in evaluated.items()}
    found |= {f"train/{key}": value for key, value in trained.items()}
    found = {key: np.asarray(value).transpose(0, 3, 1, 2) for key, value in found.items()}
    found |= {f"grad/{key}": value for key, value in to_theirs(family, slopes)[0].items()}
    entries = [key for key in expected if key.startswith(("eval/", "train/", "grad/"))]
    assert found.keys() == set(entries)
    noise = dict(zip([*entries, "stats"], expected["noise"], strict=True))
    for key in entries:
        off = np.abs(numbers.samples(key, found[key]) - expected[key]).max() / expected[key][-1]
        least = POOLED if key.startswith("grad/") and name in ("deeplabv3", "deeplabv3_resnet50") else TOLERANCE
        assert off < max(least, 4 * noise[key]), f"{key}: off by {off:.1e} of the largest magnitude"

    kept = 0.99 if made.maps_of(name) == made.MOBILENET_MAPS else 0.9
    updated = to_theirs(family, flatten_dict(state, sep="/"))[0]
    norms = expected["norms"].tobytes().decode().split("\n")
    for norm, row, count in zip(norms, expected["stats"], expected["counts"], strict=True):
        share = kept if norm.startswith("backbone.") else 0.9
        mean, variance = (np.asarray(updated[f"{norm}.running_{part}"]) for part in ("mean", "var"))
        old = share * theirs[f"{norm}.running_var"]
        unbiased = old + (variance - old) * count / (count - 1)  # torch averages the unbiased variance, we the biased
        rows = [*numbers.statistic(f"{norm}.running_mean", mean), *numbers.statistic(f"{norm}.running_var", unbiased)]
        limit = max(TOLERANCE, 4 * noise["stats"])
        np.testing.assert_allclose(rows, row, rtol=0, atol=limit * np.abs(row).max(), err_msg=norm)


@pytest.mark.parametrize(
    "name",
    ["fcn", *(pytest.param(name, marks=slow) for name in made.THIN[1:])]
    + [pytest.param(name, marks=pytest.mark.exhaustive) for name in made.NUMBERED],
)
def test_every_map_gradient_and_statistic_is_torchvisions(name):
    model = model_of(name)
    family = FAMILIES[type(model)](model)
    variables, theirs = variables_of(name, family)
    images = made.images().transpose(0, 2, 3, 1)

    @jax.jit
    def program(variables, images):
        def loss(params):
            state = {**variables, "params": params}
            named, updated = model.apply(state, images, train=True, features=True, mutable=["batch_stats"])
            total = jnp.square(named["logits"]).mean()
            total += made.AUX_WEIGHT * jnp.square(named["aux1"]).mean() if "aux1" in named else 0.0
            return total, (named, updated)

        slopes, (named, updated) = jax.grad(loss, has_aux=True)(variables["params"])
        return model.apply(variables, images[:1], features=True), named, updated, kept_of(name, family, slopes)

    compared(name, family, *program(variables, images), theirs)


def test_windows_of_all_rates_and_the_mean_of_the_map_are_torchvisions():
    """Of DeepLab's pyramid alone, on a map that is larger than its windows reach."""
    beginning = "classifier.0."
    rules = [rule for rule in deeplabv3(DeepLabV3(ResNet())).rules if rule.theirs.startswith(beginning)]
    rules = [
        rule._replace(theirs=rule.theirs.removeprefix(beginning), ours=rule.ours.replace("/aspp/", "/"))
        for rule in rules
    ]
    family, model = Family(tuple(rules)), ASPP(width=made.ATROUS_WIDTH, dropout=0.0)
    variables, theirs = variables_of("atrous", family)
    x = made.atrous_map().transpose(0, 2, 3, 1)

    @jax.jit
    def program(variables, x):
        def loss(params):
            maps, updated = model.apply({**variables, "params": params}, x, True, mutable=["batch_stats"])
            return jnp.square(maps).mean(), (maps, updated)

        slopes, (maps, updated) = jax.grad(loss, has_aux=True)(variables["params"])
        return (
            {"logits": model.apply(variables, x[:1], False)},
            {"logits": maps},
            updated,
            kept_of("atrous", family, slopes),
        )

    compared("atrous", family, *program(variables, x), theirs)


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=slow) for name in made.PUBLISHED])
def test_published_networks_have_torchvisions_names_shapes_and_number_of_parameters(name):
    model = zoo.create(name)
    shapes = flatten_dict(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3))), sep="/")
    hollow = {path: np.broadcast_to(np.float32(0), leaf.shape) for path, leaf in shapes.items()}
    (layout,) = zoo.describe(name).weights
    theirs, problems = to_theirs(family_of(layout, model), hollow)
    assert not problems
    expected = numbers.shapes(golden(name)["names"])
    tracked = {key for key in expected if key.endswith("num_batches_tracked")}
    assert {key: value.shape for key, value in theirs.items()} == {
        key: expected[key] for key in expected if key not in tracked
    }
    count = sum(leaf.size for path, leaf in shapes.items() if path.startswith("params/"))
    assert count == golden(name)["parameters"]
