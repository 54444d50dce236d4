"""What papers are about, from their words and citations: networks of graphs with the papers' settings. Lecture row L78.

    python -m train experiment nodes --data-dir FOLDER                  10 seeds at once
    python -m train experiment nodes --data-dir FOLDER --scale paper    100 seeds, as published

The folder has Planetoid's files of Cora, Citeseer or Pubmed, or of several. Kipf and Welling, 2017, table 2, and
Veličković et al., 2018, table 2, trained so: 20 nodes a class, 500 to validate, 1000 to test. All seeds of a network
train in one program, and each ends by the authors' rule (`stopping.py`); GAT's after 1000 epochs at the latest, where
they let it go on. Without edges GCN is a perceptron with one hidden layer, which sees the words alone.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from train.config import DataError, Recipe
from train.data.graph_fields import EDGES, NODES
from train.engine.assemble import Assembly, assemble, init_key
from train.engine.console import Console
from train.engine.optim import decay_mask
from train.engine.transfer import frozen_mask
from train.experiments import SeededOptions
from train.experiments.bars import grouped_bars
from train.experiments.geometric.stopping import Rule, Run, Validated, above_the_last, begun, no_better_for, watched
from train.experiments.study import Result, conclude
from train.experiments.tables import grid, with_spread
from train.recipes import graphs
from zoo.geometric import SparseFeatures

SETS = {"cora": "Cora", "citeseer": "Citeseer", "pubmed": "Pubmed"}
SEEDS = {"quick": 10, "paper": 100}
AT_ONCE = 50
"""Epochs that one call of the device runs."""
BLIND, GCN, SAGE, GAT = "GCN without edges", "GCN", "GraphSAGE", "GAT"
PUBLISHED = {
    BLIND: {"cora": "55.1", "citeseer": "46.5", "pubmed": "71.4"},
    GCN: {"cora": "81.5", "citeseer": "70.3", "pubmed": "79.0"},
    GAT: {"cora": "83.0 ± 0.7", "citeseer": "72.5 ± 0.7", "pubmed": "79.0 ± 0.3"},
}
"""Accuracy of the test nodes in percent; without edges: the perceptron of Kipf and Welling's table."""
REACHED = {(GCN, "cora"): 80.5, (GCN, "citeseer"): 69.5, (GAT, "cora"): 81.5}
"""Percent that have to be reached."""


class Arm(NamedTuple):
    """A network with its settings."""

    recipe: Recipe
    rule: Rule
    sees_edges: bool = True


def arms(data_set: str, data_dir: str | None) -> dict[str, Arm]:
    """The networks that are compared on a data set."""
    recipes = {recipe.name: recipe for recipe in graphs.RECIPES}
    gcn, gat = (
        dataclasses.replace(recipe, early_stop=0, data=dataclasses.replace(recipe.data, data_dir=data_dir))
        for recipe in (recipes[f"{data_set}_gcn"], recipes[f"{data_set}_gat"])
    )
    sage = dataclasses.replace(gcn, model=dataclasses.replace(gcn.model, name="graphsage"))
    return {
        BLIND: Arm(gcn, above_the_last(), sees_edges=False),
        GCN: Arm(gcn, above_the_last()),
        SAGE: Arm(sage, above_the_last()),
        GAT: Arm(gat, no_better_for()),
    }


def run(options: SeededOptions) -> int:
    """Trains every network on every data set that is there, and says which claims hold.

    Raises:
      DataError: the folder has none of them.
    """
    folder, console = Path(options.data_dir or "."), Console(lasting=True)
    found = [name for name in SETS if (folder / f"ind.{name}.x").exists()]
    if not found:
        names = ", ".join(f"ind.{name}.x" for name in SETS)
        raise DataError(f"{folder}: expected Planetoid's files, {names} or several, found none: see --data-dir")
    seeds = range(options.seed, options.seed + options.count(SEEDS))
    results: dict[str, dict[str, Result]] = {}
    for data_set in found:
        results[data_set] = {}
        for name, arm in arms(data_set, options.data_dir).items():
            results[data_set][name] = result = trained(arm, seeds, console)
            epochs = f"{np.mean(result.metrics['epochs']):.0f} epochs"
            console.say(f"{SETS[data_set]}, {name}: {result.percent('accuracy')} %, {epochs}, {result.seconds:.0f} s")
    numbers = {
        data_set: {name: dataclasses.asdict(r) for name, r in each.items()} for data_set, each in results.items()
    }
    figure = drawn(results)
    return conclude("nodes", options.workdir, numbers, claims(results), table(results), figure, console)


