"""Writes the golden files of torchvision's and timm's classifiers beside it: `<architecture>.npz`.

    pip install torch==2.13.0 torchvision==0.28.0 timm==1.0.31 numpy
    python -m tests.convnets.goldens.torchvision [PATTERN ...]

A file holds
  names: the state dict, as text in bytes: lines "name 64x3x7x7", integer buffers too (see `numbers.shapes`);
  resized: of the same kind, only where the numbers come from a smaller table than `names` has (vit's positions);
  size: pixels a side of the images of both runs;
  eval/<feature>: `numbers.samples` of one image at evaluation; with drawn running statistics;
  train/<feature>: the same of four images in training, without dropout and stochastic depth;
  stats: one row a batch norm, in the state dict's order: `numbers.statistic` of the updated mean and variance;
  counts: over how many values each of them was taken (torch's variance is the unbiased one);
  noise: how far torch is off in float32, for each eval/ and train/ entry in order relative to its largest
    magnitude, and at last for stats.

All numbers come from float64, with weights that were drawn as float32. Nothing here imports the zoo.
"""

import fnmatch
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import timm
import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.ops import StochasticDepth

from tests.convnets.goldens import numbers


class Family(NamedTuple):
    """Networks whose named features come from modules of the same names."""

    names: str
    stem: str
    stages: str
    """One module a stage; empty for the layers before the pools."""
    final: str = ""
    size: int = 64
    """Pixels a side."""


def of(sequence: str, *indices: int) -> str:
    return " ".join(f"{sequence}.{i}" for i in indices)


FAMILIES = (
    Family("alexnet", "", "", size=80),  # the adaptive pool gets 4 x 4 and gives 6 x 6
    Family("vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn", "", ""),
    Family("googlenet", "conv1", "conv3 inception3b inception4e inception5b", size=80),  # auxiliary pools from 5 to 4
    Family(
        "inception_v3",
        "Conv2d_2b_3x3",
        "Conv2d_4a_3x3 Mixed_5d Mixed_6e Mixed_7c",
        size=299,  # the auxiliary head needs as much
    ),
    Family("squeezenet1_0", "features.1", of("features", 5, 10, 12), size=66),  # a pool's last window is cut off
    Family("squeezenet1_1", "features.1", of("features", 4, 7, 12), size=66),
    Family(
        "resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2"
        " resnext50_32x4d resnext101_32x8d resnext101_64x4d",
        "relu",
        "layer1 layer2 layer3 layer4",
    ),
    Family("timm_seresnet50", "act1", "layer1 layer2 layer3 layer4"),
    Family("timm_resnetv2_50", "stem.conv", of("stages", 0, 1, 2, 3)),
    Family(
        "densenet121 densenet161 densenet169 densenet201",
        "features.relu0",
        "features.denseblock1 features.denseblock2 features.denseblock3 features.denseblock4",
    ),
    Family("mobilenet_v2", "features.0", of("features", 1, 3, 6, 10, 13, 16, 17), "features.18"),
    Family("mobilenet_v3_small", "features.0", of("features", 1, 3, 6, 8, 11), "features.12"),
    Family("mobilenet_v3_large", "features.0", of("features", 1, 3, 6, 10, 12, 15), "features.16"),
    Family(
        "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
        "conv1",
        "stage2 stage3 stage4",
        "conv5",
    ),
    Family(
        "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3",
        "layers.2",
        of("layers", 7, 8, 9, 10, 11, 12, 13),
        "layers.16",
    ),
    Family("efficientnet_v2_s", "features.0", of("features", 1, 2, 3, 4, 5, 6), "features.7"),
    Family(
        "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5"
        " efficientnet_b6 efficientnet_b7 efficientnet_v2_m efficientnet_v2_l",
        "features.0",
        of("features", 1, 2, 3, 4, 5, 6, 7),
        "features.8",
    ),
    Family(
        "regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf"
        " regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf"
        " regnet_y_128gf",
        "stem",
        "trunk_output.block1 trunk_output.block2 trunk_output.block3 trunk_output.block4",
    ),
    Family("convnext_tiny convnext_small convnext_base convnext_large", "features.0", of("features", 1, 3, 5, 7)),
    Family("vit_b_16 vit_l_16 vit_h_14", "conv_proj", "encoder"),
    Family("vit_b_32 vit_l_32", "conv_proj", "encoder", size=96),
    # Maps of 18, 9, 5 and 3: windows and merging are padded.
    Family("swin_t swin_s swin_b", "features.0", of("features", 1, 3, 5, 7), size=72),
)

NAMES_ONLY = ("regnet_y_128gf", "vit_l_32", "vit_h_14")
"""Too large for more."""

OUTPUTS = {"logits": "logits", "aux_logits": "aux1", "aux_logits1": "aux1", "aux_logits2": "aux2"}
"""Our names for what a network with auxiliary heads returns in training."""


