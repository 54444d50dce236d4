"""One side of the comparison with torch, in a process of its own: prints its times as one line of JSON.

    python -m tests.benchmarks.sides ours resnet18 8 224 9        name, batch, pixels a side, rounds
    python -m tests.benchmarks.sides channels_last resnet18 8 224 9

`tests/benchmarks/convnets.py`, `detectors.py`, `dense.py`, `flow.py` and `video.py` start these. A training step is
forward and backward pass and SGD with momentum, in float32, and includes dropout.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

LEARNING_RATE, MOMENTUM = 1e-4, 0.9

SIDES = ("ours", "contiguous", "channels_last")
"""Ours, and torch's two layouts of memory."""

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
    "cifar_resnet20": {},
    "lenet5": {},
}
OWN_SIZE = {"cifar_resnet20": (32, 3, 10), "lenet5": (32, 1, 10)}
"""Pixels a side, channels and classes, where they are not (as asked for, 3, 1000)."""


def shapes(name: str, batch: int, side: int) -> tuple[tuple[int, ...], int]:
    """The shape of the images, and the number of classes."""
    side, channels, classes = OWN_SIZE.get(name, (max(side, 96) if name == "inception_v3" else side, 3, 1000))
    return (batch, side, side, channels), classes


Ours = tuple[Callable, Callable, tuple[float, float]]
"""Inference, a training step, and the seconds that compiling either took."""


def descended(params: Any, velocity: Any, slopes: Any) -> tuple[Any, Any]:
    """Parameters and velocity after a step of SGD with momentum."""
    import jax

    velocity = jax.tree.map(lambda v, slope: MOMENTUM * v + slope, velocity, slopes)
    return jax.tree.map(lambda param, v: param - LEARNING_RATE * v, params, velocity), velocity


def compiled(infer: Callable, given: tuple, step: Callable, state: Any, inputs: tuple, donated: bool = True) -> Ours:
    """Our side of a comparison.

    Args:
      infer: a pure function.
      given: its arguments.
      step: a pure function of the state and the inputs, which gives the next state.
      state: at the beginning.
      inputs: of a step.
      donated: whether the state's memory may be written over.
    """
    import jax

    started = time.perf_counter()
    inference = jax.jit(infer).lower(*given).compile()
    between = time.perf_counter()
    train = jax.jit(step, donate_argnums=0 if donated else ()).lower(state, *inputs).compile()
    took = between - started, time.perf_counter() - between

    def training() -> None:
        nonlocal state
        state = jax.block_until_ready(train(state, *inputs))

    return lambda: jax.block_until_ready(inference(*given)), training, took


def ours(name: str, images: np.ndarray, labels: np.ndarray) -> Ours:
    """Inference, a training step, and the seconds that compiling either took."""
    import jax
    import jax.numpy as jnp

    import zoo
    from zoo.benchmark import gradients

    model, key = zoo.create(name), jax.random.key(0, impl="rbg")
    variables = zoo.init(model, key, images.shape[1:])
    inputs = jnp.asarray(images), jnp.asarray(labels), key
    state = (jax.tree.map(jnp.copy, variables), jax.tree.map(jnp.zeros_like, variables["params"]))

    def step(state: tuple, images: jax.Array, labels: jax.Array, key: jax.Array) -> tuple:
        variables, velocity = state
        slopes, updated = gradients(model, variables, (images,), labels, key)
        params, velocity = descended(variables["params"], velocity, slopes)
        return {"params": params, **updated}, velocity

    return compiled(model.apply, (variables, inputs[0]), step, state, inputs)


def torchs(name: str, images: np.ndarray, labels: np.ndarray, layout: str) -> tuple[Callable, Callable]:
    """Inference and a training step."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = getattr(torch, "contiguous_format" if layout == "contiguous" else layout)
    model = torch_model(name, images.shape[1]).to(memory_format=layout)
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

    return inference, training


def torch_model(name: str, side: int) -> Any:
    """torchvision's or timm's network; two that neither has are made here."""
    from torch import nn

    if name == "lenet5":
        return nn.Sequential(
            *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
        )
    import torchvision

    if name == "cifar_resnet20":
        block = torchvision.models.resnet.BasicBlock
        network = torchvision.models.ResNet(block, [3, 3, 3, 1], num_classes=10)
        network.inplanes = 16
        network.conv1, network.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        network.layer1 = network._make_layer(block, 16, 3)
        network.layer2 = network._make_layer(block, 32, 3, stride=2)
        network.layer3 = network._make_layer(block, 64, 3, stride=2)
        network.maxpool, network.layer4, network.fc = nn.Identity(), nn.Identity(), nn.Linear(64, 10)
        return network
    options = dict(MODELS[name])
    if other := options.pop("timm", None):
        import timm

        return timm.create_model(other)
    if name.startswith("vit"):
        options["image_size"] = side
    return getattr(torchvision.models, name)(**options)


def times(call: Callable[[], Any], rounds: int) -> list[float]:
    """Milliseconds of each round, after one to warm up."""
    call()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - started))
    return found


def main() -> None:
    from tests.benchmarks import flow_sides, video_sides

    side, name, *numbers = sys.argv[1:]
    batch, pixels, rounds = map(int, numbers)
    if name in MODELS:
        random, (shape, classes) = np.random.default_rng(0), shapes(name, batch, pixels)
        given = random.standard_normal(shape).astype(np.float32), random.integers(0, classes, batch)
        of_ours, of_torchs = ours, torchs
    elif name in flow_sides.MODELS:
        given = flow_sides.examples(name, batch, pixels)
        of_ours, of_torchs = flow_sides.ours, flow_sides.torchs
    elif name in video_sides.MODELS:
        given = video_sides.examples(name, batch, pixels)
        of_ours, of_torchs = video_sides.ours, video_sides.torchs
    else:
        from tests.benchmarks import dense_sides, detector_sides

        kind = dense_sides if name in dense_sides.MODELS else detector_sides
        given = kind.examples(batch, pixels)
        of_ours, of_torchs = kind.ours, kind.torchs
    if side == "ours":
        inference, training, compiled = of_ours(name, *given)
    else:
        (inference, training), compiled = of_torchs(name, *given, side), (0.0, 0.0)
    report = {"inference": times(inference, rounds), "training": times(training, rounds), "compiled": compiled}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({**report, "peak_mib": peak}))


if __name__ == "__main__":
    main()
