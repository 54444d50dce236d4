"""The sides of the comparison of networks of clips, for `tests/benchmarks/sides.py`."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks import sides
from tests.benchmarks.sides import LEARNING_RATE, MOMENTUM, Ours, compiled

FRAMES = 16
NETWORKS = {"r3d_18": (0, 400), "c3d": (112, 101), "s3d": (224, 400)}
"""Pixels a side where they are not as asked for, and classes."""
LAYERS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "layer 3x7x7, 3 to 64 channels": (1, (3, 7, 7, 3, 64), (1, 2, 2)),
    "layer 3x3x3, 64 channels": (2, (3, 3, 3, 64, 64), (1, 1, 1)),
    "layer 3x3x3, 256 channels": (8, (3, 3, 3, 256, 256), (1, 1, 1)),
    "layer 1x3x3, 64 channels": (2, (1, 3, 3, 64, 64), (1, 1, 1)),
    "layer 3x1x1, 64 channels": (2, (3, 1, 1, 64, 64), (1, 1, 1)),
}
"""How many times smaller than the clip the layer's are, in time for those of 256 channels too; kernel and strides."""
MODELS = (*NETWORKS, *LAYERS)


def examples(name: str, batch: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch of clips and labels; of a layer what it sees and its kernel."""
    random = np.random.default_rng(0)
    if name in LAYERS:
        smaller, kernel, _ = LAYERS[name]
        frames = FRAMES // 4 if smaller == 8 else FRAMES
        clips = random.standard_normal((batch, frames, side // smaller, side // smaller, kernel[3]))
        weights = random.standard_normal(kernel) / np.sqrt(np.prod(kernel[:-1]))
        return clips.astype(np.float32), weights.astype(np.float32)
    own, classes = NETWORKS[name]
    side = own or side
    clips = random.standard_normal((batch, FRAMES, side, side, 3)).astype(np.float32)
    return clips, random.integers(0, classes, batch)


def ours(name: str, clips: np.ndarray, other: np.ndarray) -> Ours:
    """Inference, a training step, and the seconds that compiling either took."""
    if name in NETWORKS:
        return sides.ours(name, clips, other)
    import jax
    import jax.numpy as jnp

    from zoo.nn import convolution

    _, kernel, strides = LAYERS[name]
    padding = tuple(size // 2 for size in kernel[:3])

    def layer(clips: jax.Array, kernel: jax.Array) -> jax.Array:
        return convolution(clips, kernel, strides, padding)

    def step(state: tuple) -> tuple:
        slopes = jax.grad(lambda given: jnp.square(layer(*given)).mean())(state)
        return jax.tree.map(lambda one, slope: one - LEARNING_RATE * slope, state, slopes)

    given = jnp.asarray(clips), jnp.asarray(other)
    return compiled(layer, given, step, given, (), donated=False)


def torchs(name: str, clips: np.ndarray, other: np.ndarray, layout: str) -> tuple[Callable, Callable]:
    """Inference and a training step."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = torch.contiguous_format if layout == "contiguous" else torch.channels_last_3d
    inputs = torch.from_numpy(clips).permute(0, 4, 1, 2, 3).contiguous(memory_format=layout)
    if name in LAYERS:
        _, window, strides = LAYERS[name]
        kernel = torch.from_numpy(other).permute(4, 3, 0, 1, 2).contiguous(memory_format=layout)
        parameters = [torch.nn.Parameter(inputs), torch.nn.Parameter(kernel)]
        padding = tuple(size // 2 for size in window[:3])

        def model(inputs: torch.Tensor) -> torch.Tensor:
            return F.conv3d(parameters[0], parameters[1], stride=strides, padding=padding)

        def loss() -> torch.Tensor:
            return model(inputs).square().mean()
    else:
        network, targets = torch_model(name).to(memory_format=layout), torch.from_numpy(other)
        parameters, model = list(network.parameters()), network

        def loss() -> torch.Tensor:
            return F.cross_entropy(network(inputs), targets)

    optimizer = torch.optim.SGD(parameters, LEARNING_RATE, MOMENTUM if name in NETWORKS else 0.0)

    def inference() -> None:
        if name in NETWORKS:
            network.eval()
        with torch.inference_mode():
            model(inputs)

    def training() -> None:
        if name in NETWORKS:
            network.train()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return inference, training


def torch_model(name: str) -> Any:
    """torchvision's network; a C3D that is made here."""
    from torch import nn

    if name != "c3d":
        from torchvision.models import video

        return getattr(video, name)()
    layers: list[nn.Module] = []
    before = 3
    for i, (width, count) in enumerate(zip((64, 128, 256, 512, 512), (1, 1, 2, 2, 2), strict=True)):
        for _ in range(count):
            layers += [nn.Conv3d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        layers.append(nn.MaxPool3d((1, 2, 2) if i == 0 else 2, ceil_mode=True))
    dense = [nn.Linear(8192, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(4096, 101))
