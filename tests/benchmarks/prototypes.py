"""Prototypes by `separate` beside those of the authors' procedure, at the same numbers of classes and dimensions.

    python -m tests.benchmarks.prototypes                     every size, the procedure with 1000 and 10000 iterations
    python -m tests.benchmarks.prototypes 100x3 100x10        these sizes alone
    python -m tests.benchmarks.prototypes --iterations 1000   the procedure shorter (10000 are minutes at 1000 classes)

A line for each way: the largest cosine and the mean of each class's largest, what no largest cosine can be below, and
seconds with compilation. Quote times of a quiet machine only.
"""

import argparse
import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from zoo.hyperspheres.bounds import lower_bound
from zoo.hyperspheres.separation import largest_cosine, mean_of_largest_cosines, separate

SIZES = "100x3", "100x5", "100x10", "100x25", "100x50", "1000x3", "1000x10", "1000x100", "1000x512"
RATE = 0.1


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def official(key: PRNGKeyArray, classes: int, dims: int, iterations: int) -> Float[Array, "classes dims"]:
    """The procedure of the code of Mettes, van der Pol and Snoek, 2019, from its description.

    Gradient descent on the mean of the row maxima of P P^T + 1 - 2 I; all rows are brought to length 1 after every
    step. The momentum of 0.9 never acts there, because every step makes a new optimiser.
    """

    def loss(vectors: Array) -> Array:
        products = jnp.matmul(vectors, vectors.T, precision=jax.lax.Precision.HIGHEST)
        return (products + 1 - 2 * jnp.eye(classes)).max(axis=1).mean()

    def step(_: Array, vectors: Array) -> Array:
        return unit(vectors - RATE * jax.grad(loss)(vectors))

    return jax.lax.fori_loop(0, iterations, step, unit(jax.random.normal(key, (classes, dims))))


def unit(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def print_line(size: str, way: str, place: Callable[[], Array], bound: float) -> None:
    started = time.perf_counter()
    prototypes = jax.block_until_ready(place())
    seconds = time.perf_counter() - started
    measures = f"{largest_cosine(prototypes):10.5f} {mean_of_largest_cosines(prototypes):10.5f}"
    print(f"{size:10} {way:16} {measures} {bound:10.5f} {seconds:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Prototypes by separate beside the authors' procedure.")
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="CLASSESxDIMS")
    parser.add_argument("--iterations", type=int, nargs="+", default=(1000, 10000), metavar="N")
    chosen = parser.parse_args()
    key = jax.random.key(0)
    print(f"{'size':10} {'way':16} {'largest':>10} {'mean':>10} {'bound':>10} {'seconds':>8}")
    for size in chosen.sizes:
        classes, dims = (int(number) for number in size.split("x"))
        bound = lower_bound(classes, dims)
        for iterations in chosen.iterations:
            place = functools.partial(official, key, classes, dims, iterations)
            print_line(size, f"official {iterations}", place, bound)
        for objective in ("max", "mean"):
            place = functools.partial(separate, key, classes, dims, objective=objective)
            print_line(size, f"separate {objective}", place, bound)


if __name__ == "__main__":
    main()