def trained(arm: Arm, seeds: range, console: Console) -> Result:
    """What each seed came to; all train at once.

    The step, the state and the evaluation are the engine's: seed k begins and moves as `fit` has it with that seed. But
    dropout draws other numbers, for it is given the words of a paper alone, without the zeros of those it has not.
    """
    started, assembly = time.perf_counter(), assemble(arm.recipe)
    rule, batch = arm.rule, one_graph(assembly.train.arrays(), arm.sees_edges)
    advance = jax.jit(lambda state, runs, batch: _advanced(assembly, rule, state, runs, batch))
    make_state = jax.jit(assembly.make_state)
    states = [make_state(None, init_key(seed), jax.random.key(seed)) for seed in seeds]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    runs = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(seeds)), begun(rule))
    epoch, most = 0, arm.recipe.epochs
    with console.progress(most, 0):
        while epoch < most and not runs.stopped.all():
            state, runs = advance(state, runs, batch)
            epoch += AT_ONCE
            console.move(min(epoch, most))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(assembly.state_shapes.params))
    measured = {"accuracy": runs.result, "epochs": runs.epochs, "taken": runs.taken}
    metrics = {name: np.asarray(values, np.float64).tolist() for name, values in measured.items()}
    return Result(metrics, (), parameters, time.perf_counter() - started)


def one_graph(arrays: Mapping[str, np.ndarray], sees_edges: bool = True) -> dict[str, Any]:
    """The one graph as a batch, with the words that it has alone: zeros need not be dropped."""
    batch = {
        **arrays,
        NODES: SparseFeatures.of(arrays[NODES]),
        "index": np.zeros(1, np.int32),
        "mask": np.ones(1, bool),
    }
    valid = f"{EDGES}_valid"
    return batch if sees_edges else {**batch, valid: np.zeros_like(batch[valid])}


def _advanced(assembly: Assembly, rule: Rule, state: Any, runs: Run, batch: Any) -> tuple[Any, Run]:
    """Some epochs of all seeds; of the last ones those beyond the recipe's change nothing."""
    update, evaluate, decay = assembly.make_update(), assembly.evaluate(), _decay(assembly.recipe)

    def epoch(carry: tuple[Any, Run], _: None) -> tuple[tuple[Any, Run], None]:
        state, run = carry
        number = state.step
        state, _ = update(state, batch)
        totals = evaluate(state.variables(), batch)
        means = {
            part: {name: total[name] / total["count"] for name in ("loss", "correct")} for part, total in totals.items()
        }
        seen = Validated(number, means["validation"]["loss"], decay(state.params), means["validation"]["correct"])
        after = watched(rule, run, seen, means["test"]["correct"])
        over = number >= assembly.total_steps
        return (state, jax.tree.map(lambda old, new: jnp.where(over, old, new), run, after)), None

    def one(state: Any, run: Run) -> tuple[Any, Run]:
        return jax.lax.scan(epoch, (state, run), None, AT_ONCE)[0]

    return jax.vmap(one)(state, runs)


def _decay(recipe: Recipe) -> Callable[[PyTree[Array]], Array]:
    """What weight decay adds to the loss: half of the squares of the parameters that decay."""
    patterns, weight = recipe.optimizer.decay_only, recipe.optimizer.weight_decay

    def of(params: PyTree[Array]) -> Array:
        decays = frozen_mask(params, patterns) if patterns else decay_mask(params)
        squares = jax.tree.map(lambda leaf, does: jnp.sum(jnp.square(leaf)) if does else 0.0, params, decays)
        return weight / 2 * sum(jax.tree.leaves(squares))

    return of


def claims(results: Mapping[str, Mapping[str, Result]]) -> dict[str, bool]:
    """What is there to show, of the means over the seeds."""
    found = {}
    for data_set, each in results.items():
        accuracy = {name: each[name].mean("accuracy", 100) for name in each}
        title = SETS[data_set]
        for (name, of), least in REACHED.items():
            if of == data_set:
                found[f"{name} reaches {least} % on {title}"] = accuracy[name] >= least
        found[f"citations tell more than words alone, {title}"] = accuracy[GCN] > accuracy[BLIND] + 5
    return found


def table(results: Mapping[str, Mapping[str, Result]]) -> str:
    """Accuracy of the test nodes with its spread over the seeds, and the published one."""
    names = list(next(iter(results.values())))
    rows = {name: [each[name].percent("accuracy") for each in results.values()] for name in names}
    published = {f"{name}, published": [of.get(data_set, "") for data_set in results] for name, of in PUBLISHED.items()}
    epochs = {
        f"{name}, epochs": [with_spread(each[name].metrics["epochs"], 0) for each in results.values()] for name in names
    }
    return grid("accuracy (%)", [SETS[data_set] for data_set in results], {**rows, **published, **epochs})


def drawn(results: Mapping[str, Mapping[str, Result]]) -> Any:
    """Accuracy, a group of bars for each data set."""
    names = list(next(iter(results.values())))
    series = {
        name: [(each[name].mean("accuracy", 100), each[name].spread("accuracy", 100)) for each in results.values()]
        for name in names
    }
    drawing = grouped_bars([SETS[data_set] for data_set in results], series, "accuracy of the test nodes (%)")
    lowest = min(mean for each in series.values() for mean, _ in each)
    drawing.axes[0].set_ylim(10 * math.floor(max(lowest - 5, 0) / 10), 90)
    return drawing
