"""One recipe with several seeds at once: mean and spread of a result for little more than one run.

Networks of dense layers, and all networks on accelerators, train side by side in one program (`vmap` over initial
parameters, order of the data, augmentation and dropout); convolutions on a CPU gain nothing from that and train one
after another with one compiled program. Either way repeat k is the run that `fit` makes of seed k, up to rounding,
but that a loss which is not finite does not stop it: what diverged is a result too.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from train import data
from train.assemble import Assembly, assemble
from train.console import Console
from train.data.pipeline_memory import gather, order
from train.data.source import Arrays
from train.recipe import Recipe, RecipeError
from train.state import TrainState
from train.step import AUGMENTATION, make_evaluate, make_update, step_key

MEMORY = 2**31
"""Bytes of parameters and all that goes with them, of all repeats, above which they train one after another."""


@dataclasses.dataclass(frozen=True)
class Repeats:
    """What the repeats of a recipe came to."""

    seeds: tuple[int, ...]
    metrics: dict[str, list[float]]
    """Of the last evaluation, a number a seed."""
    losses: list[list[float]]
    """Training loss, a row a seed: the mean over each epoch."""
    variables: PyTree[Array]
    """Of the trained models, with a leading axis of seeds."""
    embedding: np.ndarray | None
    """What the first seed's model makes of the first held-out examples, of a task on the sphere."""


def repeat(recipe: Recipe, seeds: Sequence[int], console: Console | None = None) -> Repeats:
    """Trains a recipe once a seed and evaluates each model at the end.

    Raises:
      RecipeError: the recipe asks for something impossible, or for what repeats have not: examples that are read anew
        each epoch, starting weights, a moving average, a limit on steps, or other placements than jit.
    """
    if not seeds:
        raise RecipeError("expected at least one seed, got none")
    misfits = [
        name
        for name, fits in {
            "data.crop": recipe.data.crop == 0,
            "data.pipeline": recipe.data.pipeline != "grain",
            "weights": recipe.weights is None,
            "freeze": not recipe.freeze,
            "optimizer.ema": recipe.optimizer.ema is None,
            "steps": recipe.steps is None,
            "placement": recipe.placement == "jit",
            "early_stop": recipe.early_stop == 0,
        }.items()
        if not fits
    ]
    if misfits:
        raise RecipeError(f"recipe {recipe.name}: repeats do without {', '.join(misfits)}")
    assembly, console = assemble(recipe), console or Console()
    arrays = jax.device_put(data.in_memory(assembly.train).arrays())
    step, evaluate = _step(assembly), make_evaluate(assembly.model, assembly.task)
    if side_by_side(assembly, len(seeds)):
        rounds, step = [tuple(seeds)], jax.vmap(step, in_axes=(0, None, 0))
        evaluate = jax.vmap(evaluate, in_axes=(0, None))
    else:
        rounds = [(seed,) for seed in seeds]
        step, evaluate = _of_one(step, shared=1), _of_one(evaluate, shared=1)
    step, evaluate = jax.jit(step, donate_argnums=0), jax.jit(evaluate)
    init = jax.jit(lambda key, seed: _initial(assembly, key, seed))
    finished, losses, sums, points = [], [], [], None
    for group in rounds:
        console.say(f"{recipe.name}: seed{'s' * (len(group) > 1)} {', '.join(map(str, group))}")
        keys = [(jax.random.key(seed, impl="rbg"), jax.random.key(seed)) for seed in group]
        state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(init(*pair) for pair in keys))
        with console.progress(assembly.total_steps, 0):
            state, of_epochs = _train(assembly, arrays, group, state, step, console)
        losses += of_epochs.T.tolist()
        found, embedding = _evaluated(assembly, state.variables(), evaluate)
        points = embedding if points is None else points
        sums += found
        finished.append(jax.device_get(state.variables()))
    summaries = [assembly.task.summarise(each) for each in sums]
    return Repeats(
        tuple(seeds),
        {name: [summary[name] for summary in summaries] for name in summaries[0]},
        losses,
        jax.tree.map(lambda *leaves: np.concatenate(leaves), *finished),
        points,
    )


