"""Writes `<network>.npz` beside it: FCN on VGG, SegNet and U-Net, said once more in torch's layers, kept narrow.

    pip install torch==2.13.0 numpy
    python -m tests.dense.goldens.write_networks

Crops, paddings and scales of FCN are written as they stand in the authors' prototxts.

A file holds
  names: the state dict, as text in bytes (see tests/convnets/goldens/numbers.py);
  logits: `numbers.samples` of the logits, (batch, classes, height, width), at evaluation; shape: theirs;
  gradients: `numbers.statistic` of the gradient in each parameter, in the order of names.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.convnets.goldens import numbers
from tests.dense.goldens import networks as given


class Stage(nn.Module):
    """3x3 convolutions and ReLUs."""

    def __init__(self, inputs: int, widths: list[int], norm: bool, padding: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.count = len(widths)
        for i, width in enumerate(widths, start=1):
            setattr(self, f"conv{i}", nn.Conv2d(inputs, width, 3, padding=padding, bias=bias))
            setattr(self, f"norm{i}", nn.BatchNorm2d(width) if norm else nn.Identity())
            inputs = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(1, self.count + 1):
            x = getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x)).relu()
        return x


class FCN(nn.Module):
    """voc-fcn32s, voc-fcn16s, voc-fcn8s, voc-fcn8s-atonce of shelhamer/fcn.berkeleyvision.org."""

    def __init__(
        self,
        widths: tuple[int, ...],
        hidden: int,
        stride: int,
        at_once: bool = False,
        counts: tuple[int, ...] = given.COUNTS,
        classes: int = given.CLASSES,
        **_: Any,
    ) -> None:
        super().__init__()
        self.stride, self.at_once, inputs = stride, at_once, 3
        for i, (count, width) in enumerate(zip(counts, widths, strict=True), start=1):
            setattr(self, f"stage{i}", Stage(inputs, [width] * count, norm=False))
            inputs = width
        self.stage1.conv1.padding = (100, 100)
        self.fc6, self.fc7 = nn.Conv2d(inputs, hidden, 7), nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout(0.5)
        self.score_fr = nn.Conv2d(hidden, classes, 1)
        if stride < 32:
            self.score_pool4 = nn.Conv2d(widths[3], classes, 1)
            self.upscore2 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)
        if stride < 16:
            self.score_pool3 = nn.Conv2d(widths[2], classes, 1)
            self.upscore_pool4 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)
        self.last = nn.ConvTranspose2d(classes, classes, 2 * stride, stride, bias=False)
        for name, layer in self.named_modules():
            if isinstance(layer, nn.ConvTranspose2d) and (name == "last" or not at_once):
                fill_bilinear(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        pools = []
        for i in range(1, 6):
            x = functional.max_pool2d(getattr(self, f"stage{i}")(x), 2, 2, ceil_mode=True)
            pools.append(x)
        score, offset = self.score_fr(self.dropout(self.fc7(self.dropout(self.fc6(x).relu())).relu())), 19
        if self.stride < 32:
            pool4 = self.score_pool4(pools[3] * (0.01 if self.at_once else 1))
            up = self.upscore2(score)
            score, offset = up + pool4[:, :, 5 : 5 + up.shape[2], 5 : 5 + up.shape[3]], 27
        if self.stride < 16:
            pool3 = self.score_pool3(pools[2] * (0.0001 if self.at_once else 1))
            up = self.upscore_pool4(score)
            score, offset = up + pool3[:, :, 9 : 9 + up.shape[2], 9 : 9 + up.shape[3]], 31
        return self.last(score)[:, :, offset : offset + height, offset : offset + width]


def fill_bilinear(layer: nn.ConvTranspose2d) -> None:
    """`upsample_filt` of the authors' surgery.py, on the diagonal; it does not learn."""
    (side, _), (channels, _) = layer.kernel_size, layer.weight.shape[:2]
    factor = (side + 1) // 2
    window = 1 - np.abs(np.arange(side) - (factor - 0.5)) / factor
    weight = np.eye(channels)[:, :, None, None] * np.outer(window, window)
    layer.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)), requires_grad=False)


