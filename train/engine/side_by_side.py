"""Seeds, or learning rates, side by side: the states of all are one state with a leading axis, trained and evaluated by
one program.

`SideBySide` is the placement that maps the update and the evaluation over that axis; feed and evaluator are those of a
run. Networks of dense layers gain by it everywhere, small ones of other layers on accelerators.

Nothing is saved before the end: after an interruption they start anew. Whether they fit in memory is judged by
their states alone; activations, which are there once a seed too, are not counted.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

import zoo
from train.config import Recipe
from train.data import MemoryPipeline
from train.engine import hosts
from train.engine.assemble import Assembly, assemble
from train.engine.console import Console
from train.engine.evaluator import Evaluator
from train.engine.feed import MemoryFeed, choose_steps_per_dispatch
from train.engine.optim import with_factor
from train.engine.placement import Augment, Fetch, MeshPlacement, Step
from train.engine.state import TrainState
from train.engine.step import Sums, Update
from train.engine.trained import Line, Trained, of_lines
from train.tasks.protocol import Task, Totals

MEMORY = 2**31
"""Bytes of parameters and all that goes with them, of all seeds, above which they train one after another."""
LARGE = 2**21
"""Parameters above which a network that is not all dense trains one seed after another: large ones keep an accelerator
busy alone, and tend to have the large activations that `MEMORY` does not count."""


def pays(assembly: Assembly, count: int) -> bool:
    """Whether so many seeds fit in memory, as far as their states go, and gain by one program.

    Networks of dense layers do everywhere, others on accelerators where they have no more than `LARGE` parameters.
    """
    shapes = jax.tree.leaves(assembly.state_shapes)
    fits = count * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in shapes) <= MEMORY
    params = jax.tree.leaves(assembly.state_shapes.params)
    dense = all(leaf.ndim <= 2 for leaf in params)
    small = sum(math.prod(leaf.shape) for leaf in params) <= LARGE
    return fits and (dense or (small and jax.default_backend() != "cpu"))


def together(recipe: Recipe, count: int) -> tuple[Assembly, MemoryPipeline] | None:
    """The parts of a run, if so many of it can train side by side and gain by it."""
    if recipe.placement != "jit" or recipe.early_stop or hosts.count() > 1:
        return None
    assembly = assemble(recipe)
    if not pays(assembly, count) or assembly.task.judge() is not None:
        return None
    pipeline = assembly.make_pipeline()
    if isinstance(pipeline, MemoryPipeline):
        return assembly, pipeline
    pipeline.close()
    return None


class SideBySide(MeshPlacement):
    """A leading axis of seeds on every array of the state, and on the rows of a batch."""

    def _one(self, fetch: Fetch, augment: Augment, update: Update) -> Step:
        return jax.vmap(super()._one(fetch, augment, update), in_axes=(0, None, 0))

    def evaluate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `MeshPlacement.evaluate`; all seeds see the same batch."""
        return super().evaluate(jax.vmap(function, in_axes=(0, None)))


class _Orders:
    """The one training set, in the order of each seed."""

    def __init__(self, pipeline: MemoryPipeline, seeds: Sequence[int]) -> None:
        self.arrays = pipeline.arrays
        self._pipelines = [pipeline.reseeded(seed) for seed in seeds]

    def indices(self, step: int) -> Int[np.ndarray, "seeds batch"]:
        return np.stack([pipeline.indices(step) for pipeline in self._pipelines])


def train_together(
    assembly: Assembly,
    pipeline: MemoryPipeline,
    seeds: Sequence[int],
    path: Path,
    console: Console,
    factors: Sequence[float] = (),
    names: Sequence[str] = (),
) -> list[Trained]:
    """Trains several runs in one program.

    Args:
      assembly, pipeline: from `together`.
      seeds: one a run.
      path: the folder of the variables, NAME.safetensors and NAME_ema.safetensors.
      console: where progress is shown.
      factors: of their learning rates, of an assembly whose optimiser is `scaled`; one a run.
      names: one a run; by default seed-K.
    """
    started, recipe = time.perf_counter(), assembly.recipe
    names_of_files = names or [f"seed-{seed}" for seed in seeds]
    assembly = dataclasses.replace(assembly, placement=SideBySide())
    console.learn(assembly.task.metrics)
    console.say(f"{recipe.name}: {', '.join(names_of_files)} side by side")
    initial = _initial(assembly, seeds, factors)
    state, lines, diverged = _trained_state(assembly, _Orders(pipeline, seeds), initial, len(seeds), console)
    if recipe.on_nan == "stop":
        last = assembly.total_steps
        diverged |= {i: f"step {last}: not finite" for i in np.flatnonzero(~_finite(state)) if i not in diverged}
    summary = Evaluator(assembly, functools.partial(_scores, assembly.task)).summary(state)
    for suffix, variables in (("", state.variables()), ("_ema", state.ema)):
        if variables is not None:
            _save(jax.device_get(variables), [path / f"{name}{suffix}.safetensors" for name in names_of_files])
    metric_names = [metric.name for metric in assembly.task.metrics]
    parameters = sum(leaf.size for leaf in jax.tree.leaves(assembly.state_shapes.params))
    seconds, ema = (time.perf_counter() - started) / len(seeds), recipe.optimizer.ema is not None
    per_epoch = assembly.steps_per_epoch
    each = [{name: float(values[i]) for name, values in summary.items()} for i in range(len(seeds))]
    return [
        of_lines(metrics, lines[i], metric_names, per_epoch, parameters, seconds, diverged.get(i, ""), ema)
        for i, metrics in enumerate(each)
    ]


