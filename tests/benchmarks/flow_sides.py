"""The sides of the comparison of networks of optical flow, for `tests/benchmarks/sides.py`."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.sides import LEARNING_RATE, MOMENTUM, Ours, compiled, descended

MODELS = ("raft_small", "raft_large", "flownet_s", "correlation")
CHANNELS, STRIDE, FAR, STEP = 256, 8, 20, 2
"""Of the correlation layer: channels and stride of its maps, and its displacements."""
GAMMA = 0.8


def examples(name: str, batch: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two batches of images, or of maps, and a flow, channels last."""
    random = np.random.default_rng(0)
    shape = (batch, side, side, 3) if name != "correlation" else (batch, side // STRIDE, side // STRIDE, CHANNELS)
    first, second = random.standard_normal((2, *shape)).astype(np.float32)
    return first, second, random.normal(0, 5, (batch, side, side, 2)).astype(np.float32)


def ours(name: str, first: np.ndarray, second: np.ndarray, flow: np.ndarray) -> Ours:
    """Inference, a training step, and the seconds that compiling either took."""
    import jax
    import jax.numpy as jnp

    import zoo
    from zoo.dense.correlation import correlation
    from zoo.dense.flow_losses import sequence_loss

    inputs, target = (jnp.asarray(first), jnp.asarray(second)), jnp.asarray(flow)
    if name == "correlation":
        state, infer = inputs, correlation

        def step(state: tuple, inputs: tuple, target: jax.Array) -> tuple:
            slopes = jax.grad(lambda maps: jnp.square(correlation(*maps)).mean())(state)
            return jax.tree.map(lambda one, slope: one - LEARNING_RATE * slope, state, slopes)

        arguments: tuple = inputs
    else:
        model, key = zoo.create(name), jax.random.key(0, impl="rbg")
        variables = zoo.init(model, key, first.shape[1:], second.shape[1:])
        state = (jax.tree.map(jnp.copy, variables), jax.tree.map(jnp.zeros_like, variables["params"]))
        infer, arguments = model.apply, (variables, *inputs)

        def step(state: tuple, inputs: tuple, target: jax.Array) -> tuple:
            variables, velocity = state
            others = {kind: value for kind, value in variables.items() if kind != "params"}

            def loss(params: dict) -> tuple:
                flows, updated = model.apply({"params": params, **others}, *inputs, train=True, mutable=list(others))
                if name.startswith("raft"):
                    return sequence_loss(flows, target, gamma=GAMMA).total / target[..., 0].size, updated
                return sum(jnp.square(each).mean() for each in flows), updated

            slopes, updated = jax.grad(loss, has_aux=True)(variables["params"])
            params, velocity = descended(variables["params"], velocity, slopes)
            return {"params": params, **updated}, velocity

    return compiled(infer, arguments, step, state, (inputs, target), donated=name != "correlation")


def torchs(
    name: str, first: np.ndarray, second: np.ndarray, flow: np.ndarray, layout: str
) -> tuple[Callable, Callable]:
    """Inference and a training step."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = getattr(torch, "contiguous_format" if layout == "contiguous" else layout)
    inputs = [torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout) for x in (first, second)]
    target = torch.from_numpy(flow).permute(0, 3, 1, 2)
    model = torch_model(name).to(memory_format=layout)
    if name == "correlation":
        inputs = [torch.nn.Parameter(x) for x in inputs]
    parameters = inputs if name == "correlation" else list(model.parameters())
    optimizer = torch.optim.SGD(parameters, LEARNING_RATE, MOMENTUM)

    def inference() -> None:
        model.eval()
        with torch.inference_mode():
            model(*inputs)

    def training() -> None:
        model.train()
        optimizer.zero_grad()
        found = model(*inputs)
        if name.startswith("raft"):
            count = len(found)
            terms = (GAMMA ** (count - 1 - n) * (each - target).abs().mean() for n, each in enumerate(found))
        else:
            terms = (each.square().mean() for each in ([found] if name == "correlation" else found))
        sum(terms).backward()
        optimizer.step()

    return inference, training


def matched(first: Any, second: Any) -> Any:
    """The correlation layer, displacement by displacement."""
    import torch
    from torch.nn import functional as F

    height, width = first.shape[2:]
    second, steps = F.pad(second, (FAR, FAR, FAR, FAR)), range(0, 2 * FAR + 1, STEP)
    products = [(first * second[:, :, y : y + height, x : x + width]).mean(1) for y in steps for x in steps]
    return torch.stack(products, dim=1)


def torch_model(name: str) -> Any:
    """torchvision's RAFT; a correlation layer and a FlowNetS that are made here."""
    import torch
    from torch import nn

    if name == "correlation":

        class Correlation(nn.Module):
            def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
                return matched(first, second)

        return Correlation()
    if name.startswith("raft"):
        from torchvision.models import optical_flow

        return getattr(optical_flow, name)()

    def conv(inputs: int, filters: int, side: int, stride: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, filters, side, stride, side // 2), nn.LeakyReLU(0.1))

    class FlowNetS(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            twos = ((256, 512), (512, 512), (512, 1024))
            self.first = nn.ModuleList([conv(6, 64, 7, 2), conv(64, 128, 5, 2)])
            self.down = nn.ModuleList([nn.Sequential(conv(128, 256, 5, 2), conv(256, 256, 3, 1))])
            self.down += [nn.Sequential(conv(a, b, 3, 2), conv(b, b, 3, 1)) for a, b in twos]
            joined = (1024, 1026, 770, 386, 194)
            self.predict = nn.ModuleList([nn.Conv2d(channels, 2, 3, 1, 1) for channels in joined])
            self.larger = nn.ModuleList([nn.ConvTranspose2d(2, 2, 4, 2, 1) for _ in range(4)])
            filters = zip(joined[:4], (512, 256, 128, 64), strict=True)
            up = [nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.LeakyReLU(0.1)) for a, b in filters]
            self.up = nn.ModuleList(up)

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
            x = torch.cat([first, second], dim=1)
            x = skipped = self.first[1](self.first[0](x))
            maps = [skipped]
            for layer in self.down:
                maps.append(x := layer(x))
            flows = [20 * self.predict[0](x)]
            for level, there in enumerate(reversed(maps[:-1])):
                x = torch.cat([there, self.up[level](x), self.larger[level](flows[-1] / 20)], dim=1)
                flows.append(20 * self.predict[level + 1](x))
            if not self.training:
                flows.append(nn.functional.interpolate(flows[-1], scale_factor=4, mode="bilinear"))
            return flows

    return FlowNetS()
