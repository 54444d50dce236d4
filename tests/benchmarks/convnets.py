"""The catalog's convolutional networks beside torch's: one of every family, inference and a training step.

    python -m tests.benchmarks.convnets                       the whole table, eight images of 224 pixels
    python -m tests.benchmarks.convnets "res*" --batch 1      some models, at another size

Needs torch, torchvision and timm. Each side runs in a process of its own, on as many processors and threads, with huge
pages, in turn: ours, torch in its default layout, torch in channels_last, and again. A line has the medians of all
rounds in milliseconds, and the ratio of ours to torch's better layout: below 1 is ahead. Then what compiling took, the
most memory that a process had, and how many cores other processes kept busy: quote lines of a quiet machine only.
What was measured is kept in RESULTS.md.
"""

import argparse
import fnmatch
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.layers import Busy
from tests.benchmarks.sides import MODELS, SIDES

HUGE_PAGES = "glibc.malloc.hugetlb=1"


def measured(side: str, name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """What one process of a side reports."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": str(chosen.threads)}
    if not chosen.small_pages:
        environment["GLIBC_TUNABLES"] = HUGE_PAGES
    numbers = map(str, (chosen.batch, chosen.side, chosen.rounds))
    command = [sys.executable, "-m", "tests.benchmarks.sides", side, name, *numbers]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, chosen: argparse.Namespace) -> None:
    """Prints a model's row of the table."""
    reports: dict[str, list[dict]] = {side: [] for side in SIDES}
    load, busy = 0.0, 0.0
    for _ in range(chosen.turns):
        for side in SIDES:
            watch = Busy()
            before = os.times()
            reports[side].append(measured(side, name, chosen))
            after = os.times()
            children = after.children_user + after.children_system - before.children_user - before.children_system
            load, busy = max(load, os.getloadavg()[0]), max(busy, watch.share(children))
    line = f"| {name}"
    for number, kind in enumerate(("inference", "training")):
        medians = [statistics.median(time for report in reports[side] for time in report[kind]) for side in SIDES]
        compiled = min(report["compiled"][number] for report in reports["ours"])
        line += f" | {' | '.join(f'{median:.1f}' for median in medians)}"
        line += f" | **{medians[0] / min(medians[1:]):.2f}** | {compiled:.1f}"
    peaks = [max(report["peak_mib"] for report in reports[side]) for side in SIDES]
    print(f"{line} | {' / '.join(f'{peak:.0f}' for peak in peaks)} | {busy:.2f} | {load:.1f} |", flush=True)


def main(program: str = "convnets", models: Sequence[str] = tuple(MODELS), batch: int = 8, side: int = 224) -> None:
    """Prints the table of the models that were asked for."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.benchmarks.{program}", description="Ours beside torch's.")
    parser.add_argument("patterns", nargs="*", default=["*"], help='names or shell patterns, such as "res*"')
    parser.add_argument("--side", type=int, default=side, help="pixels a side (%(default)s)")
    parser.add_argument("--batch", type=int, default=batch, help="images a call (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="in each process (%(default)s)")
    parser.add_argument("--turns", type=int, default=2, help="processes of each side (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="processors and threads (%(default)s)")
    parser.add_argument("--small-pages", action="store_true", help="memory in pages of 4 KiB")
    chosen = parser.parse_args()
    names = [name for name in models if any(fnmatch.fnmatchcase(name, pattern) for pattern in chosen.patterns)]
    if not names:
        parser.error(f"no model matches; known: {', '.join(models)}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])  # the children inherit it
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "torch"))
    print(
        f"{chosen.batch} images of {chosen.side} pixels, {versions}, {chosen.threads} threads, "
        f"{'4 KiB' if chosen.small_pages else 'huge'} pages, medians of {chosen.turns} x {chosen.rounds}\n"
    )
    columns = " | ".join(
        f"{kind}: ours, ms | torch | channels_last | ratio | compiled, s" for kind in ("inference", "step")
    )
    print(f"| model | {columns} | peak MiB | others, cores | load |\n|---|{'--:|' * 13}")
    for name in names:
        compare(name, chosen)


if __name__ == "__main__":
    main()