class Unallocated(TorchFunctionMode):
    """Parameters that a constructor would draw take neither time nor memory."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def network(arch: str, **options) -> nn.Module:
    with Unallocated():
        if arch.startswith("timm_"):
            return timm.create_model(arch.removeprefix("timm_"), **options)
        if arch in ("googlenet", "inception_v3"):
            options |= {"aux_logits": True, "transform_input": False, "init_weights": False}
        return torchvision.models.get_model(arch, weights=None, **options)


def draw(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model with weights drawn by their names; buffers of integers stay."""
    state = model.state_dict()
    for name, array in state.items():
        if array.is_floating_point():
            state[name] = torch.from_numpy(numbers.weight(name, tuple(array.shape))).to(dtype)
    model.load_state_dict(state, assign=True)
    return model


def feature_modules(family: Family, model: nn.Module) -> dict[str, str]:
    """Paths of the modules whose outputs are the named features."""
    stages = family.stages.split()
    if not stages:
        stages = [f"features.{i - 1}" for i, layer in enumerate(model.features) if isinstance(layer, nn.MaxPool2d)]
    named = {
        "stem": family.stem,
        **{f"stage{i}": path for i, path in enumerate(stages, start=1)},
        "final": family.final,
    }
    return {name: path for name, path in named.items() if path}


def as_map(values: torch.Tensor, arch: str) -> torch.Tensor:
    """Channels before height and width; tokens without the class token."""
    if arch.startswith("swin") and values.ndim == 4:
        return values.permute(0, 3, 1, 2)
    if arch.startswith("vit") and values.ndim == 3:
        side = round((values.shape[1] - 1) ** 0.5)
        return values[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    return values


@torch.no_grad()
def run(arch: str, family: Family, model: nn.Module, images: torch.Tensor) -> dict[str, np.ndarray]:
    """Samples of every named feature, in order of computation."""
    mode = "train" if model.training else "eval"
    found = {}

    def keep(name, values):  # at once: what follows may overwrite them
        found[f"{mode}/{name}"] = numbers.samples(f"{mode}/{name}", as_map(values, arch).numpy())

    hooks = [
        model.get_submodule(path).register_forward_hook(lambda module, inputs, output, name=name: keep(name, output))
        for name, path in feature_modules(family, model).items()
    ]
    head = model.get_submodule(list(model.state_dict())[-1].rpartition(".")[0])
    hooks.append(head.register_forward_pre_hook(lambda module, inputs: keep("pre_logits", inputs[0])))
    outputs = model(images)
    for name, values in outputs._asdict().items() if isinstance(outputs, tuple) else [("logits", outputs)]:
        keep(OUTPUTS[name], values)
    for hook in hooks:
        hook.remove()
    return found


def record(arch: str, family: Family, model: nn.Module) -> dict[str, np.ndarray]:
    """Both runs of a model with weights, and its updated batch statistics."""
    counts = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, inputs, output, n=name: counts.update({n: output[:, 0].numel()}))
        if isinstance(module, nn.Dropout | StochasticDepth):
            module.p = 0.0
    images = torch.from_numpy(numbers.images(4, family.size)).to(next(model.parameters()).dtype)
    entries = run(arch, family, model.eval(), images[:1]) | run(arch, family, model.train(), images)
    state = model.state_dict()
    norms = [name.removesuffix(".running_mean") for name in state if name.endswith(".running_mean")]
    statistics = [
        numbers.statistic(name, state[name].numpy())
        for norm in norms
        for name in (f"{norm}.running_mean", f"{norm}.running_var")
    ]
    entries["stats"] = np.array(statistics, np.float32).reshape(len(norms), 4)
    entries["counts"] = np.array([counts[norm] for norm in norms], np.int32)
    return entries


def deviation(exact: np.ndarray, rough: np.ndarray) -> float:
    return np.abs(exact - rough).max(initial=0) / np.abs(exact).max(initial=1e-30)


def text_of(shapes: dict[str, tuple[int, ...]]) -> np.ndarray:
    lines = (f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    return np.frombuffer("\n".join(lines).encode(), np.uint8)


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(array.shape) for name, array in model.state_dict().items()}


def golden(arch: str, family: Family) -> dict[str, np.ndarray]:
    """All entries of one file."""
    shapes = shapes_of(network(arch))
    entries = {"names": text_of(shapes)}
    if arch in NAMES_ONLY:
        return entries
    options = {"image_size": family.size} if arch.startswith("vit") else {}
    resized = dict(shapes_of(network(arch, **options)).items() - shapes.items())
    if resized:
        entries["resized"] = text_of(resized)
    exact, rough = (
        record(arch, family, draw(network(arch, **options), dtype)) for dtype in (torch.float64, torch.float32)
    )
    noise = [deviation(exact[key], rough[key]) for key in exact if key != "counts"]
    return entries | {"size": np.int32(family.size)} | exact | {"noise": np.array(noise, np.float32)}


def main(patterns: list[str]) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for family in FAMILIES:
        for arch in family.names.split():
            if any(fnmatch.fnmatch(arch, pattern) for pattern in patterns or ["*"]):
                path = Path(__file__).with_name(f"{arch}.npz")
                np.savez_compressed(path, **golden(arch, family))
                print(f"{path.name}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
