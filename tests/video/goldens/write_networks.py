"""Writes `<name>.npz` beside it: torchvision's video networks, with weights drawn by name.

    pip install torch==2.13.0 torchvision==0.28.0 numpy
    python -m tests.video.goldens.write_networks [NAME ...]

A file holds
  names: the state dict, as text in bytes (see tests/convnets/goldens/numbers.py);
  resized: of the same kind, only where the numbers come from smaller tables than `names` has (relative positions);
  parameters: how many torchvision says there are, of published networks;
  eval/<map>: `numbers.samples` of one clip at evaluation, with drawn running statistics;
  train/<map>: the same of all clips in training, without dropout and stochastic depth;
  grad/<parameter>: of the mean square of the logits, for those of `networks.SLOPES`;
  stats, counts, norms: `numbers.statistic` of each norm's updated mean and variance, of how many values, and its name;
  noise: how far torch is off in float32, for each entry before in order, relative to its largest magnitude.

All numbers come from float64, with weights that were drawn as float32. Nothing here imports the zoo.
"""

import sys
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.video import mvit, resnet, swin_transformer
from torchvision.ops import StochasticDepth

from tests.convnets.goldens import numbers
from tests.video.goldens import networks as made


def network(name: str, size: tuple[int, ...] = ()) -> nn.Module:
    if name == "residual":
        return residual()
    if name in ("mvit_v1", "mvit_v2"):
        return small_mvit(name)
    if name == "swin3d":
        return swin_transformer.SwinTransformer3d(**made.SWIN, stochastic_depth_prob=0.0, num_classes=made.CLASSES)
    if name == "c3d":
        return C3D()
    if not (size and name.startswith("mvit")):
        return get_model(name, weights=None)
    whole = mvit._mvit

    def resized(**options):
        return whole(**{**options, "temporal_size": size[0], "spatial_size": tuple(size[1:])})

    with mock.patch.object(mvit, "_mvit", resized):
        return getattr(mvit, name)()


class C3D(nn.Module):
    """Figure 3 of the paper, in Caffe's sizes: a last window may hang over the border."""

    def __init__(self):
        super().__init__()
        layers, before = [], 3
        for i, width in enumerate(made.C3D["widths"]):
            for _ in range(1 if i < 2 else 2):
                layers += [nn.Conv3d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool3d((1, 2, 2) if i == 0 else 2, ceil_mode=True))
        self.features, hidden = nn.Sequential(*layers), made.C3D["hidden"]
        size, dropout = before * 1 * 2 * 1, nn.Dropout()
        dense = (nn.Linear(size, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, made.CLASSES))
        self.dense = nn.Sequential(dense[0], nn.ReLU(), dropout, dense[1], nn.ReLU(), dropout, dense[2])

    def forward(self, clips):
        return self.dense(self.features(clips).flatten(1))


