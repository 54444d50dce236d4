"""torchvision's video networks, and C3D: names, shapes, parameters, every map, gradients and batch statistics.

The numbers were written by `goldens/write_networks.py`; both sides draw their weights by torch's names.
"""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from tests.video.goldens import networks as made
from zoo.video import C3D, MViT, VideoResNet, VideoSwin
from zoo.weights import family_of
from zoo.weights.rules import Family, convolution, join, linear, to_ours, to_theirs
from zoo.weights.video import MVIT, swin3d, video_resnet

GOLDENS = Path(__file__).parent / "goldens"
TOLERANCE = 1e-4
"""Of the largest magnitude, or four times what torch itself is off in float32 where that is more."""
MOMENTUM = {"s3d": 0.999}
"""The old statistics' share in an update, where it is not 0.9."""

QUICK = ("r3d_18",)
"""Compared in names by default; the others take seconds to trace."""


@functools.cache
def golden(name):
    with np.load(GOLDENS / f"{name}.npz") as file:
        return dict(file)


def model_of(name):
    """The twin of the golden file's network, without dropout, and the names of its weights."""
    off = {"dropout": 0.0, "drop_path": 0.0}
    if name in made.PUBLISHED:
        fields = zoo.create(name).__dataclass_fields__
        model = zoo.create(name, **{field: value for field, value in off.items() if field in fields})
        return model, family_of(zoo.describe(name).weights[0], model)
    if name == "residual":
        kinds = ("3d", "2d", "2+1d", "3d")
        model = VideoResNet(made.CLASSES, (2, 1, 1, 1), kinds, 45, made.CHANNELS)
        return model, video_resnet(model)
    if name.startswith("mvit"):
        return MViT(made.CLASSES, int(name[-1]), **made.MVIT, **off), MVIT
    if name == "c3d":
        return C3D(made.CLASSES, **made.C3D, dropout=0.0), c3d()
    options = {"depths": (2, 2), "heads": (1, 2), "width": made.CHANNELS, "window": (2, 3, 3)}
    model = VideoSwin(num_classes=made.CLASSES, drop_path=0.0, **options)
    return model, swin3d(model)


def c3d():
    """Of the golden file's own network."""
    at = {"1/conv1": 0, "2/conv1": 3, "3/conv1": 6, "3/conv2": 8, "4/conv1": 11, "4/conv2": 13, "5/conv1": 16}
    at["5/conv2"] = 18
    layers = (convolution(f"features.{index}", f"stage{path}", 3) for path, index in at.items())
    dense = (linear(f"dense.{index}", name) for index, name in ((0, "dense1"), (3, "dense2"), (6, "head")))
    return Family(join(*layers, *dense))


def variables_of(name, family):
    """The variables by our paths, and those with torch's names."""
    file = golden(name)
    shapes = numbers.shapes(file["names"]) | (numbers.shapes(file["resized"]) if "resized" in file else {})
    hollow = (".num_batches_tracked", ".relative_position_index")
    theirs = {key: made.weight(key, shape) for key, shape in shapes.items() if not key.endswith(hollow)}
    ours, _, problems = to_ours(family, theirs)
    assert not problems
    return unflatten_dict(ours, sep="/"), theirs


def kept_of(name, family, slopes):
    """The gradients that the golden file has, by our paths."""
    asked = {key: np.zeros(shape) for key, shape in numbers.shapes(golden(name)["names"]).items()}
    asked = {key: asked[key] for key in made.SLOPES.get(name, ())}
    flat = flatten_dict({"params": slopes}, sep="/")
    return {path: flat[path] for path in to_ours(family, asked)[0]}


