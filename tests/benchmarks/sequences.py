"""LSTM and GRU beside flax's `nn.RNN` and torch's: a forward pass, and one with the gradients of weights and inputs.

    python -m tests.benchmarks.sequences                          LSTM and GRU of two sizes
    python -m tests.benchmarks.sequences "lstm*" --rounds 15
    python -m tests.benchmarks.sequences lstm_256 --unroll 1 2 4 8

Needs torch. Each side runs in a process of its own, on as many processors and threads, with huge pages, in turn: ours,
flax, torch (eager), and again. A line has the medians of all rounds in milliseconds, and the ratio of ours to torch's:
below 1 is ahead. Then what compiling took, the most memory that a process had, and how many cores other processes kept
busy: quote lines of a quiet machine only. Flax's are `nn.RNN(nn.OptimizedLSTMCell)` and `nn.RNN(nn.GRUCell)`.
"""

import argparse
import fnmatch
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.convnets import HUGE_PAGES
from tests.benchmarks.layers import Busy
from tests.benchmarks.sides import times

SIDES = ("ours", "flax", "torch")


class Layers(NamedTuple):
    """Recurrent layers, with as many inputs as hidden units, and what they are given."""

    kind: str
    hidden: int
    layers: int
    steps: int
    batch: int


MODELS = {
    "lstm_256": Layers("LSTM", 256, 1, 50, 64),
    "gru_256": Layers("GRU", 256, 1, 50, 64),
    "lstm_512_2": Layers("LSTM", 512, 2, 100, 32),
    "gru_512_2": Layers("GRU", 512, 2, 100, 32),
}


def ours(layers: Layers, inputs: np.ndarray, unroll: int) -> tuple[Callable, Callable, tuple[float, float]]:
    """A forward pass, one with gradients, and the seconds that compiling either took."""
    import zoo.sequences

    options = {"unroll": unroll} if unroll else {}
    model = getattr(zoo.sequences, layers.kind)(layers.hidden, num_layers=layers.layers, **options)
    return of_flax(model, lambda result: result[1], inputs)


def flaxs(layers: Layers, inputs: np.ndarray, unroll: int) -> tuple[Callable, Callable, tuple[float, float]]:
    """The same of flax's own layers."""
    import flax.linen as nn

    cell = {"LSTM": nn.OptimizedLSTMCell, "GRU": nn.GRUCell}[layers.kind]
    each = [nn.RNN(cell(layers.hidden), unroll=unroll or 1) for _ in range(layers.layers)]
    return of_flax(nn.Sequential(each), lambda result: result, inputs)


def of_flax(model: Any, outputs: Callable, inputs: np.ndarray) -> tuple[Callable, Callable, tuple[float, float]]:
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(inputs)
    variables = jax.jit(model.init)(jax.random.key(0), x)

    def both(variables: Any, x: jax.Array) -> Any:
        loss = lambda variables, x: outputs(model.apply(variables, x)).sum()  # noqa: E731
        return jax.value_and_grad(loss, argnums=(0, 1))(variables, x)

    started = time.perf_counter()
    forward = jax.jit(lambda variables, x: outputs(model.apply(variables, x))).lower(variables, x).compile()
    between = time.perf_counter()
    gradient = jax.jit(both).lower(variables, x).compile()
    took = between - started, time.perf_counter() - between
    return (
        lambda: jax.block_until_ready(forward(variables, x)),
        lambda: jax.block_until_ready(gradient(variables, x)),
        took,
    )


def torchs(layers: Layers, inputs: np.ndarray, unroll: int) -> tuple[Callable, Callable, tuple[float, float]]:
    """The same of torch's, eager."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = getattr(torch.nn, layers.kind)(layers.hidden, layers.hidden, layers.layers, batch_first=True)
    x = torch.from_numpy(inputs).requires_grad_()

    def forward() -> None:
        with torch.inference_mode():
            model(x)

    def gradient() -> None:
        model.zero_grad()
        x.grad = None
        model(x)[0].sum().backward()

    return forward, gradient, (0.0, 0.0)


def one(side: str, name: str, rounds: int, unroll: int) -> None:
    """Prints what one process measures of one side, as a line of JSON."""
    layers = MODELS[name]
    shape = (layers.batch, layers.steps, layers.hidden)
    inputs = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    forward, gradient, took = {"ours": ours, "flax": flaxs, "torch": torchs}[side](layers, inputs, unroll)
    report = {"forward": times(forward, rounds), "gradient": times(gradient, rounds), "compiled": took}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({**report, "peak_mib": peak}))


def compare(name: str, unroll: int, chosen: argparse.Namespace) -> None:
    """Prints a row of the table."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        "GLIBC_TUNABLES": HUGE_PAGES,
    }
    reports: dict[str, list[dict]] = {side: [] for side in SIDES}
    busy = 0.0
    for _ in range(chosen.turns):
        for side in SIDES:
            watch, before = Busy(), os.times()
            command = [sys.executable, "-m", "tests.benchmarks.sequences", name, "--one", side]
            command += ["--rounds", str(chosen.rounds), "--unroll", str(unroll)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            reports[side].append(json.loads(done.stdout.splitlines()[-1]))
            after = os.times()
            children = after.children_user + after.children_system - before.children_user - before.children_system
            busy = max(busy, watch.share(children))
    line = f"| {name}" + (f", unroll {unroll}" if unroll else "")
    for number, kind in enumerate(("forward", "gradient")):
        medians = [statistics.median(time for report in reports[side] for time in report[kind]) for side in SIDES]
        compiled = min(report["compiled"][number] for report in reports["ours"])
        line += f" | {' | '.join(f'{median:.1f}' for median in medians)}"
        line += f" | **{medians[0] / medians[-1]:.2f}** | {compiled:.1f}"
    peaks = [max(report["peak_mib"] for report in reports[side]) for side in SIDES]
    print(f"{line} | {' / '.join(f'{peak:.0f}' for peak in peaks)} | {busy:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sequences", description="Ours beside torch's.")
    parser.add_argument("patterns", nargs="*", default=["*"], help='names or shell patterns, such as "lstm*"')
    parser.add_argument("--rounds", type=int, default=9, help="in each process (%(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="processes of each side (%(default)s)")
    parser.add_argument("--unroll", type=int, nargs="*", default=[0], help="steps written out; 0: each side's own")
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    names = [name for name in MODELS if any(fnmatch.fnmatchcase(name, pattern) for pattern in chosen.patterns)]
    if chosen.one:
        one(chosen.one, names[0], chosen.rounds, chosen.unroll[0])
        return
    both = [f"{side}{which}" for which in ("", ", gradient") for side in (*SIDES, "ratio", "compiled (s)")]
    print(f"| layers (ms) | {' | '.join(both)} | MiB of {' / '.join(SIDES)} | others' cores |")
    print("|---|" + "--:|" * (len(both) + 2))
    for name in names:
        for unroll in chosen.unroll:
            compare(name, unroll, chosen)


if __name__ == "__main__":
    main()
