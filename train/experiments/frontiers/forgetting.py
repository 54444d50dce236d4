"""One task after the other: what a network forgets, and what keeps it from forgetting. Lecture row L98.

    python -m train experiment forgetting                  scikit-learn's digits, 5 seeds
    python -m train experiment forgetting --scale paper    longer, 10 seeds

Three series of five tasks. `split`: two digits each, and it is known which two an image is from. `classes`: the same,
but any of the ten digits may be answered. `permuted`: all ten digits, whose pixels are shuffled in an order that is the
task's own (Goodfellow et al., 2013). A perceptron with two hidden layers learns one task after the other:

- naive: with nothing else;
- replay: half of each batch is from a memory of a few images a class of the tasks before;
- EWC: parameters are held where they were, the more the more they say (Kirkpatrick et al., 2017);
- LwF: on the images of the new task the answers to the old ones shall stay what they were (Li and Hoiem, 2016);
- joint: learns every task so far anew from all of their images, which is about the best that can be had.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from train.data.sources.digits import digits
from train.engine.console import Console
from train.experiments import SeededOptions
from train.experiments.study import conclude
from train.experiments.tables import grid, with_spread
from train.report.theme import COLOURS, LIGHT, heading, labels, legend, new_figure, style
from zoo.frontiers.lifelong import (
    average_accuracy,
    backward_transfer,
    distillation_loss,
    fisher_diagonal,
    forgetting,
    forward_transfer,
    quadratic_penalty,
)
from zoo.perceptrons import MLP

TASKS, CLASSES = 5, 10
NAIVE, REPLAY, EWC, LWF, JOINT = "naive", "replay", "EWC", "LwF", "joint"
METHODS = (NAIVE, REPLAY, EWC, LWF, JOINT)
SPLIT, ANY_CLASS, PERMUTED = "split", "classes", "permuted"
SERIES = (SPLIT, ANY_CLASS, PERMUTED)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long is trained, and how strongly the past is kept."""

    steps: int
    seeds: int
    batch: int = 32
    hidden: tuple[int, ...] = (100, 100)
    learning_rate: float = 1e-3
    kept: int = 10
    """Images a class of each task that replay remembers."""
    strength: float = 100.0
    """Of EWC's penalty."""
    old: float = 1.0
    """Of LwF's loss of the tasks before."""


PLANS = {"quick": Plan(400, 5), "paper": Plan(1200, 10)}


class Task(NamedTuple):
    """Images with their pixels in a row, and their classes."""

    images: Float[np.ndarray, "count pixels"]
    classes: Int[np.ndarray, " count"]
    test_images: Float[np.ndarray, "tested pixels"]
    test_classes: Int[np.ndarray, " tested"]
    own: tuple[int, ...]
    """The classes that it has images of."""
    allowed: tuple[int, ...]
    """Those that may be answered."""


Scores = dict[str, dict[str, dict[str, list[float]]]]
"""By series, method and measure, of each seed."""
MEASURES = {
    "accuracy": "average accuracy (%)",
    "forgetting": "forgetting (points)",
    "backward": "backward transfer (points)",
    "forward": "forward transfer (points)",
}


def tasks_of(series: str, seed: int = 0) -> list[Task]:
    """The five tasks of a series; the seed shuffles pixels."""
    pixels, classes = {}, {}
    for split in ("train", "test"):
        arrays = digits(split).arrays()
        pixels[split] = arrays["image"].reshape(len(arrays["image"]), -1).astype(np.float32) / 255
        classes[split] = arrays["label"]
    every = tuple(range(CLASSES))
    if series == PERMUTED:
        random, count = np.random.default_rng(seed), pixels["train"].shape[1]
        orders = [np.arange(count)] + [random.permutation(count) for _ in range(TASKS - 1)]
        return [
            Task(pixels["train"][:, order], classes["train"], pixels["test"][:, order], classes["test"], every, every)
            for order in orders
        ]
    found = []
    for own in np.arange(CLASSES).reshape(TASKS, -1).tolist():
        of = {split: np.isin(labels, own) for split, labels in classes.items()}
        train, test = ((pixels[split][rows], classes[split][rows]) for split, rows in of.items())
        found.append(Task(*train, *test, tuple(own), tuple(own) if series == SPLIT else every))
    return found


