"""How long RNN, LSTM and GRU remember: delayed recall and adding at growing lags. Lecture rows L73, L75.

    python -m train experiment memory                  lags of 5, 20 and 80 steps, 2 seeds
    python -m train experiment memory --scale paper    up to 200 steps, longer, 3 seeds

Hochreiter and Schmidhuber, 1997, Long Short-Term Memory, sections 5.2 and 5.4, whose problems these are.

- Recall: the first step shows one of eight symbols, then there is noise; at the last step it has to be named.
- Adding: each step has a number of 0 to 1; two of them are marked, one in either half, and their sum is asked for.
  To answer 1 whatever comes has a mean squared error of 1/6.

Gates that keep are opened for as many steps as the lag, as Tallec and Ollivier, 2018, Can Recurrent Neural Networks
Warp Time, have it: their biases are drawn as the logarithm of a number of steps, and an LSTM's input gate has the
opposite. Every network learns as long as the others, from the same sequences, of which none comes twice.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from train.engine.console import Console
from train.experiments import SeededOptions
from train.experiments.study import conclude
from train.experiments.tables import grid, with_spread
from train.report.theme import COLOURS, LIGHT, heading, labels, legend, new_figure, style
from zoo.sequences import GRU, LSTM, RNN

KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
SYMBOLS = 8
CONSTANT = 1 / 6
"""The mean squared error of answering 1 when the sum of two uniform numbers is asked for."""
SOLVED = {"recall": 0.95, "adding": CONSTANT / 5}
"""The accuracy from which on recall is solved, and the error below which adding is."""
HELD_OUT = 1000
"""Sequences that are measured on."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long the lags are, and how long is trained."""

    lags: tuple[int, ...]
    steps: int
    seeds: int
    hidden: int = 32
    batch: int = 64
    learning_rate: float = 1e-2


PLANS = {"quick": Plan((5, 20, 80), 800, 2), "paper": Plan((5, 20, 80, 200), 4000, 3)}

Drawn = dict[str, np.ndarray]
Examples = tuple[Float[Array, "batch time inputs"], Array]


def draw_recall(random: np.random.Generator, count: tuple[int, ...], lag: int) -> Drawn:
    """A symbol an example, and noise after it."""
    noise = random.standard_normal((*count, lag), np.float32)
    return {"symbols": random.integers(0, SYMBOLS, count, np.int32), "noise": noise}


def recall(drawn: Drawn, lag: int) -> Examples:
    """A symbol, and so many steps later the question; the answer is the symbol's number, (batch,)."""
    symbols = drawn["symbols"]
    inputs = jnp.zeros((len(symbols), lag + 1, SYMBOLS + 2))
    inputs = inputs.at[:, 0, :SYMBOLS].set(jax.nn.one_hot(symbols, SYMBOLS))
    inputs = inputs.at[:, 1:, SYMBOLS].set(drawn["noise"])
    return inputs.at[:, lag, SYMBOLS + 1].set(1.0), symbols


def draw_adding(random: np.random.Generator, count: tuple[int, ...], lag: int) -> Drawn:
    """Numbers, and the places of two of them."""
    numbers = random.random((*count, 2 * lag), np.float32)
    places = random.integers(0, lag, (*count, 2), np.int32) + np.array([0, lag], np.int32)
    return {"numbers": numbers, "places": places}


def adding(drawn: Drawn, lag: int) -> Examples:
    """Twice as many numbers as the lag, two of them marked, about a lag apart; the answer is their sum, (batch,)."""
    numbers, places = drawn["numbers"], drawn["places"]
    marks = jax.nn.one_hot(places, 2 * lag).sum(axis=1)
    return jnp.stack([numbers, marks], axis=-1), (numbers * marks).sum(axis=1)


def recall_loss(answers: Float[Array, "batch outputs"], symbols: Array) -> tuple[Array, Array]:
    """Mean cross entropy, and accuracy."""
    losses = optax.softmax_cross_entropy_with_integer_labels(answers, symbols)
    return losses.mean(), (answers.argmax(axis=-1) == symbols).mean()


