"""Many seeds of one recipe, with the one engine: side by side in one program where that pays, else run after run.

`train_seeds` is the whole of it. Side by side, the states of all seeds are one state with a leading axis, over which
`SideBySide` maps the update and the evaluation; feed and evaluator are those of a run. Otherwise each seed is a run of
`train.engine.loop.fit` in a folder of its own, which can be interrupted and has a report. Either way seed k comes to
what `fit` comes to with it, up to rounding; and what diverged is a result too.
"""

import dataclasses
import functools
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

import zoo
from train.config import Recipe, RecipeError
from train.data import MemoryPipeline
from train.engine import hosts
from train.engine.assemble import Assembly, assemble
from train.engine.console import Console
from train.engine.evaluator import Evaluator
from train.engine.feed import MemoryFeed, choose_steps_per_dispatch
from train.engine.loop import fit
from train.engine.meter import NonFiniteError
from train.engine.placement import Augment, Fetch, MeshPlacement, Step
from train.engine.state import TrainState
from train.engine.step import Sums, Update
from train.store import journal
from train.store.workdir import Workdir, WorkdirError
from train.tasks.protocol import Task, Totals

MEMORY = 2**31
"""Bytes of parameters and all that goes with them, of all seeds, above which they train one after another."""

Line = Mapping[str, Any]
"""Means over the training steps since the line before: "step", "loss" and the task's other scores."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a recipe came to with one seed."""

    metrics: dict[str, float]
    """Of the last evaluation, and as train_... those of training over its last epoch; all nan of what diverged."""
    curve: list[tuple[int, float]]
    """Training steps done, and the mean loss since those before."""
    parameters: int
    """How many the model has."""
    seconds: float
    diverged: str = ""
    """What was not finite, and when; empty of a run that came to its end."""


class Stopped(KeyboardInterrupt):
    """A signal stopped a run; it is saved and can go on."""

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


def train_seeds(
    recipe: Recipe, seeds: Sequence[int], path: Path, console: Console | None = None
) -> Iterator[tuple[int, Trained]]:
    """Trains a recipe once a seed, and yields each seed with what it came to.

    Of a seed on its own the folder seed-K holds the run; of one side by side seed-K.safetensors holds the variables,
    and seed-K_ema.safetensors their moving average.

    Args:
      recipe: its own seed counts for nothing.
      seeds: which.
      path: the folder of all of them.
      console: where progress is shown.

    Raises:
      RecipeError: no seed, or the recipe asks for something impossible.
      WorkdirError: a folder holds something that a run must not touch, or is damaged.
      Stopped: by a signal, at a run in a folder of its own.
    """
    if not seeds:
        raise RecipeError(f"recipe {recipe.name}: expected at least one seed, got none")
    console = console or Console(quiet=not hosts.is_first())
    if len(seeds) > 1 and (together := _together(recipe, len(seeds))) is not None:
        yield from zip(seeds, _train_together(*together, seeds, path, console), strict=True)
        return
    for seed in seeds:
        yield seed, train_alone(dataclasses.replace(recipe, seed=seed), path / f"seed-{seed}", console)


def train_alone(recipe: Recipe, path: Path, console: Console | None = None) -> Trained:
    """Trains a recipe in a folder of its own: goes on with a run of it that is there, and repeats none.

    Raises:
      RecipeError, WorkdirError, DataError, CheckpointError: see `train.engine.loop.fit`.
      Stopped: by a signal.
    """
    files = Workdir(folder_for(recipe, path))
    begun, finished = (bool(hosts.from_first(int(there))) for there in (files.card.exists(), files.finished))
    if begun and finished:
        return _of_run(files)
    started = time.perf_counter()
    try:
        outcome = fit(recipe, files.path, resume=begun, console=console)
    except NonFiniteError as error:
        return _of_run(files, str(error), time.perf_counter() - started)
    if outcome.fingerprint is None:
        raise Stopped(outcome.exit_code)
    return _of_run(files)


