"""How a gradient fares back through time: RNN, LSTM and GRU against what theory says. Lecture row L73.

    python -m train experiment gradients                  100 steps, 64 hidden units, 5 networks each
    python -m train experiment gradients --scale paper    200 steps, 256 hidden units, 10 networks each

Bengio, Simard and Frasconi, 1994, Learning Long-Term Dependencies with Gradient Descent is Difficult; Pascanu, Mikolov
and Bengio, 2013, On the Difficulty of Training Recurrent Neural Networks. Networks are as they are drawn, before any
training: measured is the gradient of the last output in the state of so many steps before, as its norm.

Theory has it change from step to step by a factor: the spectral radius of a step's Jacobian, at a state of zero. Of an
RNN that is the radius of W; of an LSTM about what its forget gate lets through, and of a GRU its update gate. That an
LSTM remembers is its gate's doing: one that is half shut forgets as fast as an RNN. Inputs are small, so that states
stay near zero; an LSTM whose forget gate is open has its input gate shut as far.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from train.engine.console import Console
from train.experiments import SeededOptions
from train.experiments.study import conclude
from train.experiments.tables import grid
from train.report.theme import COLOURS, LIGHT, heading, labels, legend, new_figure, style
from zoo.sequences import GRU, LSTM, RNN
from zoo.sequences.layers import Recurrent

Norms = Float[np.ndarray, "seeds lags"]


class Arm(NamedTuple):
    """A network, and how it is drawn."""

    kind: type[Recurrent]
    setting: float
    """Of an RNN the spectral radius of W, of the others the bias of the gate that keeps."""


class Found(NamedTuple):
    """What was measured of one arm, a network a seed."""

    norms: Norms
    """The gradient in the state of 0, 1, 2, ... steps before the end, over that in the last state."""
    radius: float
    """Of a step's Jacobian, the mean over the networks: the factor by which theory has the gradient change."""


ARMS = {
    "RNN, radius 0.5": Arm(RNN, 0.5),
    "RNN, radius 0.9": Arm(RNN, 0.9),
    "RNN, radius 1.2": Arm(RNN, 1.2),
    "LSTM, forget bias 0": Arm(LSTM, 0.0),
    "LSTM, forget bias 5": Arm(LSTM, 5.0),
    "GRU, update bias 0": Arm(GRU, 0.0),
    "GRU, update bias 5": Arm(GRU, 5.0),
}
STEPS, HIDDEN, SEEDS = ({"quick": few, "paper": many} for few, many in ((100, 200), (64, 256), (5, 10)))
INPUTS, BATCH = 8, 8
SMALL = 1e-9
"""The inputs' standard deviation: a network that makes its own states larger has not made them large at the end."""
KEEPS = 1
"""Which of the biases belongs to the gate that keeps: f of i, f, o, g; z of r, z, n."""
TINY = float(np.finfo(np.float32).tiny)
"""What float32 still has all its digits of; what is smaller may be zero."""
NEAR = 0.03
"""How far the measured factor may be from theory's, as a share, to agree."""


def run(options: SeededOptions) -> int:
    """Measures every arm, and says which claims hold."""
    scale = options.scale
    seeds = range(options.seed, options.seed + options.count(SEEDS))
    found = {name: measured(arm, STEPS[scale], HIDDEN[scale], seeds) for name, arm in ARMS.items()}
    numbers = {
        name: {"radius": each.radius, "factor": factor_of(each), "norms": each.norms.tolist()}
        for name, each in found.items()
    }
    console = Console(lasting=True)
    return conclude("gradients", options.workdir, numbers, claims(found), table(found), figure(found), console)


def measured(arm: Arm, steps: int, hidden: int, seeds: range) -> Found:
    """One network a seed, all at once."""
    model = arm.kind(hidden)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    variables = [drawn(arm, hidden, key) for key in keys]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *variables)
    norms = jax.jit(jax.vmap(functools.partial(_norms, model, steps)))(together, keys)
    jacobians = jax.jit(jax.vmap(functools.partial(_jacobian, model)))(together)
    radii = np.abs(np.linalg.eigvals(np.asarray(jacobians, np.float64))).max(axis=1)
    return Found(np.asarray(norms, np.float64), float(radii.mean()))


def drawn(arm: Arm, hidden: int, key: Key[Array, ""]) -> PyTree[Array]:
    """The network's variables: as drawn by the layer, with W's radius or the gate's bias as the arm has it."""
    model = arm.kind(hidden)
    variables = jax.jit(model.init)(key, jnp.zeros((1, 1, INPUTS)))
    layer = dict(variables["params"]["layer1"])
    if arm.kind is RNN:
        kernel = np.random.default_rng(np.asarray(jax.random.key_data(key))).standard_normal((hidden, hidden))
        radius = np.abs(np.linalg.eigvals(kernel)).max()
        layer |= {"hidden_kernel": jnp.asarray(kernel * arm.setting / radius, jnp.float32)}
        layer |= {"bias": jnp.zeros(hidden)}
    else:
        bias = jnp.zeros_like(layer["bias"]).at[KEEPS * hidden : (KEEPS + 1) * hidden].set(arm.setting)
        layer["bias"] = bias.at[:hidden].set(-arm.setting) if arm.kind is LSTM else bias
    return {"params": {"layer1": layer}}