def _save(variables: PyTree[np.ndarray], paths: Sequence[Path]) -> None:
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for i, path in enumerate(paths):
        zoo.save_weights(jax.tree.map(lambda leaf, i=i: leaf[i], variables), path)


def _trained_state(
    assembly: Assembly, orders: _Orders, state: TrainState, runs: int, console: Console
) -> tuple[TrainState, list[list[Line]], dict[int, str]]:
    """The last state, each run's lines, and what diverged, by its place among the runs."""
    recipe, placement, total = assembly.recipe, assembly.placement, assembly.total_steps
    most = choose_steps_per_dispatch(recipe.steps_per_dispatch, placement, assembly.state_shapes.params)
    feed = MemoryFeed(orders, placement, assembly.make_augment(), assembly.make_update(), most)
    lines: list[list[Line]] = [[] for _ in range(runs)]
    diverged: dict[int, str] = {}
    step, logged, waiting = 0, 0, []
    with console.progress(total, 0):
        while step < total and len(diverged) < runs:
            end = min(step - step % assembly.steps_per_epoch + assembly.steps_per_epoch, total)
            count = min(most, end - step)
            state, sums, _ = feed.advance(state, step, count)
            waiting.append(sums if most > 1 else jax.tree.map(lambda leaf: leaf[None], sums))
            step += count
            console.move(step)
            if step < end and step - logged < recipe.log_every:
                continue
            fetched = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(waiting))
            steps: Sums = jax.tree.map(lambda *leaves: np.concatenate(leaves), *fetched)
            if recipe.on_nan == "stop":
                for at, i in np.argwhere(steps.finite < 1).tolist():
                    diverged.setdefault(i, f"step {logged + at + 1}: loss or gradient is not finite")
            for i, own in enumerate(lines):
                if i not in diverged and (line := _line(assembly.task, steps, i)) is not None:
                    own.append({"step": step, **line})
            logged, waiting = step, []
    feed.close()
    return state, lines, diverged


def _line(task: Task, steps: Sums, seed: int) -> dict[str, float] | None:
    """The means over some steps of one seed; None where all their updates were skipped."""
    total: Sums = jax.tree.map(lambda leaf: leaf[:, seed].sum(axis=0), steps)
    if not total.finite:
        return None
    return {**task.scores(total.totals), "loss": total.loss.mean()}


def _initial(assembly: Assembly, seeds: Sequence[int], factors: Sequence[float]) -> TrainState:
    """The states before the first step, as one; drawn one by one, for the generator that draws them has no `vmap`."""
    make_state = jax.jit(assembly.make_state)
    states = []
    for seed in seeds:
        own = dataclasses.replace(assembly, recipe=dataclasses.replace(assembly.recipe, seed=seed))
        states.append(make_state(own.weights, own.init_key, jax.random.key(seed)))
    for i, factor in enumerate(factors):
        states[i] = states[i].replace(opt_state=with_factor(states[i].opt_state, factor))
    return assembly.placement.initialise(lambda *each: jax.tree.map(lambda *leaves: jnp.stack(leaves), *each), *states)


def _scores(task: Task, totals: Totals) -> dict[str, Float[np.ndarray, "seeds"]]:
    """The task's scores of each seed."""
    count = len(jax.tree.leaves(totals)[0])
    each = [task.scores(jax.tree.map(lambda leaf, i=i: leaf[i], totals)) for i in range(count)]
    return {name: np.array([scores[name] for scores in each]) for name in each[0]}


def _finite(state: PyTree[Array]) -> Bool[np.ndarray, "seeds"]:
    """Whether all that belongs to a seed is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    each = [np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in jax.device_get(leaves)]
    return np.logical_and.reduce(each)