def folder_for(recipe: Recipe, path: Path) -> Path:
    """The folder of a run of this very recipe, or the first free one: `path`, `path`-2, `path`-3, ...

    Raises:
      WorkdirError: the recipe of a run that is there cannot be read.
    """

    def choose() -> Path:
        for number in itertools.count(1):
            files = Workdir(path if number == 1 else path.with_name(f"{path.name}-{number}"))
            if not files.card.exists() or files.read_recipe() == recipe:
                break
        return files.path

    return hosts.path_from_first(choose)


def _of_run(files: Workdir, diverged: str = "", seconds: float = 0.0) -> Trained:
    """What the run in a folder came to.

    Raises:
      WorkdirError: a file of it is damaged.
    """
    try:
        card = files.read_card()
        names = [metric["name"] for metric in card["metrics"]]
        lines = [record for record in journal.ordered(files.metrics) if record["kind"] == "train"]
        result = {} if diverged else json.loads(files.fingerprint.read_text(encoding="utf-8"))
        return _trained(
            {} if diverged else result["metrics"],
            lines,
            names,
            card["steps_per_epoch"],
            card["model"]["parameters"],
            seconds if diverged else result["seconds"],
            diverged,
            ema=card["recipe"]["optimizer"]["ema"] is not None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WorkdirError(f"{files.path} holds a run whose results are damaged: {error!r}") from error


def _trained(
    metrics: Mapping[str, float],
    lines: Sequence[Line],
    names: Sequence[str],
    steps_per_epoch: int,
    parameters: int,
    seconds: float,
    diverged: str,
    ema: bool,
) -> Trained:
    curve = [(line["step"], line["loss"]) for line in lines]
    if diverged:
        prefixes = ("", "ema_", "train_") if ema else ("", "train_")
        found = {prefix + name: math.nan for prefix in prefixes for name in names}
    else:
        found = {**metrics, **_over_last_epoch(lines, names, steps_per_epoch)}
    return Trained(found, curve, parameters, seconds, diverged)


def _over_last_epoch(lines: Sequence[Line], names: Sequence[str], steps_per_epoch: int) -> dict[str, float]:
    """The means over as many steps as an epoch has, up to the last; a line is of the steps since the line before.

    >>> lines = [{"step": 2, "loss": 9.0}, {"step": 5, "loss": 3.0}, {"step": 6, "loss": 1.0}]
    >>> _over_last_epoch(lines, ["loss"], 4)
    {'train_loss': 2.5}
    """
    ends = [0, *(line["step"] for line in lines)]
    counted = [
        (line, line["step"] - begin)
        for begin, line in zip(ends, lines, strict=False)
        if line["step"] > ends[-1] - steps_per_epoch
    ]
    steps = sum(count for _, count in counted)
    return {
        f"train_{name}": sum(line[name] * count for line, count in counted) / steps if steps else math.nan
        for name in names
    }


def _together(recipe: Recipe, count: int) -> tuple[Assembly, MemoryPipeline] | None:
    """The parts of a run, if so many seeds of it can train side by side and gain by it."""
    if recipe.placement != "jit" or recipe.early_stop or hosts.count() > 1:
        return None
    assembly = assemble(recipe)
    if not side_by_side(assembly, count) or assembly.task.judge() is not None:
        return None
    pipeline = assembly.make_pipeline()
    if isinstance(pipeline, MemoryPipeline):
        return assembly, pipeline
    pipeline.close()
    return None


def side_by_side(assembly: Assembly, count: int) -> bool:
    """Whether so many seeds fit in memory and gain by one program: on a CPU networks of dense layers alone do."""
    shapes = jax.tree.leaves(assembly.state_shapes)
    fits = count * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in shapes) <= MEMORY
    dense = all(leaf.ndim <= 2 for leaf in jax.tree.leaves(assembly.state_shapes.params))
    return fits and (dense or jax.default_backend() != "cpu")


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


