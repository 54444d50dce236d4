"""Writes the golden files beside it: residual networks in torch, written from the papers alone.

    pip install torch==2.13.0 numpy && python -m tests.convnets.goldens.generate

He et al., 2016, Deep Residual Learning, section 4.2; He et al., 2016, Identity Mappings, Figure 4 and appendix.
Nothing here imports the zoo.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.convnets.goldens import numbers


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Unit(nn.Module):
    def __init__(self, kind: str, inputs: int, outputs: int, stride: int, bottleneck: bool, opens: bool):
        super().__init__()
        self.kind, self.outputs, self.stride = kind, outputs, stride
        self.reshapes = stride != 1 or inputs != outputs
        self.common = opens or self.reshapes
        inner = outputs // 4
        if bottleneck:
            shapes = [(inputs, inner, 1, stride), (inner, inner, 3, 1), (inner, outputs, 1, 1)]
        else:
            shapes = [(inputs, outputs, 3, stride), (outputs, outputs, 3, 1)]
        self.convs = len(shapes)
        for i, shape in enumerate(shapes, start=1):
            setattr(self, f"conv{i}", conv(*shape))
            # Full pre-activation normalises what enters a convolution; the other units what leaves it.
            setattr(self, f"bn{i}", nn.BatchNorm2d(shape[0] if kind == "full_preactivation" else shape[1]))
        self.shortcut = nn.Sequential()
        if self.reshapes and bottleneck:
            self.shortcut.append(conv(inputs, outputs, 1, stride))
            if kind not in ("bn_after_addition", "full_preactivation"):
                self.shortcut.append(nn.BatchNorm2d(outputs))

    def skip(self, x):
        if not self.reshapes:
            return x
        if len(self.shortcut):
            return self.shortcut(x)
        extra = (self.outputs - x.shape[1]) // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, extra, extra))

    def forward(self, x):
        convs = [getattr(self, f"conv{i}") for i in range(1, self.convs + 1)]
        norms = [getattr(self, f"bn{i}") for i in range(1, self.convs + 1)]
        if self.kind == "original":  # Figure 4 (a)
            y = x
            for c, n in zip(convs[:-1], norms[:-1], strict=True):
                y = F.relu(n(c(y)))
            return F.relu(self.skip(x) + norms[-1](convs[-1](y)))
        if self.kind == "bn_after_addition":  # (b)
            y = x
            for c, n in zip(convs[:-1], norms[:-1], strict=True):
                y = F.relu(n(c(y)))
            return F.relu(norms[-1](self.skip(x) + convs[-1](y)))
        if self.kind == "relu_before_addition":  # (c)
            y = x
            for c, n in zip(convs, norms, strict=True):
                y = F.relu(n(c(y)))
            return self.skip(x) + y
        if self.kind == "relu_only_preactivation":  # (d)
            y = F.relu(x)
            x = y if self.common else x
            for c, n in zip(convs[:-1], norms[:-1], strict=True):
                y = F.relu(n(c(y)))
            return self.skip(x) + norms[-1](convs[-1](y))
        if self.kind == "full_preactivation":  # (e)
            y = F.relu(norms[0](x))
            x = y if self.common else x
            y = convs[0](y)
            for c, n in zip(convs[1:], norms[1:], strict=True):
                y = c(F.relu(n(y)))
            return self.skip(x) + y
        raise ValueError(self.kind)


class ResNet(nn.Module):
    def __init__(self, kind: str, depth: int, bottleneck: bool):
        super().__init__()
        self.kind = kind
        blocks = (depth - 2) // (9 if bottleneck else 6)
        self.conv1 = conv(3, 16, 3)
        if kind != "full_preactivation":
            self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for stage in (1, 2, 3):
            outputs = 8 * 2**stage * (4 if bottleneck else 1)
            layer = nn.Sequential()
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                layer.append(Unit(kind, channels, outputs, stride, bottleneck, stage == 1 and block == 0))
                channels = outputs
            setattr(self, f"layer{stage}", layer)
        if kind == "full_preactivation":
            self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, 10)

    def forward(self, x):
        x = self.conv1(x)
        if self.kind != "full_preactivation":
            x = self.bn1(x)
        if self.kind not in ("full_preactivation", "relu_only_preactivation"):
            x = F.relu(x)
        named = {"stem": x}
        for stage in (1, 2, 3):
            named[f"stage{stage}"] = x = getattr(self, f"layer{stage}")(x)
        if self.kind == "full_preactivation":
            x = self.bn(x)
        if self.kind in ("full_preactivation", "relu_only_preactivation"):
            x = F.relu(x)
        named["pre_logits"] = x = x.mean((2, 3))
        named["logits"] = self.linear(x)
        return named


def network(kind: str, depth: int, bottleneck: bool) -> ResNet:
    model = ResNet(kind, depth, bottleneck)
    with torch.no_grad():
        for name, array in model.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                array.copy_(torch.from_numpy(numbers.weight(name, tuple(array.shape))))
    return model


def plain(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def resnet20() -> dict[str, np.ndarray]:
    """Evaluation: every stage. Training: logits, statistics and gradients of the mean cross-entropy."""
    model = network("original", 20, bottleneck=False)
    images = torch.from_numpy(numbers.images(4))
    golden = {}
    with torch.no_grad():
        for name, value in model.eval()(images[:1]).items():
            golden[f"eval/{name}"] = plain(value) if value.ndim == 2 else numbers.pixels(plain(value))
    logits = model.train()(images)["logits"]
    F.cross_entropy(logits, torch.tensor([3, 1, 4, 1])).backward()
    golden["train/logits"] = plain(logits)
    for name in ("bn1", "layer3.2.bn2"):
        golden[f"train/{name}.running_mean"] = plain(model.state_dict()[f"{name}.running_mean"])
        golden[f"train/{name}.running_var"] = plain(model.state_dict()[f"{name}.running_var"])
    for name in ("conv1.weight", "layer1.0.bn1.weight", "layer2.1.conv2.weight", "linear.weight"):
        golden[f"grad/{name}"] = plain(dict(model.named_parameters())[name].grad)
    return golden


KINDS = (
    "original",
    "bn_after_addition",
    "relu_before_addition",
    "relu_only_preactivation",
    "full_preactivation",
)


@torch.no_grad()
def five_units() -> dict[str, np.ndarray]:
    """Logits of the smallest networks with two units a stage, so that identity shortcuts occur."""
    images = torch.from_numpy(numbers.images(2))
    return {
        f"{kind}/{depth}": plain(network(kind, depth, depth == 20).eval()(images)["logits"])
        for kind in KINDS
        for depth in (14, 20)
    }


if __name__ == "__main__":
    here = Path(__file__).parent
    np.savez_compressed(here / "resnet20.npz", **resnet20())
    np.savez_compressed(here / "five_units.npz", **five_units())