class SegNet(nn.Module):
    """VGG with batch normalisation, and its mirror with unpooling; ceil_mode as Caffe."""

    def __init__(self, widths: tuple[int, ...], **_: Any) -> None:
        super().__init__()
        inputs = 3
        for i, (count, width) in enumerate(zip(given.COUNTS, widths, strict=True), start=1):
            setattr(self, f"stage{i}", Stage(inputs, [width] * count, norm=True))
            inputs = width
        for i in range(5, 1, -1):
            mirrored = [widths[i - 1]] * (given.COUNTS[i - 1] - 1) + [widths[i - 2]]
            setattr(self, f"up{i}", Stage(widths[i - 1], mirrored, norm=True))
        self.head = nn.Conv2d(widths[0], given.CLASSES, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = []
        for i in range(1, 6):
            x = getattr(self, f"stage{i}")(x)
            size = x.shape[2:]
            x, indices = functional.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
            pooled.append((indices, size))
        for i in range(5, 0, -1):
            indices, size = pooled[i - 1]
            x = functional.max_unpool2d(x, indices, 2, 2, output_size=size)
            x = getattr(self, f"up{i}")(x) if i > 1 else x
        return self.head(x)


class UNet(nn.Module):
    """Figure 1 of the paper."""

    def __init__(
        self,
        widths: tuple[int, ...],
        padding: str,
        batch_norm: bool = False,
        up: str = "transposed",
        classes: int = given.CLASSES,
        **_: Any,
    ) -> None:
        super().__init__()
        self.levels, inputs, pad = len(widths), 3, int(padding == "same")
        options = {"norm": batch_norm, "padding": pad, "bias": not batch_norm}
        for i, width in enumerate(widths, start=1):
            setattr(self, f"stage{i}", Stage(inputs, [width] * 2, **options))
            inputs = width
        for i in range(self.levels - 1, 0, -1):
            larger = nn.ConvTranspose2d(widths[i], widths[i - 1], 2, 2)
            if up == "bilinear":
                larger = nn.Conv2d(widths[i], widths[i - 1], 1)
            setattr(self, f"enlarge{i}", larger)
            setattr(self, f"up{i}", Stage(2 * widths[i - 1], [widths[i - 1]] * 2, **options))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for i in range(1, self.levels + 1):
            x = functional.max_pool2d(x, 2) if i > 1 else x
            x = getattr(self, f"stage{i}")(x)
            skips.append(x)
        x = self.dropout(x)
        for i in range(self.levels - 1, 0, -1):
            larger = getattr(self, f"enlarge{i}")
            if isinstance(larger, nn.Conv2d):
                x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x, skip = larger(x), skips[i - 1]
            top, left = ((skip.shape[axis] - x.shape[axis]) // 2 for axis in (2, 3))
            skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            x = getattr(self, f"up{i}")(torch.cat([skip, x], dim=1))
        return self.head(x)


def golden(name: str) -> dict[str, np.ndarray]:
    kind = {"fcn": FCN, "seg": SegNet, "une": UNet}[name[:3]]
    model = kind(**given.NETWORKS[name]).eval()
    fixed = {key for key, parameter in model.named_parameters() if not parameter.requires_grad}
    state = model.state_dict()
    shapes = {k: tuple(a.shape) for k, a in state.items() if k not in fixed and "num_batches" not in k}
    state |= {key: torch.from_numpy(numbers.weight(key, shape)) for key, shape in shapes.items()}
    model.load_state_dict(state)
    out = model(torch.from_numpy(given.images(name)).permute(0, 3, 1, 2))
    slopes = given.slopes(tuple(out.permute(0, 2, 3, 1).shape))
    (out * torch.from_numpy(slopes).permute(0, 3, 1, 2)).sum().backward()
    gradients = [numbers.statistic(key, p.grad.numpy()) for key, p in model.named_parameters() if p.requires_grad]
    lines = "\n".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in shapes.items())
    return {
        "names": np.frombuffer(lines.encode(), np.uint8),
        "logits": numbers.samples("logits", out.detach().numpy()),
        "shape": np.array(out.shape),
        "gradients": np.stack(gradients),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in given.NETWORKS:
        np.savez_compressed(Path(__file__).with_name(f"{each}.npz"), **golden(each))
