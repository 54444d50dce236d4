"""Every architecture that torchvision (or timm) has too equals it: names, shapes, every stage, batch statistics.

The numbers were written by `goldens/torchvision.py`; both sides draw their weights by torch's names.
"""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.families import marks
from tests.convnets.goldens import numbers
from zoo.weights import family_of
from zoo.weights.rules import to_ours, to_theirs

GOLDENS = Path(__file__).parent / "goldens"
OUR_NAMES = {"timm_seresnet50": "se_resnet50", "timm_resnetv2_50": "preact_resnet50"}
OURS_ALONE = ("resnet20", "five_units")  # golden files of networks that torchvision does not have
ARCHITECTURES = sorted(path.stem for path in GOLDENS.glob("*.npz") if path.stem not in OURS_ALONE)

QUICK = ("alexnet", "resnet18", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5")
"""Compared in numbers by default; the others are slow."""

TOLERANCE = 1e-4
"""Of the largest magnitude in a stage, or four times what torch itself is off in float32 where that is more."""

MOMENTUM = {r"mobilenet_v3.*|efficientnet_b[5-7]": 0.99, r"mnasnet.*": 0.9997, r".*": 0.9}
"""The old statistics' share in an update, as torchvision has it: the first pattern that fits."""


def layout_of(name):
    """The layout of the weights that the golden file's names are in."""
    libraries = zoo.describe(name).weights
    return next(layout for layout in libraries if layout.startswith(("torchvision/", "timm/")))


def model_of(architecture, size):
    """The network without dropout and stochastic depth, and its variables, as shapes."""
    name = OUR_NAMES.get(architecture, architecture)
    fields = zoo.create(name).__dataclass_fields__
    off = {field: 0.0 for field in ("dropout", "aux_dropout", "drop_path") if field in fields}
    aux = {"aux_heads": True} if "aux_heads" in fields else {}
    model = zoo.create(name, **off, **aux)
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    shapes = jax.eval_shape(lambda key, images: model.init(key, images, train=False), jax.random.key(0), images)
    return model, family_of(layout_of(name), model), flatten_dict(shapes, sep="/")


def named_by_torch(family, flat):
    """Our variables under torch's names, without memory: only shapes count."""
    hollow = {path: np.broadcast_to(np.float32(0), leaf.shape) for path, leaf in flat.items()}
    theirs, problems = to_theirs(family, hollow)
    assert not problems
    return {name: array.shape for name, array in theirs.items()}


def some_slow(architectures):
    return [pytest.param(a, marks=marks(a, quick=a in QUICK)) for a in architectures]


@pytest.mark.parametrize("architecture", some_slow(ARCHITECTURES))
def test_parameters_have_torchs_names_and_shapes(architecture):
    names = np.load(GOLDENS / f"{architecture}.npz")["names"]
    expected = {n: s for n, s in numbers.shapes(names).items() if not n.endswith("num_batches_tracked")}
    _, family, flat = model_of(architecture, zoo.describe(OUR_NAMES.get(architecture, architecture)).input_shape[0])
    assert named_by_torch(family, flat) == expected


NUMBERED = [arch for arch in ARCHITECTURES if "size" in np.load(GOLDENS / f"{arch}.npz")]


@pytest.mark.parametrize("architecture", some_slow(NUMBERED))
def test_every_stage_and_every_statistic_is_torchs(architecture):
    golden = np.load(GOLDENS / f"{architecture}.npz")
    size = int(golden["size"])
    model, family, flat = model_of(architecture, size)
    weights = {name: numbers.weight(name, shape) for name, shape in named_by_torch(family, flat).items()}
    ours, _, problems = to_ours(family, weights)
    assert not problems
    variables = unflatten_dict(ours, sep="/")
    images = numbers.images(4, size).transpose(0, 2, 3, 1)

    def both(variables, images):
        rngs = {"dropout": jax.random.key(0)}
        at_evaluation = model.apply(variables, images[:1], features=True)
        return at_evaluation, model.apply(
            variables, images, train=True, features=True, mutable=["batch_stats"], rngs=rngs
        )

    at_evaluation, (in_training, state) = jax.jit(both)(variables, images)
    found = {f"eval/{name}": value for name, value in at_evaluation.items()}
    found |= {f"train/{name}": value for name, value in in_training.items()}
    entries = [name for name in golden if name.startswith(("eval/", "train/"))]
    assert set(entries) == {name for name in found if not re.search(r"/block\d+$", name)}
    noise = dict(zip([n for n in golden if n.startswith(("eval/", "train/", "stats"))], golden["noise"], strict=True))
    for name in entries:
        value = np.asarray(found[name])
        in_torchs_layout = value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
        off = np.abs(numbers.samples(name, in_torchs_layout) - golden[name]).max() / golden[name][-1]
        assert off < max(TOLERANCE, 4 * noise[name]), f"{name}: off by {off:.1e} of the largest magnitude"

    statistics = dict(weights)
    statistics |= to_theirs(family, flatten_dict(state, sep="/", keep_empty_nodes=False))[0] if state else {}
    norms = [name.removesuffix(".running_mean") for name in weights_in_order(golden) if name.endswith(".running_mean")]
    assert len(norms) == len(golden["stats"])
    kept = next(share for pattern, share in MOMENTUM.items() if re.fullmatch(pattern, architecture))
    for norm, expected, count in zip(norms, golden["stats"], golden["counts"], strict=True):
        mean, variance = (np.asarray(statistics[f"{norm}.{part}"]) for part in ("running_mean", "running_var"))
        old = kept * weights[f"{norm}.running_var"]
        unbiased = old + (variance - old) * count / (count - 1)  # torch averages the unbiased variance, we the biased
        rows = [*numbers.statistic(f"{norm}.running_mean", mean), *numbers.statistic(f"{norm}.running_var", unbiased)]
        limit = max(TOLERANCE, 4 * noise["stats"])
        np.testing.assert_allclose(rows, expected, rtol=0, atol=limit * np.abs(expected).max(), err_msg=norm)


def weights_in_order(golden):
    """The names of the state dict, in torch's order."""
    return list(numbers.shapes(golden["names"]))