def adding_loss(answers: Float[Array, "batch outputs"], sums: Array) -> tuple[Array, Array]:
    """The mean squared error, twice."""
    error = jnp.square(answers[:, 0] - sums).mean()
    return error, error


class Problem(NamedTuple):
    """What is learned."""

    draw: Callable[[np.random.Generator, tuple[int, ...], int], Drawn]
    """By numpy, for XLA compiles its own generators for long."""
    examples: Callable[[Drawn, int], Examples]
    judge: Callable[[Array, Array], tuple[Array, Array]]
    """The loss of answers, and what is reported."""
    outputs: int
    """How many numbers an answer has."""


TASKS = {
    "recall": Problem(draw_recall, recall, recall_loss, SYMBOLS),
    "adding": Problem(draw_adding, adding, adding_loss, 1),
}

Scores = dict[str, dict[str, dict[str, list[float]]]]
"""By task, network and lag, of each seed."""


def run(options: SeededOptions) -> int:
    """Trains every network at every lag, and says which claims hold."""
    plan, console = PLANS[options.scale], Console(lasting=True)
    if options.seeds:
        plan = dataclasses.replace(plan, seeds=options.seeds)
    scores: Scores = {}
    for task in TASKS:
        scores[task] = {kind: {} for kind in KINDS}
        for kind in KINDS:
            for lag in plan.lags:
                found = trained(task, kind, lag, plan, options.seed)
                scores[task][kind][str(lag)] = found
                console.say(f"{task}, {kind}, lag {lag}: {with_spread(found, 3)}")
    return conclude("memory", options.workdir, scores, claims(scores), table(scores), figure(scores), console)


def trained(task: str, kind: str, lag: int, plan: Plan, seed: int = 0) -> list[float]:
    """The accuracy or the error of each seed after training, on sequences that were not seen; all seeds at once.

    Seeds differ in how the network is drawn, and learn from the same sequences.
    """
    problem, random = TASKS[task], np.random.default_rng([seed, lag])
    batches = problem.draw(random, (plan.steps, plan.batch), lag)
    held_out = problem.draw(random, (HELD_OUT,), lag)
    inputs = jax.eval_shape(lambda: problem.examples(held_out, lag)[0])
    networks = [_drawn(kind, problem, lag, plan, inputs, seed + number) for number in range(plan.seeds)]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    program = jax.vmap(functools.partial(_train, problem, kind, lag, plan), in_axes=(0, None, None))
    return np.asarray(jax.jit(program)(together, batches, held_out), np.float64).tolist()


def _drawn(
    kind: str, problem: Problem, lag: int, plan: Plan, inputs: jax.ShapeDtypeStruct, seed: int
) -> PyTree[np.ndarray]:
    """A network's parameters: uniform in ±1/sqrt(hidden) as the layers draw them, and the gate that keeps opened.

    That is for about as many steps as the lag; an RNN has no such gate.
    """
    random, bound = np.random.default_rng(seed), plan.hidden**-0.5
    shapes = jax.eval_shape(KINDS[kind](plan.hidden).init, jax.random.key(0), inputs)["params"]
    shapes = {**shapes, "head": jax.ShapeDtypeStruct((plan.hidden, problem.outputs), np.float32)}
    params = jax.tree.map(lambda leaf: random.uniform(-bound, bound, leaf.shape).astype(np.float32), shapes)
    if kind != "RNN":
        bias, steps = params["layer1"]["bias"], np.log(random.uniform(1, 2 * lag, plan.hidden))
        bias[plan.hidden : 2 * plan.hidden] = steps  # f of i, f, o, g; z of r, z, n
        if kind == "LSTM":
            bias[: plan.hidden] = -steps
    return {**params, "bias": np.zeros(problem.outputs, np.float32)}


