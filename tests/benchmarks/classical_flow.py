"""TV-L1 beside scikit-image's and OpenCV's, of one pair after the other: seconds, and end-point error in pixels.

    python -m tests.benchmarks.classical_flow                             eight pairs of moving digits, 64 x 64 pixels
    python -m tests.benchmarks.classical_flow --pairs 2 --rounds 1        fewer
    python -m tests.benchmarks.classical_flow --folder PATH --rounds 1    and pairs with a .flo each, such as Sintel's

Every method sees the same grey images and takes its turn in every round, after one pair to warm up. A line has the
median of a pair's seconds, the ratio of ours to it, below 1 ahead, and the mean error where the flow is known; what
compiling ours took is told apart. scikit-image stands twice: with `tol=0` it takes as many steps as ours, by default
it ends early. OpenCV has defaults of its own for everything, and is left out where its optflow is not installed. Also
told is how busy other processes kept the machine: quote numbers of a quiet one only.
"""

import argparse
import importlib.metadata
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tests.benchmarks.layers import Busy
from train.data.decode import read_picture
from train.data.flow_files import read_flo
from train.data.sources.flow import following
from train.data.sources.moving import moving
from zoo.dense import tv_l1

OURS = "ours"
Grey = Float[np.ndarray, "height width"]
Flow = Float[np.ndarray, "height width 2"]
Method = Callable[[Grey, Grey], Flow]


class Pair(NamedTuple):
    """Two grey images from 0 to 1, and the flow between them, nan where nobody knows it."""

    first: Grey
    second: Grey
    flow: Flow


def digits(count: int) -> list[Pair]:
    """Pairs of the moving digits' test."""
    found = moving("test").read(range(count))
    return [Pair(grey(a), grey(b), f) for a, b, f in zip(found["image"], found["second"], found["flow"], strict=True)]


def pairs_of(folder: Path) -> list[Pair]:
    """Of a folder with frame_0001.png, frame_0002.png and frame_0001.flo, and so on."""
    found = []
    for file in sorted(folder.glob("*.flo")):
        first, second = (np.asarray(read_picture(folder / f"{n}.png")) for n in (file.stem, following(file.stem)))
        found.append(Pair(grey(first), grey(second), read_flo(file)))
    if not found:
        raise SystemExit(f"{folder}: expected frame_0001.png, frame_0002.png and frame_0001.flo, found no .flo")
    return found


def grey(image: np.ndarray) -> Grey:
    """The brightness of a picture."""
    from skimage.color import rgb2gray

    return rgb2gray(image).astype(np.float32)


def methods(threads: int) -> dict[str, Method]:
    """Each by its name, ours first."""
    from skimage.registration import optical_flow_tvl1

    def ours(first: Grey, second: Grey) -> Flow:
        return np.asarray(tv_l1(first[None, ..., None], second[None, ..., None])[0])

    def scikit_image(first: Grey, second: Grey, **options: float) -> Flow:
        return np.stack(optical_flow_tvl1(first, second, **options)[::-1], axis=-1)

    found: dict[str, Method] = {
        OURS: ours,
        "scikit-image, tol=0": lambda first, second: scikit_image(first, second, tol=0),
        "scikit-image": scikit_image,
    }
    try:
        import cv2

        solver = cv2.optflow.createOptFlow_DualTVL1()
    except (ImportError, AttributeError):
        return found
    cv2.setNumThreads(threads)

    def opencv(first: Grey, second: Grey) -> Flow:
        return solver.calc(*(np.rint(255 * image).astype(np.uint8) for image in (first, second)), None)

    return found | {"OpenCV": opencv}


def error(flow: Flow, true: Flow) -> float:
    """The mean end-point error where the flow is known."""
    return float(np.nanmean(np.linalg.norm(flow - true, axis=-1)))


def compare(title: str, pairs: list[Pair], threads: int, rounds: int) -> None:
    """Prints a table of all methods on some pairs of one size."""
    sides, busy, begun = methods(threads), Busy(), {}
    for name, method in sides.items():
        started = time.perf_counter()
        method(*pairs[0][:2])
        begun[name] = time.perf_counter() - started
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    errors: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for first, second, true in pairs:
            for name, method in sides.items():
                started = time.perf_counter()
                flow = method(first, second)
                seconds[name].append(time.perf_counter() - started)
                if number == 0:
                    errors[name].append(error(flow, true))
    still = statistics.mean(error(np.zeros_like(pair.flow), pair.flow) for pair in pairs)
    height, width = pairs[0].first.shape
    load = f"others kept {busy.share():.2f} cores busy, load {os.getloadavg()[0]:.1f}"
    print(
        f"{title}: {len(pairs)} of {width} x {height} pixels, {rounds} rounds, {threads} threads; ours and its "
        f"compilation took {begun[OURS]:.1f} s; {load}\n"
    )
    print("| method | seconds | ours to it | error, pixels |\n|---|--:|--:|--:|")
    ours = statistics.median(seconds[OURS])
    for name in sides:
        median = statistics.median(seconds[name])
        print(f"| {name} | {median:.4f} | **{ours / median:.2f}** | {statistics.mean(errors[name]):.3f} |")
    print(f"| no motion | | | {still:.3f} |\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.classical_flow", description="TV-L1 by several.")
    parser.add_argument("--pairs", type=int, default=8, help="of moving digits (%(default)s)")
    parser.add_argument("--folder", type=Path, help="real pairs of one size, with their flow")
    parser.add_argument("--rounds", type=int, default=5, help="of all methods (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="processors and threads (%(default)s)")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "scikit-image"))
    print(", ".join(versions), end="\n\n")
    compare("moving digits", digits(chosen.pairs), chosen.threads, chosen.rounds)
    if chosen.folder is not None:
        compare(str(chosen.folder), pairs_of(chosen.folder), chosen.threads, chosen.rounds)


if __name__ == "__main__":
    main()