def compared(name, family, evaluated, trained, state, slopes, theirs, parts=("eval/", "train/", "grad/")):
    """Every entry of the golden file beside ours; or those of some of its parts."""
    expected, found = golden(name), {f"eval/{key}": value for key, value in evaluated.items()}
    found |= {f"train/{key}": value for key, value in trained.items()}
    found = {key: np.asarray(value) for key, value in found.items() if not key.endswith("/pre_logits")}
    found = {key: value.transpose(0, 4, 1, 2, 3) if value.ndim == 5 else value for key, value in found.items()}
    found |= {f"grad/{key}": value for key, value in to_theirs(family, slopes)[0].items()}
    found = {key: value for key, value in found.items() if not key.endswith(".relative_position_index")}
    entries = [key for key in expected if key.startswith(("eval/", "train/", "grad/"))]
    noise = dict(zip([*entries, "stats"], expected["noise"], strict=True))
    entries = [key for key in entries if key.startswith(parts)]
    assert found.keys() == set(entries)
    for key in entries:
        off = np.abs(numbers.samples(key, found[key]) - expected[key]).max() / expected[key][-1]
        assert off < max(TOLERANCE, 4 * noise[key]), f"{key}: off by {off:.1e} of the largest magnitude"
    if "train/" not in parts:
        return

    updated = to_theirs(family, flatten_dict(state, sep="/"))[0] if state else {}
    norms = expected["norms"].tobytes().decode().split("\n") if len(expected["stats"]) else []
    for norm, row, count in zip(norms, expected["stats"], expected["counts"], strict=True):
        mean, variance = (np.asarray(updated[f"{norm}.running_{part}"]) for part in ("mean", "var"))
        old = MOMENTUM.get(name, 0.9) * theirs[f"{norm}.running_var"]
        unbiased = old + (variance - old) * count / (count - 1)  # torch averages the unbiased variance, we the biased
        rows = [*numbers.statistic(f"{norm}.running_mean", mean), *numbers.statistic(f"{norm}.running_var", unbiased)]
        limit = max(TOLERANCE, 4 * noise["stats"])
        np.testing.assert_allclose(rows, row, rtol=0, atol=limit * np.abs(row).max(), err_msg=norm)


@pytest.mark.slow  # gradients take long to compile
@pytest.mark.parametrize("name", [name for name, size in made.SIZES.items() if size])
def test_every_map_gradient_and_statistic_is_torchvisions(name):
    model, family = model_of(name)
    variables, theirs = variables_of(name, family)
    clips = made.clips(made.SIZES[name]).transpose(0, 2, 3, 4, 1)

    @jax.jit
    def program(variables, clips):
        def loss(params):
            state = {**variables, "params": params}
            named, updated = model.apply(state, clips, train=True, features=True, mutable=["batch_stats"])
            return jnp.square(named["logits"]).mean(), (named, updated)

        if name in made.SLOPES:
            slopes, (named, updated) = jax.grad(loss, has_aux=True)(variables["params"])
        else:
            slopes, (_, (named, updated)) = {}, loss(variables["params"])
        return model.apply(variables, clips[:1], features=True), named, updated, kept_of(name, family, slopes)

    compared(name, family, *program(variables, clips), theirs)


@pytest.mark.parametrize("name", [name for name in made.THIN if name != "mvit_v1"])
def test_every_map_at_evaluation_is_torchvisions(name):
    """The second version of MViT has all that the first has, but for its table of positions."""
    model, family = model_of(name)
    clip = made.clips(made.SIZES[name]).transpose(0, 2, 3, 4, 1)[:1]
    found = jax.jit(lambda variables: model.apply(variables, clip, features=True))(variables_of(name, family)[0])
    compared(name, family, found, {}, {}, {}, {}, ("eval/",))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in made.PUBLISHED]
)
def test_published_networks_have_torchvisions_names_shapes_and_parameters(name):
    model, family = model_of(name)
    clip = jax.ShapeDtypeStruct((1, *zoo.describe(name).input_shape), jnp.float32)
    flat = flatten_dict(jax.eval_shape(model.init, jax.random.key(0), clip), sep="/")
    hollow = {path: np.broadcast_to(np.float32(0), leaf.shape) for path, leaf in flat.items()}
    theirs, problems = to_theirs(family, hollow)
    assert not problems
    expected = numbers.shapes(golden(name)["names"])
    expected = {key: shape for key, shape in expected.items() if not key.endswith("num_batches_tracked")}
    assert {key: array.shape for key, array in theirs.items()} == expected
    parameters = sum(math.prod(leaf.shape) for path, leaf in flat.items() if path.startswith("params/"))
    assert parameters == int(golden(name)["parameters"])
