"""The catalog's convolutional networks beside torch's: one of every family, inference and a training step.

    python -m tests.benchmarks.convnets                     the whole table
    python -m tests.benchmarks.convnets "res*" --side 128   some models, at another size

Needs torch, torchvision and timm. Both sides run in turn in one process, on as many processors and threads; a line
has the medians of the rounds in milliseconds with the fastest and the slowest, torch in its default layout and in
channels_last, and the ratios ours / torch: below 1 is ahead. A training step is forward and backward pass and SGD
with momentum, in float32, and includes dropout. What compiling took is apart, and so is how busy other processes
kept the machine: quote lines of a quiet one only. LeNet and the networks for CIFAR are in neither library.
"""

import argparse
import fnmatch
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import timm
import torch
import torchvision

import zoo
from tests.benchmarks.layers import Busy
from zoo.benchmark import gradients

LEARNING_RATE, MOMENTUM = 1e-4, 0.9

PAUSE = 0.1
"""Seconds before each measurement, in which the other side's threads stop waiting for work."""

UNTRAINED = {"weights": None, "init_weights": False}

MODELS: dict[str, dict[str, Any]] = {  # name -> options of torchvision's
    "alexnet": {},
    "vgg11": UNTRAINED,
    "squeezenet1_1": {},
    "googlenet": {**UNTRAINED, "aux_logits": False},
    "inception_v3": {**UNTRAINED, "aux_logits": False},
    "resnet18": {},
    "resnet50": {},
    "preact_resnet50": {"timm": "resnetv2_50"},
    "wide_resnet50_2": {},
    "resnext50_32x4d": {},
    "se_resnet50": {"timm": "seresnet50"},
    "densenet121": {},
    "mobilenet_v2": {},
    "mobilenet_v3_large": {},
    "shufflenet_v2_x1_0": {},
    "mnasnet1_0": {},
    "efficientnet_b0": {},
    "efficientnet_v2_s": {},
    "regnet_y_400mf": {},
    "convnext_tiny": {},
    "vit_b_32": {},
    "swin_t": {},
}
SMALLEST = {"inception_v3": 96}
"""Pixels a side, where the default would be too few."""


class Side(NamedTuple):
    """One of those that take turns."""

    inference: Callable[[], Any]
    training: Callable[[], Any]


def ours(name: str, images: np.ndarray, labels: np.ndarray) -> tuple[Side, tuple[float, float]]:
    """Our side, and the seconds that compiling took: of inference and of the training step."""
    model, key = zoo.create(name), jax.random.key(0, impl="rbg")
    variables = zoo.init(model, key, images.shape[1:])
    inputs = jnp.asarray(images), jnp.asarray(labels), key
    state = (jax.tree.map(jnp.copy, variables), jax.tree.map(jnp.zeros_like, variables["params"]))

    def step(state: tuple, images: jax.Array, labels: jax.Array, key: jax.Array) -> tuple:
        variables, velocity = state
        slopes, updated = gradients(model, variables, (images,), labels, key)
        velocity = jax.tree.map(lambda v, slope: MOMENTUM * v + slope, velocity, slopes)
        params = jax.tree.map(lambda param, v: param - LEARNING_RATE * v, variables["params"], velocity)
        return {"params": params, **updated}, velocity

    started = time.perf_counter()
    infer = jax.jit(model.apply).lower(variables, inputs[0]).compile()
    between = time.perf_counter()
    train = jax.jit(step, donate_argnums=0).lower(state, *inputs).compile()
    took = between - started, time.perf_counter() - between

    def training() -> None:
        nonlocal state
        state = jax.block_until_ready(train(state, *inputs))

    return Side(lambda: jax.block_until_ready(infer(variables, inputs[0])), training), took


def torchs(name: str, images: np.ndarray, labels: np.ndarray, channels_last: bool) -> Side:
    options = dict(MODELS[name])
    other = options.pop("timm", None)
    if name.startswith("vit"):
        options["image_size"] = images.shape[1]
    model = timm.create_model(other) if other else getattr(torchvision.models, name)(**options)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout)
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    targets = torch.from_numpy(labels)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM)

    def inference() -> None:
        model.eval()
        with torch.inference_mode():
            model(inputs)

    def training() -> None:
        model.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return Side(inference, training)


def take_turns(calls: list[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """The milliseconds of each call in each round, after one round to warm up."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for call, own in zip(calls, times, strict=True):
            time.sleep(PAUSE)
            started = time.perf_counter()
            call()
            if number:
                own.append(1e3 * (time.perf_counter() - started))
    return times


def compare(name: str, batch: int, side: int, rounds: int) -> None:
    """Prints a model's row of the table."""
    side, random = max(side, SMALLEST.get(name, 0)), np.random.default_rng(0)
    images = random.standard_normal((batch, side, side, 3)).astype(np.float32)
    labels = random.integers(0, 1000, batch)
    jax_side, took = ours(name, images, labels)
    sides = [jax_side, *(torchs(name, images, labels, channels_last) for channels_last in (False, True))]
    line, busy = f"| {name} | {side} | {batch}", Busy()
    for kind, compiled in zip(Side._fields, took, strict=True):
        times = take_turns([getattr(one, kind) for one in sides], rounds)
        medians = [statistics.median(own) for own in times]
        shown = [f"{median:.1f} ({min(own):.1f}-{max(own):.1f})" for median, own in zip(medians, times, strict=True)]
        ratios = [medians[0] / median for median in medians[1:]]
        line += f" | {' | '.join(shown)} | **{ratios[0]:.2f}** | **{ratios[1]:.2f}** | {compiled:.1f}"
    print(f"{line} | {busy.share():.2f} |", flush=True)


def main() -> None:
    """Prints the table of the models that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.convnets", description="Ours beside torch's.")
    parser.add_argument("patterns", nargs="*", default=["*"], help='names or shell patterns, such as "res*"')
    parser.add_argument("--side", type=int, default=64, help="pixels a side (%(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="images a call (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="processors and threads (%(default)s)")
    chosen = parser.parse_args()
    names = [name for name in MODELS if any(fnmatch.fnmatchcase(name, pattern) for pattern in chosen.patterns)]
    if not names:
        parser.error(f"no model matches; known: {', '.join(MODELS)}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])  # before JAX counts the processors
    torch.set_num_threads(chosen.threads)
    print(f"jax {jax.__version__}, torch {torch.__version__}, {chosen.threads} threads, medians of {chosen.rounds}\n")
    columns = " | ".join(
        f"{kind}: ours, ms | torch | channels_last | ratio | ratio | compiled, s" for kind in Side._fields
    )
    print(f"| model | side | batch | {columns} | others, cores |\n|---|{'--:|' * 15}")
    for name in names:
        compare(name, chosen.batch, chosen.side, chosen.rounds)
        jax.clear_caches()


if __name__ == "__main__":
    main()