def _train_together(
    assembly: Assembly, pipeline: MemoryPipeline, seeds: Sequence[int], path: Path, console: Console
) -> list[Trained]:
    started, recipe = time.perf_counter(), assembly.recipe
    assembly = dataclasses.replace(assembly, placement=SideBySide())
    console.learn(assembly.task.metrics)
    console.say(f"{recipe.name}: seeds {', '.join(map(str, seeds))} side by side")
    state, lines, diverged = _trained_state(assembly, _Orders(pipeline, seeds), seeds, console)
    if recipe.on_nan == "stop":
        last = assembly.total_steps
        diverged |= {i: f"step {last}: not finite" for i in np.flatnonzero(~_finite(state)) if i not in diverged}
    summary = Evaluator(assembly, functools.partial(_scores, assembly.task)).summary(state)
    for suffix, variables in (("", state.variables()), ("_ema", state.ema)):
        if variables is not None:
            _save(jax.device_get(variables), [path / f"seed-{seed}{suffix}.safetensors" for seed in seeds])
    names = [metric.name for metric in assembly.task.metrics]
    parameters = sum(leaf.size for leaf in jax.tree.leaves(assembly.state_shapes.params))
    seconds, ema = (time.perf_counter() - started) / len(seeds), recipe.optimizer.ema is not None
    each = [{name: float(values[i]) for name, values in summary.items()} for i in range(len(seeds))]
    return [
        _trained(metrics, lines[i], names, assembly.steps_per_epoch, parameters, seconds, diverged.get(i, ""), ema)
        for i, metrics in enumerate(each)
    ]


def _save(variables: PyTree[np.ndarray], paths: Sequence[Path]) -> None:
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for i, path in enumerate(paths):
        zoo.save_weights(jax.tree.map(lambda leaf, i=i: leaf[i], variables), path)


def _trained_state(
    assembly: Assembly, orders: _Orders, seeds: Sequence[int], console: Console
) -> tuple[TrainState, list[list[Line]], dict[int, str]]:
    """The last state, each seed's lines, and what diverged, by its place among the seeds."""
    recipe, placement, total = assembly.recipe, assembly.placement, assembly.total_steps
    most = choose_steps_per_dispatch(recipe.steps_per_dispatch, placement, assembly.state_shapes.params)
    feed = MemoryFeed(orders, placement, assembly.make_augment(), assembly.make_update(), most)
    state = _initial(assembly, seeds)
    lines: list[list[Line]] = [[] for _ in seeds]
    diverged: dict[int, str] = {}
    step, logged, waiting = 0, 0, []
    with console.progress(total, 0):
        while step < total and len(diverged) < len(seeds):
            end = min(step - step % assembly.steps_per_epoch + assembly.steps_per_epoch, total)
            count = min(most, end - step)
            state, sums, _ = feed.advance(state, step, count)
            waiting.append(sums if most > 1 else jax.tree.map(lambda leaf: leaf[None], sums))
            step += count
            console.move(step)
            if step < end and step - logged < recipe.log_every:
                continue
            fetched = [jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), each) for each in waiting]
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
    loss = float(total.loss.total / total.loss.weight) if total.loss.weight else math.nan
    return {**task.scores(total.totals), "loss": loss}


def _initial(assembly: Assembly, seeds: Sequence[int]) -> TrainState:
    """The states before the first step, as one; drawn one by one, for the generator that draws them has no `vmap`."""
    make_state = jax.jit(assembly.make_state)
    states = []
    for seed in seeds:
        own = dataclasses.replace(assembly, recipe=dataclasses.replace(assembly.recipe, seed=seed))
        states.append(make_state(own.weights, own.init_key, jax.random.key(seed)))
    return assembly.placement.initialise(lambda *each: jax.tree.map(lambda *leaves: jnp.stack(leaves), *each), *states)


def _scores(task: Task, totals: Totals) -> dict[str, Float[np.ndarray, "seeds"]]:
    """The task's scores of each seed."""
    count = len(jax.tree.leaves(totals)[0])
    each = [task.scores(jax.tree.map(lambda leaf, i=i: leaf[i], totals)) for i in range(count)]
    return {name: np.array([scores[name] for scores in each]) for name in each[0]}


def _finite(state: PyTree[Array]) -> Bool[np.ndarray, "seeds"]:
    """Whether all that belongs to a seed is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    each = [np.isfinite(np.asarray(leaf)).reshape(len(leaf), -1).all(axis=1) for leaf in leaves]
    return np.logical_and.reduce(each)
