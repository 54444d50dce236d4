"""Layers of dense prediction beside XLA's own form and torch's: forwards, and with the gradients of all arguments.

    python -m tests.benchmarks.dense_layers              all of them
    python -m tests.benchmarks.dense_layers "transposed*" --rounds 3

Each side runs in a process of its own, in turn. A line has the medians in milliseconds, the ratio of ours to the better
of the others, below 1 ahead, and how busy other processes kept the machine: quote lines of a quiet one only.
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
from typing import Any

import numpy as np

from tests.benchmarks.layers import Busy

SIDES = ("ours", "xla", "torch")

LAYERS: dict[str, tuple[tuple[int, ...], ...]] = {
    "transposed 4x4/2, 256 channels": ((1, 28, 28, 256), (4, 4, 256, 256)),
    "transposed 2x2/2, 128 to 64 channels": ((1, 128, 128, 128), (2, 2, 128, 64)),
    "fixed bilinear 64x64/32, 21 classes": ((1, 16, 16, 21), (64, 64, 21, 21)),
    "bilinear 65x65 to 520x520, 21 classes": ((1, 65, 65, 21),),
    "bicubic 65x65 to 520x520, 21 classes": ((1, 65, 65, 21),),
    "pool and unpool 2x2, 64 channels": ((1, 256, 256, 64),),
}
"""Shapes of images, channels last, and of the kernel (rows, columns, channels, filters)."""

CROP = 19, 500
"""Where FCN-32s begins to read what it enlarged 16 places to, and how many pixels it takes."""


def arrays(name: str) -> list[np.ndarray]:
    """What a layer is given; the fixed kernel is bilinear."""
    random = np.random.default_rng(0)
    found = [random.standard_normal(shape).astype(np.float32) for shape in LAYERS[name]]
    if name.startswith("fixed"):
        window = 1 - np.abs(np.arange(64) - 31.5) / 32
        found[1] = (np.outer(window, window)[:, :, None, None] * np.eye(21)).astype(np.float32)
    return found


def of_jax(name: str, side: str) -> tuple[Callable, tuple]:
    """The layer as a function of arrays that gradients are taken in, and these."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    from zoo.nn import max_pool
    from zoo.nn.resize import enlarged_bilinearly, resize
    from zoo.nn.transposed import transposed_convolution
    from zoo.nn.unpool import max_pool_with_indices, max_unpool

    given = tuple(map(jnp.asarray, arrays(name)))
    begin, size = CROP
    kind = name.partition(" ")[0]
    stride = int(name.partition("/")[2].partition(",")[0] or 0)

    def adjoint(x: jax.Array, kernel: jax.Array) -> jax.Array:
        """XLA's: zeros between the places."""
        pads = [(side - 1, side - 1) for side in kernel.shape[:2]]
        numbers = ("NHWC", "HWIO", "NHWC")
        options = {"lhs_dilation": (stride, stride), "dimension_numbers": numbers}
        return lax.conv_general_dilated(x, kernel[::-1, ::-1], (1, 1), pads, **options)

    def scattered(x: jax.Array) -> jax.Array:
        """As one writes it: the place of the largest of each window, and a scatter."""
        batch, height, width, channels = x.shape
        windows = x.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 5, 2, 4)
        tap = jnp.argmax(windows.reshape(*windows.shape[:4], 4), axis=-1)
        rows = 2 * jnp.arange(height // 2)[:, None, None] + tap // 2
        columns = 2 * jnp.arange(width // 2)[:, None] + tap % 2
        at = (jnp.arange(batch)[:, None, None, None], rows, columns, jnp.arange(channels))
        return jnp.zeros_like(x).at[at].set(max_pool(x, 2), unique_indices=True)

    def unpooled(x: jax.Array) -> jax.Array:
        return max_unpool(*max_pool_with_indices(x, 2), x.shape[1:3], 2)

    if kind == "transposed":
        return (lambda x, k: transposed_convolution(x, k, stride)) if side == "ours" else adjoint, given
    if kind == "fixed":
        if side == "ours":
            return lambda x: enlarged_bilinearly(x, 32, (begin, begin), (size, size)), given[:1]
        return lambda x: adjoint(x, given[1])[:, begin : begin + size, begin : begin + size], given[:1]
    if kind in ("bilinear", "bicubic"):
        method = {"bilinear": "linear", "bicubic": "cubic"}[kind]
        shape = (*given[0].shape[:1], 520, 520, given[0].shape[3])
        if side == "ours":
            return lambda x: resize(x, (520, 520), kind), given
        return lambda x: jax.image.resize(x, shape, method, antialias=False), given
    return unpooled if side == "ours" else scattered, given


def timed_jax(name: str, side: str) -> tuple[Callable, Callable]:
    """Forwards; and with gradients."""
    import jax

    function, given = of_jax(name, side)
    forward = jax.jit(function)
    slopes = jax.numpy.cos(jax.numpy.arange(forward(*given).size)).reshape(forward(*given).shape)
    both = jax.jit(lambda slopes, *given: jax.vjp(function, *given)[1](slopes))
    return lambda: jax.block_until_ready(forward(*given)), lambda: jax.block_until_ready(both(slopes, *given))


def timed_torch(name: str) -> tuple[Callable, Callable]:
    """The same of torch, channels last in memory."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    images, *kernels = arrays(name)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
    kernels = [torch.from_numpy(kernel).permute(2, 3, 0, 1).contiguous() for kernel in kernels]
    kind, (begin, size) = name.partition(" ")[0], CROP
    stride = int(name.partition("/")[2].partition(",")[0] or 0)
    if kind == "transposed":
        kernels[0].requires_grad_()

    def layer() -> Any:
        if kind == "transposed":
            return functional.conv_transpose2d(x, kernels[0], stride=stride)
        if kind == "fixed":
            out = functional.conv_transpose2d(x, kernels[0], stride=stride)
            return out[:, :, begin : begin + size, begin : begin + size]
        if kind in ("bilinear", "bicubic"):
            return functional.interpolate(x, (520, 520), mode=kind, align_corners=False)
        values, indices = functional.max_pool2d(x, 2, return_indices=True)
        return functional.max_unpool2d(values, indices, 2)

    with torch.no_grad():
        slopes = torch.cos(torch.arange(layer().numel())).reshape(layer().shape)

    def forward() -> None:
        with torch.inference_mode():
            layer()

    def both() -> None:
        x.grad = None
        layer().backward(slopes)

    return forward, both


def measure(side: str, name: str, rounds: int) -> None:
    """Prints one side's times as a line of JSON."""
    found = {}
    calls = timed_torch(name) if side == "torch" else timed_jax(name, side)
    for kind, call in zip(("forward", "gradients"), calls, strict=True):
        call()
        found[kind] = []
        for _ in range(rounds):
            started = time.perf_counter()
            call()
            found[kind].append(1e3 * (time.perf_counter() - started))
    print(json.dumps(found))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.dense_layers", description="Beside torch's.")
    parser.add_argument("patterns", nargs="*", default=["*"], help='names or shell patterns, such as "transposed*"')
    parser.add_argument("--rounds", type=int, default=7, help="in each process (%(default)s)")
    parser.add_argument("--side", choices=SIDES, help="one side's times alone, as JSON")
    chosen = parser.parse_args()
    names = [name for name in LAYERS if any(fnmatch.fnmatchcase(name, pattern) for pattern in chosen.patterns)]
    if chosen.side:
        measure(chosen.side, names[0], chosen.rounds)
        return
    columns = " | ".join(f"{kind}: ours, ms | XLA | torch | ratio" for kind in ("forward", "gradients"))
    print(f"| layer | {columns} | others, cores | load |\n|---|{'--:|' * 10}")
    for name in names:
        found, busy, load = {}, 0.0, 0.0
        for side in SIDES:
            watch, before = Busy(), os.times()
            command = [sys.executable, "-m", "tests.benchmarks.dense_layers", name, "--side", side]
            environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
            done = subprocess.run(
                [*command, "--rounds", str(chosen.rounds)], env=environment, stdout=subprocess.PIPE, check=True
            )
            after = os.times()
            found[side] = json.loads(done.stdout.splitlines()[-1])
            children = after.children_user + after.children_system - before.children_user - before.children_system
            busy, load = max(busy, watch.share(children)), max(load, os.getloadavg()[0])
        line = f"| {name}"
        for kind in ("forward", "gradients"):
            medians = [statistics.median(found[side][kind]) for side in SIDES]
            line += f" | {' | '.join(f'{median:.2f}' for median in medians)} | **{medians[0] / min(medians[1:]):.2f}**"
        print(f"{line} | {busy:.2f} | {load:.1f} |", flush=True)


if __name__ == "__main__":
    main()
