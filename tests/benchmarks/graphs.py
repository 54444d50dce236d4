"""GCN, GraphSAGE, GAT and GATv2 layers beside torch_geometric's, on a graph of Cora's size, forward and with gradients.

    python -m tests.benchmarks.graphs                          all layers
    python -m tests.benchmarks.graphs "gat*" --rounds 15

Needs torch and torch_geometric. The graph is drawn: 2708 nodes with 1433 features, 5278 undirected edges, of which
nodes have the more, the more they have. Each side runs in a process of its own, on as many processors and threads, with
huge pages, in turn. A line has the medians of all rounds in milliseconds, and the ratio of ours to torch_geometric's:
below 1 is ahead. Gradients are those of weights and features. Then what compiling took, and how many cores other
processes kept busy: quote lines of a quiet machine only.
"""

import argparse
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.benchmarks.convnets import HUGE_PAGES
from tests.benchmarks.layers import Busy
from tests.benchmarks.sides import times

SIDES = ("ours", "torch_geometric")
NODES, PAIRS, FEATURES = 2708, 5278, 1433


class Layer(NamedTuple):
    """A layer's name in both libraries, and its sizes."""

    ours: str
    theirs: str
    features: int
    heads: int = 0


LAYERS = {
    "gcn": Layer("GCNLayer", "GCNConv", 16),
    "graphsage": Layer("SAGELayer", "SAGEConv", 64),
    "gat": Layer("GATLayer", "GATConv", 8, 8),
    "gatv2": Layer("GATv2Layer", "GATv2Conv", 8, 8),
}
Sides = tuple[Callable, Callable, tuple[float, float]]


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Features, and edges in both directions by receiver."""
    random = np.random.default_rng(0)
    ends = [0, 1]
    pairs = {(0, 1)}
    while len(pairs) < PAIRS:
        node = len(pairs) % NODES
        other = int(ends[random.integers(len(ends))]) if random.random() < 0.5 else int(random.integers(NODES))
        if node != other and (min(node, other), max(node, other)) not in pairs:
            pairs.add((min(node, other), max(node, other)))
            ends += [node, other]
        else:
            ends.append(int(random.integers(NODES)))
    undirected = np.array(sorted(pairs))
    edges = np.concatenate([undirected, undirected[:, ::-1]])
    edges = edges[np.lexsort((edges[:, 0], edges[:, 1]))].astype(np.int32)
    return random.standard_normal((NODES, FEATURES)).astype(np.float32), edges


def ours(layer: Layer) -> Sides:
    """A forward pass, one with gradients, and the seconds that compiling either took."""
    import jax
    import jax.numpy as jnp

    from zoo import geometric

    options = {"heads": layer.heads} if layer.heads else {}
    model = getattr(geometric, layer.ours)(layer.features, **options)
    nodes, edges = map(jnp.asarray, drawn())
    variables = jax.jit(lambda: model.init(jax.random.key(0), geometric.Graph.of(nodes, edges)))()

    def outputs(variables: dict, nodes: jax.Array, edges: jax.Array) -> jax.Array:
        return model.apply(variables, geometric.Graph.of(nodes, edges))

    def gradients(variables: dict, nodes: jax.Array, edges: jax.Array) -> tuple:
        return jax.value_and_grad(lambda *given: jnp.sum(outputs(*given, edges)), argnums=(0, 1))(variables, nodes)

    given, started = (variables, nodes, edges), time.perf_counter()
    forward = jax.jit(outputs).lower(*given).compile()
    between = time.perf_counter()
    both = jax.jit(gradients).lower(*given).compile()
    took = between - started, time.perf_counter() - between
    return lambda: jax.block_until_ready(forward(*given)), lambda: jax.block_until_ready(both(*given)), took


def theirs(layer: Layer) -> Sides:
    """The same of torch_geometric's, eager."""
    import torch
    from torch_geometric import nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    options = {"heads": layer.heads} if layer.heads else {}
    model = getattr(nn, layer.theirs)(FEATURES, layer.features, **options)
    nodes, edges = drawn()
    x, index = torch.from_numpy(nodes).requires_grad_(), torch.from_numpy(edges.T.astype(np.int64)).contiguous()

    def forward() -> None:
        with torch.inference_mode():
            model(x, index)

    def gradient() -> None:
        model.zero_grad()
        x.grad = None
        model(x, index).sum().backward()

    return forward, gradient, (0.0, 0.0)


def one(side: str, name: str, rounds: int) -> None:
    """Prints what one process measures of one side, as a line of JSON."""
    forward, gradient, took = (ours if side == "ours" else theirs)(LAYERS[name])
    print(json.dumps({"forward": times(forward, rounds), "gradient": times(gradient, rounds), "compiled": took}))


def compare(name: str, chosen: argparse.Namespace) -> None:
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
            command = [sys.executable, "-m", "tests.benchmarks.graphs", name, "--one", side]
            command += ["--rounds", str(chosen.rounds)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            reports[side].append(json.loads(done.stdout.splitlines()[-1]))
            after = os.times()
            children = after.children_user + after.children_system - before.children_user - before.children_system
            busy = max(busy, watch.share(children))
    line = f"| {name}"
    for number, kind in enumerate(("forward", "gradient")):
        medians = [statistics.median(time for report in reports[side] for time in report[kind]) for side in SIDES]
        compiled = min(report["compiled"][number] for report in reports["ours"])
        line += f" | {' | '.join(f'{median:.1f}' for median in medians)}"
        line += f" | **{medians[0] / medians[-1]:.2f}** | {compiled:.1f}"
    print(f"{line} | {busy:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.graphs", description="Beside torch_geometric's.")
    parser.add_argument("patterns", nargs="*", default=["*"], help='names or shell patterns, such as "gat*"')
    parser.add_argument("--rounds", type=int, default=15, help="in each process (%(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="processes of each side (%(default)s)")
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    names = [name for name in LAYERS if any(fnmatch.fnmatchcase(name, pattern) for pattern in chosen.patterns)]
    if chosen.one:
        one(chosen.one, names[0], chosen.rounds)
        return
    both = [f"{side}{which}" for which in ("", ", gradient") for side in (*SIDES, "ratio", "compiled (s)")]
    print(f"| layer (ms) | {' | '.join(both)} | others' cores |")
    print("|---|" + "--:|" * (len(both) + 1))
    for name in names:
        compare(name, chosen)


if __name__ == "__main__":
    main()
