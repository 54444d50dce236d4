"""Writes `operations.npz` beside it: what torchvision's C++ kernels make of `inputs`.

    pip install torch==2.13.0 torchvision==0.28.0 numpy
    python -m tests.detection.goldens.write_operations

A file holds
  nms/<threshold>, batched_nms/<threshold>: which boxes stay, one row a seed and count, as packed bits;
  nms_order: the numbers of those of the first seed that stay at 0.5, in order;
  <options>/out, <options>/gradient: RoIAlign and RoIPool with options of `inputs.GRIDS`, channels last, and the
    gradient in the features;
  levels/out, levels/gradient: MultiScaleRoIAlign, 7 x 7, two samples a bin; of the gradient every 7th value;
  boxes/<name>: differences, decoded boxes and generalised overlaps of the first boxes of `inputs.crowd(0, 1000)`.
"""

from pathlib import Path

import numpy as np
import torch
import torchvision
from torchvision.models.detection import _utils
from torchvision.ops import MultiScaleRoIAlign, generalized_box_iou, nms, roi_align, roi_pool

from tests.detection.goldens import inputs


def last(tensor: torch.Tensor) -> np.ndarray:
    """Channels behind height and width."""
    return tensor.detach().permute(0, 2, 3, 1).numpy()


def first(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


def kept_sets() -> dict[str, np.ndarray]:
    found = {}
    for threshold in inputs.NMS_THRESHOLDS:
        masks: dict[str, list[np.ndarray]] = {"nms": [], "batched_nms": []}
        for seed in inputs.NMS_SEEDS:
            for count in inputs.NMS_COUNTS:
                boxes, scores, labels = map(torch.from_numpy, inputs.crowd(seed, count))
                alone = nms(boxes, scores, threshold)
                if (seed, count, threshold) == (0, 1000, 0.5):
                    found["nms_order"] = alone.numpy().astype(np.int16)
                apart = torchvision.ops.boxes._batched_nms_vanilla(boxes, scores, labels, threshold)
                for name, kept in (("nms", alone), ("batched_nms", apart)):
                    mask = np.zeros(max(inputs.NMS_COUNTS), bool)
                    mask[kept.numpy()] = True
                    masks[name].append(np.packbits(mask))
        found |= {f"{name}/{threshold}": np.stack(rows) for name, rows in masks.items()}
    return found


def regions() -> dict[str, np.ndarray]:
    found = {}
    boxes = [torch.from_numpy(each) for each in inputs.regions()]
    for name, options in inputs.GRIDS.items():
        features = first(inputs.region_map()).requires_grad_()
        out = (roi_pool if name.startswith("pool") else roi_align)(
            features, boxes, spatial_scale=inputs.SCALE, **options
        )
        slopes = inputs.slopes(name, tuple(last(out).shape))
        out.backward(first(slopes))
        found |= {f"{name}/out": last(out), f"{name}/gradient": last(features.grad)}
    maps = [first(each).requires_grad_() for each in inputs.pyramid()]
    named = {str(i): each for i, each in enumerate(maps)}
    boxes = [torch.from_numpy(each) for each in inputs.pyramid_boxes()]
    out = MultiScaleRoIAlign(list(named), 7, 2)(named, boxes, [inputs.PYRAMID] * 2)
    out.backward(first(inputs.slopes("levels", tuple(last(out).shape))))
    gradient = np.concatenate([last(each.grad).ravel() for each in maps])
    return found | {"levels/out": last(out), "levels/gradient": gradient[::7]}


def boxes() -> dict[str, np.ndarray]:
    drawn = torch.from_numpy(inputs.crowd(0, 1000)[0])
    drawn = drawn[(drawn[:, 2] > drawn[:, 0]) & (drawn[:, 3] > drawn[:, 1])]
    one, other = drawn[:40], drawn[40:80]
    coder, linear = _utils.BoxCoder((10.0, 10.0, 5.0, 5.0)), _utils.BoxLinearCoder(normalize_by_size=True)
    wild = 20 * torch.from_numpy(inputs.slopes("wild", (40, 4)))  # some ratios beyond the clamp
    found = {
        "encoded": coder.encode_single(one, other),
        "decoded": coder.decode_single(wild, other),
        "linear_encoded": linear.encode(other, one),
        "linear_decoded": linear.decode(wild, other),
        "generalized_iou": generalized_box_iou(one, other),
    }
    return {f"boxes/{name}": value.numpy() for name, value in found.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez_compressed(Path(__file__).with_name("operations.npz"), **kept_sets(), **regions(), **boxes())
