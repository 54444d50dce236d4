"""What limits one dimension a class, and squared error beside cross entropy: sizes and scales. Lecture row L96.

    python -m train experiment sphere-limits

Nothing is trained. Left, the weights of a last layer that sees 2048 features, over the number of classes; in the
middle, how far apart prototypes of few dimensions can be; right, the length of each example's gradient over all
parameters of a new network, for the losses of two tasks at once: digits and their rotation.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import zoo
from train import data
from train.config import Augment, Data
from train.engine.console import Console
from train.experiments import Options
from train.experiments.study import conclude
from train.experiments.tables import grid
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style
from train.tasks.classification.task import Classification
from train.tasks.fitting import as_rows
from train.tasks.protocol import OneForward
from train.tasks.regression.task import Regression
from train.tasks.sphere.task import SphereClassification, SphereRegression
from zoo.hyperspheres import largest_cosine, separate

USUAL, OURS = "softmax and squared error", "one sphere"
FEATURES = 2048
CLASSES = (10, 20, 50, 100, 200, 500, 1000)
DIMS = (3, 10, 50)
EXAMPLES = {"quick": 360, "paper": 1437}
MOST = 100
"""Classes for which prototypes are placed."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two tasks that a network would learn at once."""

    labels: OneForward
    values: OneForward


def run(options: Options) -> int:
    """Writes table and figure.

    Returns:
      0 when every claim holds, else 1.
    """
    lengths = gradient_lengths(EXAMPLES[options.scale], options.seed)
    cosines = separations(options.seed)
    results = {
        "gradients": {name: quantiles(found) for name, found in lengths.items()},
        "largest cosines": {str(dims): found for dims, found in cosines.items()},
    }
    drawing, lines = figure(lengths, cosines), table(lengths)
    return conclude("sphere-limits", options.workdir, results, claims(lengths), lines, drawing, Console())


def pairs() -> dict[str, Pair]:
    """The usual losses of a digit and its rotation, and those on the sphere."""
    source = data.load(Data("rotated_digits"), "train")
    names, targets = source.facts.classes, source.arrays()["target"]
    sphere = SphereRegression(-90.0, 90.0, len(names))
    prototypes = as_rows(separate(jax.random.key(0), len(names), len(names)))
    return {
        USUAL: Pair(Classification(names), Regression.of_targets(targets, standardise=False)),
        OURS: Pair(SphereClassification(names, prototypes), sphere),
    }


def gradient_lengths(count: int, seed: int) -> dict[str, Float[np.ndarray, "examples"]]:
    """Of each loss, the length of each example's gradient over all parameters of a new network."""
    source = data.load(Data("rotated_digits"), "train")
    batch = data.preprocess(Augment(), source.spec)({**source.read(range(count)), "mask": np.ones(count, bool)})
    return {
        f"{name}: {kind}": np.asarray(of_task(task, batch, seed))
        for name, pair in pairs().items()
        for kind, task in (("digit", pair.labels), ("rotation", pair.values))
    }


def of_task(task: OneForward, batch: Mapping[str, Array], seed: int) -> Float[Array, "examples"]:
    """The length of each example's gradient."""
    model = zoo.create("mlp", **task.model_options(), hidden=(256, 128))
    variables = zoo.init(model, jax.random.key(seed), batch["image"].shape[1:])

    def loss(params: Any, example: Mapping[str, Array]) -> Array:
        one = jax.tree.map(lambda leaf: leaf[None], example)
        return task.objective(model.apply({"params": params}, *task.inputs(one)), one).value()

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, 0))
    def length(params: Any, example: Mapping[str, Array]) -> Array:
        squares = jax.tree.map(lambda leaf: jnp.sum(leaf**2), jax.grad(loss)(params, example))
        return jnp.sqrt(sum(jax.tree.leaves(squares)))

    return length(variables["params"], dict(batch))


def separations(seed: int) -> dict[int, list[float]]:
    """The largest cosine between prototypes, for the numbers of classes up to `MOST`."""
    key = jax.random.key(seed)
    return {
        dims: [float(largest_cosine(separate(key, classes, dims))) for classes in CLASSES if classes <= MOST]
        for dims in DIMS
    }


def quantiles(lengths: Float[np.ndarray, "examples"]) -> dict[str, float]:
    """The median, and how many times the longest tenth begins at what the shortest tenth ends at."""
    low, median, high = np.quantile(lengths, (0.1, 0.5, 0.9))
    return {"median": float(median), "spread": float(high / low)}


def apart(lengths: Mapping[str, np.ndarray], name: str) -> float:
    """How many times longer the gradients of one of a pair's tasks are than those of the other."""
    digit, rotation = (quantiles(lengths[f"{name}: {kind}"])["median"] for kind in ("digit", "rotation"))
    return max(digit / rotation, rotation / digit)


def table(lengths: Mapping[str, np.ndarray]) -> str:
    """Sizes of last layers, and lengths of gradients."""
    sizes = {
        "one dimension a class": [f"{FEATURES * classes:,}" for classes in CLASSES],
        **{f"{dims} dimensions": [f"{FEATURES * dims:,}" for _ in CLASSES] for dims in DIMS},
    }
    first = grid(f"weights after {FEATURES} features", [f"{classes} classes" for classes in CLASSES], sizes)
    rows = {}
    for name, found in lengths.items():
        numbers = quantiles(found)
        rows[name] = (f"{numbers['median']:.3g}", f"{numbers['spread']:.1f}")
    return f"{first}\n{grid('gradient of an example', ('median length', '90th over 10th percentile'), rows)}"


def claims(lengths: Mapping[str, np.ndarray]) -> dict[str, bool]:
    """The lecture's statements."""
    usual, ours = (apart(lengths, name) for name in (USUAL, OURS))
    return {
        f"gradients of softmax and squared error differ by an order of magnitude ({usual:.0f} times)": usual >= 10,
        f"those on one sphere do not ({ours:.1f} times)": ours < 10,
    }


def figure(lengths: Mapping[str, np.ndarray], cosines: Mapping[int, list[float]]) -> Any:
    """Sizes, separations and gradients."""
    drawing = new_figure(12, 3.4, LIGHT)
    sizes, angles, scales = drawing.subplots(1, 3)
    sizes.plot(CLASSES, [FEATURES * classes for classes in CLASSES], "o-", color="black", label="one a class")
    for dims, colour in zip(DIMS, COLOURS, strict=False):
        sizes.axhline(FEATURES * dims, color=colour, label=f"{dims} dimensions")
        found = np.degrees(np.arccos(np.clip(cosines[dims], -1, 1)))
        angles.plot(CLASSES[: len(found)], found, "o-", color=colour, label=f"{dims} dimensions")
    sizes.set(xscale="log", yscale="log")
    angles.margins(y=0.3)
    angles.set_xscale("log")
    shortest = min(found.min() for found in lengths.values())
    bins = np.geomspace(max(shortest, 1e-4), max(found.max() for found in lengths.values()), 50)
    for (name, found), colour in zip(lengths.items(), COLOURS, strict=False):
        scales.hist(found, bins, color=colour, alpha=0.6, label=name)
    scales.set_xscale("log")
    scales.margins(y=0.45)
    for panel, x, y in (
        (sizes, "classes", f"weights after {FEATURES} features"),
        (angles, "classes", "smallest angle (degrees)"),
        (scales, "length of an example's gradient", "examples"),
    ):
        style(panel)
        labels(panel, x=x, y=y)
        legend(panel, loc="upper left")
    return drawing