def residual() -> nn.Module:
    """torchvision's, made anew of its own layers with fewer channels: a kind of convolution for each stage."""
    kinds = (resnet.Conv3DSimple, resnet.Conv3DNoTemporal, resnet.Conv2Plus1D, resnet.Conv3DSimple)
    model = resnet.VideoResNet(resnet.BasicBlock, kinds, [1, 1, 1, 1], resnet.R2Plus1dStem, made.CLASSES)
    stem = model.stem
    stem[3], stem[4] = nn.Conv3d(45, made.CHANNELS, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(made.CHANNELS)
    model.inplanes = made.CHANNELS
    for i, (kind, units) in enumerate(zip(kinds, (2, 1, 1, 1), strict=True)):
        layer = model._make_layer(resnet.BasicBlock, kind, 2**i * made.CHANNELS, units, stride=2 if i else 1)
        setattr(model, f"layer{i + 1}", layer)
    model.fc = nn.Linear(8 * made.CHANNELS, made.CLASSES)
    return model


def small_mvit(name: str) -> nn.Module:
    """Three stages, as torchvision's have four: the first block of the later ones halves height and width."""
    second, width, stride = name == "mvit_v2", made.MVIT["width"], made.MVIT["key_stride"]
    at = [stage for stage, depth in enumerate(made.MVIT["depths"]) for _ in range(depth)]
    blocks = []
    for i, stage in enumerate(at):
        halves, last = stage > 0 and at[i - 1] < stage, i + 1 < len(at) and at[i + 1] > stage
        before = stage - 1 if second and halves else stage
        inputs = width * 2**before
        outputs = width * 2 ** (stage + 1 if not second and last else stage)
        query = [1, 2, 2] if halves else [1, 1, 1] if second else []
        blocks.append(
            mvit.MSBlockConfig(
                num_heads=2**stage,
                input_channels=inputs,
                output_channels=outputs,
                kernel_q=[3, 3, 3] if query else [],
                kernel_kv=[3, 3, 3],
                stride_q=query,
                stride_kv=[1, stride // 2**stage, stride // 2**stage],
            )
        )
    frames, *sides = made.THIN[name]
    return mvit.MViT(
        spatial_size=tuple(sides),
        temporal_size=frames,
        block_setting=blocks,
        residual_pool=second,
        residual_with_cls_embed=False,
        rel_pos_embed=second,
        proj_after_attn=second,
        num_classes=made.CLASSES,
    )


def maps_of(name: str, model: nn.Module) -> dict[str, str]:
    """The modules whose outputs are the named maps."""
    if isinstance(model, resnet.VideoResNet):
        return {"stem": "stem", **{f"stage{i}": f"layer{i}" for i in range(1, 5)}}
    if name == "c3d":
        return {f"stage{i}": f"features.{at}" for i, at in enumerate((1, 4, 9, 14, 19), 1)}
    if name == "s3d":
        return {"stem": "features.0", **{f"stage{i}": f"features.{at}" for i, at in enumerate((3, 6, 12, 15), 1)}}
    if isinstance(model, swin_transformer.SwinTransformer3d):
        stages = range(0, len(model.features), 2)
        return {"stem": "patch_embed", **{f"stage{i}": f"features.{at}" for i, at in enumerate(stages, 1)}}
    ends = [i for i, block in enumerate(model.blocks) if block.pool_skip is not None]
    ends = [end - 1 for end in ends] + [len(model.blocks) - 1]
    return {"stem": "conv_proj", **{f"stage{i}": f"blocks.{end}" for i, end in enumerate(ends, 1)}}


def as_map(name: str, output: torch.Tensor | tuple) -> torch.Tensor:
    """Channels before time, height and width; tokens without the class token."""
    if isinstance(output, tuple):
        tokens, places = output
        return tokens[:, 1:].transpose(1, 2).unflatten(2, places)
    return output.permute(0, 4, 1, 2, 3) if name.startswith("swin") else output


def drawn(name: str, dtype: torch.dtype) -> nn.Module:
    model = network(name, made.SIZES[name])
    state = model.state_dict()
    for key, array in state.items():
        if array.is_floating_point():
            state[key] = torch.from_numpy(made.weight(key, tuple(array.shape))).to(dtype)
    model.load_state_dict(state, assign=True)
    for module in model.modules():
        if isinstance(module, nn.Dropout | StochasticDepth):
            module.p = 0.0
    return model.requires_grad_(True)


def record(name: str, dtype: torch.dtype) -> dict[str, np.ndarray]:
    """Everything but the names, of one type of numbers."""
    model, found, counts = drawn(name, dtype), {}, {}
    clips = torch.from_numpy(made.clips(made.SIZES[name])).to(dtype)

    def keep(key: str, values: torch.Tensor) -> None:
        found[key] = numbers.samples(key, values.detach().numpy())

    def keep_map(ours: str, module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        keep(f"{'train' if module.training else 'eval'}/{ours}", as_map(name, output))

    for ours, theirs in maps_of(name, model).items():
        model.get_submodule(theirs).register_forward_hook(partial(keep_map, ours))
    with torch.no_grad():
        keep("eval/logits", model.eval()(clips[:1]))
    for path, module in model.named_modules():
        if isinstance(module, nn.BatchNorm3d):
            module.register_forward_hook(lambda _, __, output, path=path: counts.update({path: output[:, 0].numel()}))
    with torch.set_grad_enabled(name in made.SLOPES):
        logits = model.train()(clips)
        keep("train/logits", logits)
    if name in made.SLOPES:
        logits.square().mean().backward()
    parameters = dict(model.named_parameters())
    for key in made.SLOPES.get(name, ()):
        keep(f"grad/{key}", parameters[key].grad)
    state = model.state_dict()
    statistics = [
        numbers.statistic(key, state[key].numpy())
        for norm in counts
        for key in (f"{norm}.running_mean", f"{norm}.running_var")
    ]
    found["stats"] = np.array(statistics, np.float32).reshape(len(counts), 4)
    return {**found, "counts": np.array(list(counts.values()), np.int32), "norms": text("\n".join(counts))}


def text(lines: str) -> np.ndarray:
    return np.frombuffer(lines.encode(), np.uint8)


def table(shapes: dict[str, tuple[int, ...]]) -> np.ndarray:
    return text("\n".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in shapes.items()))


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(array.shape) for key, array in model.state_dict().items()}


def golden(name: str) -> dict[str, np.ndarray]:
    shapes = shapes_of(network(name))
    entries = {"names": table(shapes)}
    if name in made.PUBLISHED:
        entries["parameters"] = np.int64(get_model_weights(name).DEFAULT.meta["num_params"])
    if not made.SIZES[name]:
        return entries
    resized = dict(shapes_of(network(name, made.SIZES[name])).items() - shapes.items())
    if resized:
        entries["resized"] = table(resized)
    exact, rough = (record(name, dtype) for dtype in (torch.float64, torch.float32))
    noise = [
        np.abs(exact[key] - rough[key]).max(initial=0) / np.abs(exact[key]).max(initial=1e-30)
        for key in exact
        if key not in ("counts", "norms")
    ]
    return entries | exact | {"noise": np.array(noise, np.float32)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for each in sys.argv[1:] or made.SIZES:
        path = Path(__file__).with_name(f"{each}.npz")
        np.savez_compressed(path, **golden(each))
        print(f"{path.name}: {path.stat().st_size} bytes", flush=True)
