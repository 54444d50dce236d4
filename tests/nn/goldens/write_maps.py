"""Writes `maps.npz` beside it: what torch makes of the arrays and settings of `maps.py`.

    pip install torch==2.13.0 numpy
    python -m tests.nn.goldens.write_maps

A file holds, channels last but for indices, which are of places in a channel,
  transposed/<name>/out, /images, /kernel: conv_transpose2d, and the gradients in images and kernel;
  resized/<number>/out, /gradient: interpolate of `maps.RESIZED`, and the gradient in the maps;
  pooled/<name>/out, /indices: max_pool2d of maps with ties;
  unpooled/<name>/out, /gradient: max_unpool2d of other values at the same indices, and the gradient in them, which is
    left out where windows overlap.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from tests.nn.goldens import maps


def first(array: np.ndarray) -> torch.Tensor:
    """Channels before height and width."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


def last(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().permute(0, 2, 3, 1).numpy()


def transposed() -> dict[str, np.ndarray]:
    found = {}
    for name, settings in maps.TRANSPOSED.items():
        images, kernel = maps.images_and_kernel(name)
        x = first(images).requires_grad_()
        weight = torch.from_numpy(kernel).permute(2, 3, 0, 1).contiguous().requires_grad_()
        options = {key: value for key, value in settings.items() if key != "kernel"}
        out = functional.conv_transpose2d(x, weight, **options)
        out.backward(first(maps.drawn(f"slopes of {name}", *last(out).shape)))
        gradients = {"images": last(x.grad), "kernel": weight.grad.permute(2, 3, 0, 1).numpy()}
        found |= {f"transposed/{name}/{key}": value for key, value in {"out": last(out), **gradients}.items()}
    return found


def resized() -> dict[str, np.ndarray]:
    found = {}
    for number, (size, other, method, aligned) in enumerate(maps.RESIZED):
        x = first(maps.drawn("resized", 1, *size, 2)).requires_grad_()
        options = {} if method == "nearest" else {"align_corners": aligned}
        out = functional.interpolate(x, other, mode=method, **options)
        out.backward(first(maps.drawn("slopes", 1, *other, 2)))
        found |= {f"resized/{number}/out": last(out), f"resized/{number}/gradient": last(x.grad)}
    return found


def pooled() -> dict[str, np.ndarray]:
    found = {}
    for name, settings in maps.POOLED.items():
        windows = {"kernel_size": settings["window"], "stride": settings["strides"], "padding": settings["padding"]}
        out, indices = functional.max_pool2d(first(maps.tied(name)), **windows, return_indices=True)
        found |= {f"pooled/{name}/out": last(out), f"pooled/{name}/indices": last(indices).astype(np.int16)}
        values = first(maps.drawn(f"values of {name}", *last(out).shape))
        if name == "overlapping":  # one value for one place: else torch leaves open which
            values = out.nan_to_num(neginf=0.0)
        values = values.requires_grad_()
        back = functional.max_unpool2d(values, indices, **windows, output_size=settings["size"])
        found[f"unpooled/{name}/out"] = last(back)
        if name != "overlapping":
            back.backward(first(maps.drawn(f"slopes of {name}", *last(back).shape)))
            found[f"unpooled/{name}/gradient"] = last(values.grad)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez_compressed(Path(__file__).with_name("maps.npz"), **transposed(), **resized(), **pooled())