def _jacobian(model: Recurrent, variables: PyTree[Array]) -> Float[Array, "state state"]:
    """Of a step without input, at a state of zero."""
    zeros, unravel = ravel_pytree(model.initial_state(1))

    def step(state: Float[Array, "state"]) -> Float[Array, "state"]:
        return ravel_pytree(model.apply(variables, unravel(state), jnp.zeros((1, INPUTS)), method="step")[0])[0]

    return jax.jacobian(step)(zeros)


def _norms(model: Recurrent, steps: int, variables: PyTree[Array], key: Key[Array, ""]) -> Float[Array, "lags"]:
    inputs_key, way_key = jax.random.split(jax.random.fold_in(key, 1))
    inputs = SMALL * jax.random.normal(inputs_key, (steps, BATCH, INPUTS))
    way = jax.random.normal(way_key, (BATCH, model.hidden_size))
    first = model.initial_state(BATCH)
    # Zeros that are added to the state after each step: the gradient in them is that in the state.
    nothing = jax.tree.map(lambda leaf: jnp.zeros((steps, *leaf.shape)), first)

    def loss(nothing: PyTree[Array]) -> Float[Array, ""]:
        def step(state: PyTree[Array], given: tuple) -> tuple[PyTree[Array], None]:
            x, zeros = given
            state, _ = model.apply(variables, state, x, method="step")
            return jax.tree.map(jnp.add, state, zeros), None

        last, _ = jax.lax.scan(step, first, (inputs, nothing))
        return (jax.tree.leaves(last)[0] * way).sum()  # h, in a drawn direction

    slopes = jax.tree.leaves(jax.grad(loss)(nothing))
    slopes = jnp.concatenate(slopes, axis=-1)[::-1].reshape(steps, -1)
    largest = jnp.abs(slopes).max(axis=1, keepdims=True)
    ratios = slopes / jnp.where(largest > 0, largest, 1)  # whose squares are no zeros of float32
    norms = largest[:, 0] * jnp.sqrt(jnp.square(ratios).sum(axis=1))
    return norms / norms[0]


def factor_of(found: Found) -> float:
    """The factor a step: from a line through the logarithms of the second tenth to the eighth of the lags.

    Of those that is where no network's gradient is too small, or too large, for float32.
    """
    count = found.norms.shape[1]
    lags = np.arange(count // 10, count * 8 // 10)
    known = np.isfinite(found.norms) & (found.norms > 8 * TINY)
    lags = lags[known[:, lags].all(axis=0)]
    return float(np.exp(np.polyfit(lags, np.log(_mean(found)[lags]), 1)[0]))


def _mean(found: Found) -> Float[np.ndarray, "lags"]:
    """The geometric mean over the networks."""
    return np.exp(np.log(np.maximum(found.norms, TINY)).mean(axis=0))


def claims(found: Mapping[str, Found]) -> dict[str, bool]:
    """What is there to show, of the geometric means over the networks."""
    ends = {name: float(_mean(each)[-1]) for name, each in found.items()}

    def agrees(name: str) -> bool:
        theory, measured = found[name].radius, factor_of(found[name])
        return abs(measured - theory) <= NEAR * theory

    return {
        "every gradient changes from step to step as the spectral radius says": all(map(agrees, found)),
        "below a radius of 1 an RNN's vanishes": max(ends["RNN, radius 0.5"], ends["RNN, radius 0.9"]) < 1e-3,
        "above, it explodes": ends["RNN, radius 1.2"] > 1e3,
        "an open forget gate keeps an LSTM's": 0.1 < ends["LSTM, forget bias 5"] < 10,
        "a half-open one does not: it vanishes faster than an RNN's of radius 0.9": ends["LSTM, forget bias 0"]
        < ends["RNN, radius 0.9"],
        "an open update gate keeps a GRU's": 0.1 < ends["GRU, update bias 5"] < 10,
    }


def table(found: Mapping[str, Found]) -> str:
    """For each network theory's factor a step, the measured one, and what is left at the longest lag."""
    rows = {
        name: (f"{each.radius:.3f}", f"{factor_of(each):.3f}", f"{_mean(each)[-1]:.1e}") for name, each in found.items()
    }
    lags = next(iter(found.values())).norms.shape[1] - 1
    return grid("network", ("factor a step, theory", "measured", f"left after {lags} steps"), rows)


def figure(found: Mapping[str, Found]) -> Any:
    """The gradient's norm against the lag, a panel for each kind of network; theory dashed."""
    kinds = dict.fromkeys(ARMS[name].kind for name in found)
    drawing = new_figure(8.2, 3.2, LIGHT)
    panels = drawing.subplots(1, len(kinds), sharex=True, sharey=True)
    for panel, kind in zip(panels, kinds, strict=True):
        of_kind = [name for name in found if ARMS[name].kind is kind]
        for name, colour in zip(of_kind, COLOURS, strict=False):
            mean = _mean(found[name])
            lags = np.arange(len(mean))
            panel.semilogy(lags, mean, color=colour, lw=1.8, label=name.partition(", ")[2])
            panel.semilogy(lags, found[name].radius ** lags.astype(float), color=LIGHT.ink, lw=0.9, ls=(0, (3, 2)))
        panel.set_ylim(1e-12, 1e9)
        style(panel)
        heading(panel, kind.__name__)
        labels(panel, x="steps back in time", y="norm of the gradient" if panel is panels[0] else "")
        legend(panel, loc="upper left" if kind is not RNN else "lower right")
    return drawing
