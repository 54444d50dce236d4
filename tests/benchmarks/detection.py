"""Suppression and pooling of regions beside torchvision's C++ kernels: milliseconds, and ours over theirs.

    pip install torch==2.13.0 torchvision==0.28.0 && python -m tests.benchmarks.detection
    python -m tests.benchmarks.detection nms     suppression alone
    python -m tests.benchmarks.detection roi     pooling alone

Below 1 is ahead. Both sides run in turn in one process with as many threads; medians of the rounds, compilation apart.
The line says how many cores other processes used: quote numbers of a quiet machine only.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torchvision
from torchvision.ops import MultiScaleRoIAlign, nms, roi_pool

import zoo.detection as ours
from tests.benchmarks.layers import ROUNDS, Busy, interleaved

STRIDES = (4, 8, 16, 32)


def compare(title: str, mine: Callable[[], Any], theirs: Callable[[], Any], rounds: int = ROUNDS) -> None:
    """Prints the median of either side, and their ratio."""
    busy = Busy()
    took = interleaved({"ours": mine, "theirs": theirs}, rounds=rounds)
    ratio = took["ours"] / took["theirs"]
    shown = f"{took['ours']:8.2f} / {took['theirs']:8.2f} ms = {ratio:4.2f}"
    print(f"{title:58} {shown} (others {busy.share():.1f})", flush=True)


def boxes_of(count: int, side: float, extent: tuple[float, float], seed: int = 0) -> np.ndarray:
    """Boxes up to this long, anywhere in an image of this height and width."""
    random = np.random.default_rng(seed)
    sides = random.uniform(0.05, 1, (count, 2)) * side
    low = random.random((count, 2)) * (np.array(extent[::-1]) - sides)
    return np.concatenate([low, low + sides], axis=1).astype(np.float32)


def suppression() -> None:
    for count in (1000, 2000):
        for title, side in (("sparse", 60.0), ("crowded", 400.0)):
            boxes, scores = boxes_of(count, side, (800, 1333)), np.random.default_rng(1).random(count, np.float32)
            tensors, arrays = (torch.from_numpy(boxes), torch.from_numpy(scores)), (jnp.asarray(boxes), scores)
            for most in (count, 100):
                run = jax.jit(lambda b, s, most=most: ours.nms(b, s, 0.7, most))
                kept, valid = jax.device_get(run(*arrays))
                reference = nms(*tensors, 0.7).numpy()[:most]
                assert np.array_equal(kept[valid], reference)
                title_of = f"nms of {count} {title} boxes at 0.7, the best {most}: {len(reference)} stay"
                compare(title_of, lambda run=run, a=arrays: run(*a), lambda t=tensors: nms(*t, 0.7))


def pooling(height: int, width: int) -> None:
    """Of an image of this size."""
    random = np.random.default_rng(0)
    maps = [random.standard_normal((1, height // s, width // s, 256), np.float32) for s in STRIDES]
    boxes = boxes_of(512, 0.9 * height, (height, width))
    arrays, box, of_box = [jnp.asarray(each) for each in maps], jnp.asarray(boxes)[None], [torch.from_numpy(boxes)]
    tensors = {str(i): torch.from_numpy(each).permute(0, 3, 1, 2).contiguous() for i, each in enumerate(maps)}
    align = MultiScaleRoIAlign(list(tensors), 7, 2)
    with_gradient(
        f"roi_align_levels, 512 boxes, 7 x 7, 256 ch, {height} x {width}",
        jax.jit(lambda maps: ours.roi_align_levels(maps, box, 7, [1 / s for s in STRIDES])),
        arrays,
        lambda maps: align(maps, of_box, [(height, width)]),
        tensors,
    )
    with_gradient(
        f"roi_pool, 512 boxes, 7 x 7, 256 ch, {height // 16} x {width // 16} places",
        jax.jit(lambda maps: ours.roi_pool(maps[0], box, 7, 1 / 16)),
        arrays[2:3],
        lambda maps: roi_pool(maps["2"], of_box, 7, 1 / 16),
        {"2": tensors["2"]},
    )


def with_gradient(
    title: str, mine: Callable, arrays: list[jax.Array], theirs: Callable, tensors: dict[str, torch.Tensor]
) -> None:
    """Compares the results, then their times forward and with the gradient in the maps."""
    out = mine(arrays)
    slopes = np.random.default_rng(2).standard_normal(out.shape, np.float32)
    found, back = jax.vjp(mine, arrays)
    grad = jax.jit(lambda arrays, slopes: jax.vjp(mine, arrays)[1](slopes)[0])

    def torch_grad() -> list[torch.Tensor]:
        leaves = {name: each.detach().requires_grad_() for name, each in tensors.items()}
        theirs(leaves).backward(torch_slopes)
        return [each.grad for each in leaves.values()]

    torch_slopes = torch.from_numpy(slopes[0]).permute(0, 3, 1, 2).contiguous()
    reference = theirs(tensors).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found[0], reference, atol=1e-3)
    for one, other in zip(back(jnp.asarray(slopes))[0], torch_grad(), strict=True):
        np.testing.assert_allclose(one, other.permute(0, 2, 3, 1), atol=1e-2)
    compare(f"{title}, forward", lambda: mine(arrays), lambda: theirs(tensors), rounds=7)
    compare(f"{title}, with gradient", lambda: grad(arrays, slopes), torch_grad, rounds=7)


if __name__ == "__main__":
    torch.set_num_threads(os.cpu_count() or 1)
    print(f"jax {jax.__version__}, torch {torch.__version__}, torchvision {torchvision.__version__}")
    if sys.argv[1:] != ["roi"]:
        suppression()
    if sys.argv[1:] != ["nms"]:
        for size in ((256, 256), (800, 1344)):
            pooling(*size)
