"""Writes `raft_*.npz`, `flownet_*.npz` and `flow_operations.npz` beside it: torchvision's RAFT; FlowNet in torch.

    pip install torch==2.13.0 torchvision==0.28.0 numpy
    python -m tests.dense.goldens.write_flow

A file of a RAFT holds
  names: the state dict, as text in bytes (see tests/convnets/goldens/numbers.py);
  first, context: `numbers.samples` of the features of the first images, and of the context's encoder;
  flow1 ... : the flow after each update, at evaluation;
  loss, slopes: RAFT's loss of these flows, and `numbers.statistic` of its gradient in each parameter, in order;
  train/...: the same in training, where there are batch statistics; train/statistics: of the running ones.
One of a FlowNet has flow6 ... flow2, and slopes of the sum of their products with drawn numbers. There are no weights
of it to be had, so the network is stated again below.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.optical_flow import raft, raft_large, raft_small
from torchvision.models.optical_flow._utils import upsample_flow

from tests.convnets.goldens import numbers
from tests.dense.goldens import flow as given


def channels_first(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


def network(name: str) -> nn.Module:
    if name in ("raft_large", "raft_small"):
        return {"raft_large": raft_large, "raft_small": raft_small}[name]()
    residual = name == "raft_residual"
    block = raft.ResidualBlock if residual else raft.BottleneckBlock
    kinds = {
        "feature_encoder_block": block,
        "context_encoder_block": block,
        "feature_encoder_norm_layer": nn.InstanceNorm2d,
        "context_encoder_norm_layer": nn.BatchNorm2d if residual else None,
        "use_mask_predictor": residual,
    }
    return raft._raft(**kinds, **given.NARROW[name])


def outcome(model: nn.Module, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Flows, loss and gradients, in the mode that the network is in."""
    found: dict[str, np.ndarray] = {}
    first, second = map(channels_first, given.pair(*size))
    model.zero_grad()
    flows = model(first, second, num_flow_updates=given.UPDATES)
    for number, flow in enumerate(flows, start=1):
        found[f"flow{number}"] = numbers.samples(f"flow{number}", flow.detach().numpy())
    flow, known = given.target(*size)
    truth = channels_first(flow)
    known = torch.from_numpy(known) & (truth.norm(dim=1) < 400)
    weights = [given.GAMMA ** (given.UPDATES - 1 - number) for number in range(given.UPDATES)]
    loss = sum(w * (known[:, None] * (flow - truth).abs()).mean() for w, flow in zip(weights, flows, strict=True))
    loss.backward()
    slopes = [numbers.statistic(key, value.grad.numpy()) for key, value in model.named_parameters()]
    return {**found, "loss": np.float32(loss.detach()), "slopes": np.stack(slopes)}


def of_raft(name: str) -> dict[str, np.ndarray]:
    model = network(name)
    state = model.state_dict()
    shapes = {key: tuple(array.shape) for key, array in state.items()}
    for key, shape in shapes.items():
        if state[key].is_floating_point():
            state[key] = torch.from_numpy(given.weight(key, shape))
    model.load_state_dict(state)
    model.eval()
    lines = "\n".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in shapes.items())
    found = {"names": np.frombuffer(lines.encode(), np.uint8)}
    first = channels_first(given.pair(*given.RAFTS[name])[0])
    with torch.no_grad():
        found["first"] = numbers.samples("first", model.feature_encoder(first).numpy())
        found["context"] = numbers.samples("context", model.context_encoder(first).numpy())
    found |= outcome(model, given.RAFTS[name])
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        model.train()
        found |= {f"train/{key}": value for key, value in outcome(model, given.RAFTS[name]).items()}
        after = model.state_dict()
        running = [key for key in after if key.endswith(("running_mean", "running_var"))]
        found["train/statistics"] = np.stack([numbers.statistic(key, after[key].numpy()) for key in running])
    return found