def run(options: SeededOptions) -> int:
    """Trains every method on both series, and says which claims hold."""
    plan, console = PLANS[options.scale], Console(lasting=True)
    if options.seeds:
        plan = dataclasses.replace(plan, seeds=options.seeds)
    scores: Scores = {series: {} for series in SERIES}
    matrices: dict[str, dict[str, list]] = {series: {} for series in SERIES}
    for series in SERIES:
        for method in METHODS:
            each = [of_one(series, method, plan, options.seed + number) for number in range(plan.seeds)]
            scores[series][method] = {name: [measured[name] for measured, _ in each] for name in MEASURES}
            matrices[series][method] = np.mean([matrix for _, matrix in each], axis=0).tolist()
            console.say(f"{series}, {method}: average accuracy {with_spread(scores[series][method]['accuracy'], 3)}")
    found = {"scores": scores, "matrices": matrices}
    return conclude("forgetting", options.workdir, found, claims(scores), table(scores), figure(matrices), console)


def of_one(
    series: str, method: str, plan: Plan, seed: int
) -> tuple[dict[str, float], Float[np.ndarray, "tasks tasks"]]:
    """What a method comes to with one seed, and its accuracy matrix."""
    tasks, random = tasks_of(series, seed), np.random.default_rng(seed)
    model = MLP(plan.hidden, CLASSES)
    first = params = jax.jit(model.init)(jax.random.key(seed), tasks[0].images[:1])["params"]
    importance = jax.tree.map(jnp.zeros_like, params)
    memory: list[Task] = []
    rows = []
    for number, task in enumerate(tasks):
        learned = tasks[: number + 1] if method == JOINT else [task]
        batches = drawn(learned, memory if method == REPLAY else [], plan, random)
        groups = groups_of(series, tasks[:number]) if method == LWF else np.zeros((TASKS, CLASSES), bool)
        params = learn(model, plan, first if method == JOINT else params, importance, batches, groups)
        if method == EWC:
            fisher = fisher_of(model, params, task.images, task.allowed)
            importance = jax.tree.map(lambda total, new: total + plan.strength * new, importance, fisher)
        memory.append(remembered(task, plan.kept, random))
        rows.append([accuracy(model, params, each) for each in tasks])
    matrix = np.array(rows)
    measures = {
        "accuracy": average_accuracy(matrix),
        "forgetting": forgetting(matrix),
        "backward": backward_transfer(matrix),
        "forward": forward_transfer(matrix, np.array([accuracy(model, first, each) for each in tasks])),
    }
    return measures, matrix


def groups_of(series: str, before: list[Task]) -> Bool[np.ndarray, "tasks classes"]:
    """Classes among which the answers shall stay what they were: of each task, or of all where any may be answered."""
    groups = np.zeros((TASKS, CLASSES), bool)
    for number, task in enumerate(before):
        groups[number if series == SPLIT else 0, list(task.own)] = True
    return groups


Batches = dict[str, np.ndarray]


def drawn(tasks: list[Task], memory: list[Task], plan: Plan, random: np.random.Generator) -> Batches:
    """Batches of so many steps a task; half of each from the memory where there is one."""
    now = _sampled(tasks, (plan.steps * len(tasks), plan.batch // 2 if memory else plan.batch), random)
    if not memory:
        return now
    then = _sampled(memory, (plan.steps, plan.batch - plan.batch // 2), random)
    return {name: np.concatenate([now[name], then[name]], axis=1) for name in now}


def _sampled(tasks: list[Task], count: tuple[int, int], random: np.random.Generator) -> Batches:
    """Images, their classes, and which classes each might have."""
    images, classes = (np.concatenate(each) for each in zip(*(task[:2] for task in tasks), strict=True))
    allowed = np.concatenate([np.tile(np.isin(np.arange(CLASSES), t.allowed), (len(t.classes), 1)) for t in tasks])
    rows = random.integers(0, len(classes), count)
    return {"images": images[rows], "classes": classes[rows], "allowed": allowed[rows]}


def remembered(task: Task, kept: int, random: np.random.Generator) -> Task:
    """A few images of each class."""
    rows = [random.permutation(np.flatnonzero(task.classes == each))[:kept] for each in task.own]
    rows = np.concatenate(rows)
    return task._replace(images=task.images[rows], classes=task.classes[rows])


@functools.partial(jax.jit, static_argnums=(0, 1))
def learn(
    model: MLP,
    plan: Plan,
    params: PyTree[Array],
    importance: PyTree[Array],
    batches: Batches,
    groups: Bool[Array, "tasks classes"],
) -> PyTree[Array]:
    """The parameters after these batches.

    Args:
      model: the network.
      plan: its learning rate.
      params: before.
      importance: by which parameters are held where they were.
      batches: one a step.
      groups: of each old task whose answers shall stay what they were, its classes.
    """
    before, optimizer = params, optax.adam(plan.learning_rate)

    def loss(params: PyTree[Array], batch: Batches) -> Float[Array, ""]:
        logits = model.apply({"params": params}, batch["images"])
        errors = optax.softmax_cross_entropy_with_integer_labels(_among(logits, batch["allowed"]), batch["classes"])
        said = model.apply({"params": before}, batch["images"])
        kept = jax.vmap(lambda group: distillation_loss(_among(logits, group), _among(said, group)).mean())(groups)
        old = jnp.sum(jnp.where(groups.any(axis=1), kept, 0))
        return errors.mean() + plan.old * old + quadratic_penalty(params, before, importance)

    def step(state: tuple, batch: Batches) -> tuple[tuple, None]:
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params, batch), moments)
        return (optax.apply_updates(params, updates), moments), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), batches)
    return params