def _train(
    problem: Problem, kind: str, lag: int, plan: Plan, params: PyTree[Array], batches: Drawn, held_out: Drawn
) -> Float[Array, ""]:
    model = KINDS[kind](plan.hidden)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_onecycle_schedule(plan.steps, plan.learning_rate, pct_start=0.1)),
    )

    def loss(params: PyTree[Array], drawn: Drawn) -> tuple[Array, Array]:
        inputs, wanted = problem.examples(drawn, lag)
        _, states = model.apply({"params": {"layer1": params["layer1"]}}, inputs)
        return problem.judge(states[:, -1] @ params["head"] + params["bias"], wanted)

    def step(state: tuple, drawn: Drawn) -> tuple[tuple, None]:
        params, moments = state
        slopes, _ = jax.grad(loss, has_aux=True)(params, drawn)
        updates, moments = optimizer.update(slopes, moments)
        return (optax.apply_updates(params, updates), moments), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), batches)
    return loss(params, held_out)[1]


def solved(scores: Scores, task: str, kind: str, lag: str) -> bool:
    """Whether the mean over the seeds is good enough."""
    mean = float(np.mean(scores[task][kind][lag]))
    return mean >= SOLVED[task] if task == "recall" else mean <= SOLVED[task]


def claims(scores: Scores) -> dict[str, bool]:
    """What is there to show, of the means over the seeds."""
    shortest, *_, longest = scores["recall"]["RNN"]
    return {
        f"at a lag of {shortest} every network recalls": all(
            solved(scores, "recall", kind, shortest) for kind in KINDS
        ),
        f"at {longest} the RNN solves neither": not any(solved(scores, task, "RNN", longest) for task in TASKS),
        f"at {longest} the LSTM solves both": all(solved(scores, task, "LSTM", longest) for task in TASKS),
        f"at {longest} the GRU solves both": all(solved(scores, task, "GRU", longest) for task in TASKS),
    }


def table(scores: Scores) -> str:
    """For each task and network the accuracy or the error at each lag, with its spread over the seeds."""
    rows = {}
    for task, scale, digits in (("recall", 100, 1), ("adding", 1, 4)):
        title = "recall, accuracy (%)" if task == "recall" else "adding, mean squared error"
        for kind, of_lags in scores[task].items():
            rows[f"{title}: {kind}"] = [with_spread([scale * v for v in each], digits) for each in of_lags.values()]
    lags = [f"lag {lag}" for lag in scores["recall"]["RNN"]]
    return grid("", lags, rows)


def figure(scores: Scores) -> Any:
    """Accuracy and error against the lag, a line a network; chance and the constant's error dashed."""
    drawing = new_figure(7.2, 3.0, LIGHT)
    panels = drawing.subplots(1, 2)
    titles = {"recall": ("Delayed recall", "accuracy"), "adding": ("Adding", "mean squared error")}
    chance = {"recall": 1 / SYMBOLS, "adding": CONSTANT}
    for panel, task in zip(panels, TASKS, strict=True):
        for (kind, of_lags), colour in zip(scores[task].items(), COLOURS, strict=False):
            lags, each = [int(lag) for lag in of_lags], np.array(list(of_lags.values()))
            panel.plot(lags, each.mean(axis=1), "o-", color=colour, lw=1.8, ms=4, label=kind)
            panel.plot(np.repeat(lags, each.shape[1]), each.ravel(), ".", color=colour, ms=3)
        panel.axhline(chance[task], color=LIGHT.muted, lw=1.0, ls=(0, (3, 2)))
        panel.set_xscale("log")
        panel.set_xticks(lags, [str(lag) for lag in lags])
        panel.minorticks_off()
        if task == "adding":
            panel.set_yscale("log")
        style(panel)
        heading(panel, titles[task][0])
        labels(panel, x="lag in steps", y=titles[task][1])
    legend(drawing, loc="outside upper right", ncols=len(KINDS), handles=panels[0].get_legend_handles_labels()[0])
    return drawing