def matched(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The correlation layer, displacement by displacement."""
    far, (height, width) = given.MAX_DISPLACEMENT, first.shape[2:]
    steps = range(0, 2 * far + 1, given.STEP)
    second = F.pad(second, (far, far, far, far))
    products = [(first * second[:, :, y : y + height, x : x + width]).mean(1) for y in steps for x in steps]
    return torch.stack(products, dim=1)


def of_flownet(name: str) -> dict[str, np.ndarray]:
    params = {
        key: {kind: torch.from_numpy(value).requires_grad_() for kind, value in given.filters(key, shape).items()}
        for key, shape in given.layers(name).items()
    }
    leaky = partial(F.leaky_relu, negative_slope=0.1)

    def convolved(key: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        layer = params[key]
        return F.conv2d(x, layer["kernel"], layer["bias"], stride, layer["kernel"].shape[2] // 2)

    def conv(key: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        return leaky(convolved(f"{key}/conv", x, stride))

    def deconv(key: str, x: torch.Tensor) -> torch.Tensor:
        return F.conv_transpose2d(x, params[key]["kernel"], params[key]["bias"], 2, 1)

    first, second = map(channels_first, given.pair(*given.FLOWNETS[name]))
    if name == "flownet_s":
        x = conv("conv1", torch.cat([first, second], dim=1), 2)
        skipped = {2: conv("conv2", x, 2)}
        x = conv("conv3", skipped[2], 2)
    else:
        maps = []
        for image in (first, second):
            middle = conv("conv2", conv("conv1", image, 2), 2)
            maps.append((middle, conv("conv3", middle, 2)))
        skipped = {2: maps[0][0]}
        x = torch.cat([conv("conv_redir", maps[0][1]), leaky(matched(maps[0][1], maps[1][1]))], dim=1)
    skipped[3] = x = conv("conv3_1", x)
    for level in (4, 5, 6):
        skipped[level] = x = conv(f"conv{level}_1", conv(f"conv{level}", x, 2))
    flows = {6: convolved("predict_flow6", x)}
    for level in (5, 4, 3, 2):
        larger = deconv(f"upsample_flow{level + 1}", flows[level + 1])
        x = torch.cat([skipped[level], leaky(deconv(f"deconv{level}", x)), larger], dim=1)
        flows[level] = convolved(f"predict_flow{level}", x)
    total = sum(
        (20 * flow * channels_first(given.slopes(f"flow{level}", tuple(flow.permute(0, 2, 3, 1).shape)))).sum()
        for level, flow in flows.items()
    )
    total.backward()
    found = {
        f"flow{level}": numbers.samples(f"flow{level}", 20 * flow.detach().numpy()) for level, flow in flows.items()
    }
    slopes = [
        numbers.statistic(f"{key}/{kind}", value.grad.numpy())
        for key, layer in params.items()
        for kind, value in layer.items()
    ]
    return {**found, "slopes": np.stack(slopes)}


def of_operations() -> dict[str, np.ndarray]:
    block = raft.CorrBlock(num_levels=given.LEVELS, radius=given.RADIUS)
    first, second = (channels_first(maps).requires_grad_() for maps in given.maps())
    block.build_pyramid(first, second)
    found = {}
    for level, volume in enumerate(block.corr_pyramid):
        found[f"level{level}"] = numbers.samples(f"level{level}", volume.detach().numpy())
    around = block.index_pyramid(channels_first(given.coordinates()))
    found["around"] = numbers.samples("around", around.detach().numpy())
    shape = tuple(around.permute(0, 2, 3, 1).shape)
    (around * channels_first(given.slopes("around", shape))).sum().backward()
    found |= {f"slope/{key}": numbers.samples(key, x.grad.numpy()) for key, x in (("first", first), ("second", second))}
    flow, logits = map(channels_first, given.finer())
    found["bilinear"] = numbers.samples("bilinear", upsample_flow(flow).numpy())
    found["convex"] = numbers.samples("convex", upsample_flow(flow, logits).numpy())
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    goldens = {"flow_operations": of_operations()}
    goldens |= {name: of_raft(name) for name in given.RAFTS} | {name: of_flownet(name) for name in given.FLOWNETS}
    for name, golden in goldens.items():
        np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **golden)