def _among(logits: Float[Array, "*batch classes"], allowed: Bool[Array, "*batch classes"]) -> Array:
    """Logits of which only some count."""
    return jnp.where(allowed, logits, -1e9)


def fisher_of(model: MLP, params: PyTree[Array], images: np.ndarray, classes: tuple[int, ...]) -> PyTree[Array]:
    """The Fisher information of a task's images, among some classes."""
    allowed = np.isin(np.arange(CLASSES), classes)

    @jax.jit
    def program(params: PyTree[Array]) -> PyTree[Array]:
        logits = lambda params, image: _among(model.apply({"params": params}, image[None])[0], allowed)  # noqa: E731
        return fisher_diagonal(logits, params, images)

    return program(params)


def accuracy(model: MLP, params: PyTree[Array], task: Task) -> float:
    """The share of a task's test images whose class is the likeliest of those it has."""
    logits = np.asarray(_applied(model, params, task.test_images))
    allowed = np.isin(np.arange(CLASSES), task.allowed)
    return float(np.mean(np.where(allowed, logits, -np.inf).argmax(axis=1) == task.test_classes))


@functools.partial(jax.jit, static_argnums=0)
def _applied(model: MLP, params: PyTree[Array], images: Array) -> Array:
    return model.apply({"params": params}, images)


def claims(scores: Scores) -> dict[str, bool]:
    """What is there to show, of the means over the seeds."""
    mean = {
        series: {method: float(np.mean(each["accuracy"])) for method, each in methods.items()}
        for series, methods in scores.items()
    }
    lost = {series: float(np.mean(scores[series][NAIVE]["forgetting"])) for series in SERIES}
    # What an old network says of pixels in another order, or of classes apart from the new ones, helps nobody.
    helped = {SPLIT: (REPLAY, EWC, LWF), ANY_CLASS: (REPLAY,), PERMUTED: (REPLAY, EWC)}
    return {
        "a network forgets: ten points or more, but where the task is known": min(lost[ANY_CLASS], lost[PERMUTED])
        >= 0.1
        > lost[SPLIT],
        **{
            f"{series}: {', '.join(helped[series])} ahead of naive": min(mean[series][each] for each in helped[series])
            > mean[series][NAIVE]
            for series in SERIES
        },
        "nothing is ahead of learning all at once": all(
            max(of[each] for each in (REPLAY, EWC, LWF)) <= of[JOINT] + 0.005 for of in mean.values()
        ),
    }


def table(scores: Scores) -> str:
    """Each measure of each method in percent, with its spread over the seeds."""
    rows = {
        f"{series}, {method}": [with_spread([100 * value for value in each[name]], 1) for name in MEASURES]
        for series, methods in scores.items()
        for method, each in methods.items()
    }
    return grid("", list(MEASURES.values()), rows)


def figure(matrices: dict[str, dict[str, list]]) -> Any:
    """The accuracy of the first task, and the mean over those learned so far, after each task."""
    drawing = new_figure(8.0, 3.2, LIGHT)
    panels = drawing.subplots(1, len(SERIES), sharey=True)
    for panel, series in zip(panels, SERIES, strict=True):
        for (method, matrix), colour in zip(matrices[series].items(), COLOURS, strict=False):
            rows = 100 * np.array(matrix)
            so_far = [row[: number + 1].mean() for number, row in enumerate(rows)]
            places = np.arange(1, len(rows) + 1)
            panel.plot(places, so_far, "o-", color=colour, lw=1.8, ms=4, label=method)
            panel.plot(places, rows[:, 0], ":", color=colour, lw=1.2)
        panel.set_xticks(places)
        style(panel)
        heading(panel, series)
        labels(panel, x="tasks learned", y="accuracy (%)" if panel is panels[0] else "")
    legend(drawing, loc="outside upper right", ncols=len(METHODS), handles=panels[0].get_legend_handles_labels()[0])
    return drawing
