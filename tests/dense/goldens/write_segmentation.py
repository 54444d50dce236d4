"""Writes `segmentation_<name>.npz` beside it: torchvision's segmentation networks, with weights drawn by name.

    pip install torch==2.13.0 torchvision==0.28.0 numpy
    python -m tests.dense.goldens.write_segmentation [NAME ...]

Of networks with fewer units, and of the published ones of `NUMBERED`, a file holds
  names: the state dict, as text in bytes (see tests/convnets/goldens/numbers.py);
  eval/<map>: `numbers.samples` of one image at evaluation, with drawn running statistics;
  train/<map>: the same of all images in training, without dropout;
  grad/<parameter>: of the mean square of the logits, and half of that of the auxiliary head's;
  stats, counts: `numbers.statistic` of each norm's updated mean and variance, and of how many values they are;
  noise: how far torch is off in float32, for each entry before in order, relative to its largest magnitude.
Of the others there are names, and of all published ones the number of parameters. `atrous` is DeepLab's pyramid alone.

All numbers come from float64, with weights that were drawn as float32. Nothing here imports the zoo.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import mobilenetv3, resnet, segmentation
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation import deeplabv3, fcn, lraspp

from tests.convnets.goldens import numbers
from tests.dense.goldens import segmentation as made


def network(name: str) -> nn.Module:
    if name == "atrous":
        return deeplabv3.ASPP(made.ATROUS_MAP[1], (12, 24, 36), made.ATROUS_WIDTH)
    if name in made.PUBLISHED:
        aux = {} if name.startswith("lraspp") else {"aux_loss": True}
        return getattr(segmentation, name)(weights=None, weights_backbone=None, **aux)
    if name == "fcn":
        return fcn.FCN(small_resnet(), fcn.FCNHead(32 * made.CHANNELS, made.CLASSES), auxiliary(16 * made.CHANNELS))
    if name == "deeplabv3":
        head = deeplabv3.DeepLabHead(32 * made.CHANNELS, made.CLASSES)
        return deeplabv3.DeepLabV3(small_resnet(), head, auxiliary(16 * made.CHANNELS))
    backbone = mobilenetv3.mobilenet_v3_large(width_mult=made.WIDTH, dilated=True)
    if name == "lraspp":
        return lraspp._lraspp_mobilenetv3(backbone, made.CLASSES)
    return deeplabv3._deeplabv3_mobilenetv3(backbone, made.CLASSES, True)


def auxiliary(channels: int) -> nn.Module:
    return fcn.FCNHead(channels, made.CLASSES)


def small_resnet() -> nn.Module:
    """torchvision's, made anew of its own layers with fewer channels; dilated as its segmentation networks are."""
    block = resnet.Bottleneck
    model = resnet.ResNet(block, [1, 1, 1, 1])
    model.inplanes, model.dilation = made.CHANNELS, 1
    model.conv1 = nn.Conv2d(3, made.CHANNELS, 7, 2, 3, bias=False)
    model.bn1 = nn.BatchNorm2d(made.CHANNELS)
    for i, (units, stride, dilate) in enumerate(zip(made.UNITS, (1, 2, 2, 2), (False, False, True, True), strict=True)):
        layer = model._make_layer(block, 2**i * made.CHANNELS, units, stride=stride, dilate=dilate)
        setattr(model, f"layer{i + 1}", layer)
    return IntermediateLayerGetter(model, {"layer3": "aux", "layer4": "out"})


def drawn(name: str, dtype: torch.dtype) -> nn.Module:
    model = network(name)
    state = model.state_dict()
    for key, array in state.items():
        if array.is_floating_point():
            state[key] = torch.from_numpy(made.weight(key, tuple(array.shape))).to(dtype)
    model.load_state_dict(state, assign=True)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model.requires_grad_(True)


def record(name: str, dtype: torch.dtype) -> dict[str, np.ndarray]:
    """Everything but the names, of one type of numbers."""
    model, found, counts = drawn(name, dtype), {}, {}
    atrous = name == "atrous"
    given = torch.from_numpy(made.atrous_map() if atrous else made.images()).to(dtype)

    def keep(key: str, values: torch.Tensor) -> None:
        found[key] = numbers.samples(key, values.detach().numpy())

    def run(mode: str) -> dict[str, torch.Tensor]:
        answers = model.train(mode == "train")(given if mode == "train" else given[:1])
        answers = {"out": answers} if atrous else answers
        for theirs, ours in {"out": "logits", "aux": "aux1"}.items():
            if theirs in answers and (ours == "logits" or mode == "train"):
                keep(f"{mode}/{ours}", answers[theirs])
        return answers

    def keep_map(ours: str, module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        keep(f"{'train' if module.training else 'eval'}/{ours}", output)

    if not atrous:
        for ours, theirs in made.maps_of(name).items():
            model.backbone[theirs].register_forward_hook(partial(keep_map, ours))
    run("eval")
    for path, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, __, output, path=path: counts.update({path: output[:, 0].numel()}))
    answers = run("train")
    loss = answers["out"].square().mean()
    loss = loss + made.AUX_WEIGHT * answers["aux"].square().mean() if "aux" in answers else loss
    loss.backward()
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


def golden(name: str) -> dict[str, np.ndarray]:
    shapes = {key: tuple(array.shape) for key, array in network(name).state_dict().items()}
    entries = {"names": text("\n".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in shapes.items()))}
    if name in made.PUBLISHED:
        weights = getattr(segmentation, f"{type_of(name)}_Weights").COCO_WITH_VOC_LABELS_V1
        entries["parameters"] = np.int64(weights.meta["num_params"])
    if name in made.PUBLISHED and name not in made.NUMBERED:
        return entries
    exact, rough = (record(name, dtype) for dtype in (torch.float64, torch.float32))
    noise = [
        np.abs(exact[key] - rough[key]).max() / np.abs(exact[key]).max()
        for key in exact
        if key not in ("counts", "norms")
    ]
    return entries | exact | {"noise": np.array(noise, np.float32)}


def type_of(name: str) -> str:
    """`fcn_resnet50` is `FCN_ResNet50`."""
    spelled = {"fcn": "FCN", "deeplabv3": "DeepLabV3", "lraspp": "LRASPP", "mobilenet": "MobileNet", "v3": "V3"}
    parts = (spelled.get(part, part.replace("resnet", "ResNet").capitalize()) for part in name.split("_"))
    return "_".join(parts).replace("Resnet", "ResNet")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for each in sys.argv[1:] or ("atrous", *made.THIN, *made.PUBLISHED):
        path = Path(__file__).with_name(f"segmentation_{each}.npz")
        np.savez_compressed(path, **golden(each))
        print(f"{path.name}: {path.stat().st_size} bytes", flush=True)