def groups(recipe: Recipe, seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """The seeds that train in one program together, group by group.

    Raises:
      RecipeError: the recipe asks for something impossible.
    """
    if len(seeds) > 1 and side_by_side(assemble(recipe), len(seeds)):
        return [tuple(seeds)]
    return [(seed,) for seed in seeds]


def side_by_side(assembly: Assembly, count: int) -> bool:
    """Whether so many repeats train in one program."""
    shapes = jax.tree.leaves(assembly.state_shapes)
    fits = count * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in shapes) <= MEMORY
    dense = all(leaf.ndim <= 2 for leaf in jax.tree.leaves(assembly.state_shapes.params))
    return fits and (dense or jax.default_backend() != "cpu")


def _step(assembly: Assembly) -> Callable[..., Any]:
    recipe, augment = assembly.recipe, data.augment(assembly.recipe.augment)
    skip = recipe.on_nan == "skip"
    update = make_update(assembly.model, assembly.task, assembly.optimizer, skip_nonfinite=skip)

    def step(state: TrainState, arrays: Arrays, rows: Array) -> tuple[TrainState, dict[str, Array]]:
        batch = augment(step_key(state.key, state.step, AUGMENTATION), gather(arrays, rows))
        return update(state, batch)

    return step


def _initial(assembly: Assembly, key: Array, run_key: Array) -> TrainState:
    import zoo
    from train.state import initial_state

    return initial_state(
        zoo.init(assembly.model, key, assembly.train.image_shape), assembly.optimizer, run_key, ema=False
    )


def _of_one(function: Callable[..., Any], shared: int) -> Callable[..., Any]:
    """The function of arrays whose leading axis is 1, all but argument `shared`."""

    def of_one(*arguments: PyTree[Array]) -> PyTree[Array]:
        first = [
            each if number == shared else jax.tree.map(lambda leaf: leaf[0], each)
            for number, each in enumerate(arguments)
        ]
        return jax.tree.map(lambda leaf: leaf[None], function(*first))

    return of_one


def _train(
    assembly: Assembly,
    arrays: Arrays,
    seeds: Sequence[int],
    state: TrainState,
    step: Callable[..., Any],
    console: Console,
) -> tuple[TrainState, np.ndarray]:
    """The trained state, and the mean loss of each epoch, (epochs, seeds)."""
    per_epoch, size = assembly.steps_per_epoch, assembly.recipe.data.batch_size
    sums, means = [], []
    for number in range(assembly.total_steps):
        epoch, place = divmod(number, per_epoch)
        rows = np.stack([order(seed, epoch, len(assembly.train))[place * size :][:size] for seed in seeds])
        state, found = step(state, arrays, rows)
        sums.append((found["loss"], found["count"]))
        if place == per_epoch - 1:
            console.move(number + 1)
            totals = np.sum(jax.device_get(sums), axis=0)
            means.append(totals[0] / totals[1])
            sums = []
    return state, np.array(means)


def _evaluated(
    assembly: Assembly, variables: PyTree[Array], evaluate: Callable[..., Any]
) -> tuple[list[dict[str, float]], np.ndarray | None]:
    """The sums over the held-out split, of each seed, and the first seed's embedding."""
    preprocess, totals, points = data.preprocess(assembly.recipe.augment), {}, []
    for batch in data.evaluation_batches(assembly.test, assembly.eval_batch_size):
        sums, predicted = jax.device_get(evaluate(variables, preprocess(batch)))
        for name, values in sums.items():
            totals[name] = totals.get(name, 0.0) + values.astype(np.float64)
        if "embedding" in predicted:
            points.append(predicted["embedding"][0][batch["mask"]])
    count = len(next(iter(totals.values())))
    each = [{name: float(values[i]) for name, values in totals.items()} for i in range(count)]
    return each, np.concatenate(points) if points else None
