"""Writes `classic_flow.npz` beside it: what torch looks up by a flow, and the colours in which torchvision draws one.

    pip install torch==2.13.0 torchvision==0.28.0 numpy && python -m tests.dense.goldens.write_classic_flow

Nothing here imports the zoo.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.utils import flow_to_image

HEIGHT, WIDTH = 7, 9


def looked_up(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Two images at their pixels' places plus a flow, and gradients of a weighted sum."""
    images = torch.tensor(random.normal(size=(2, 3, HEIGHT, WIDTH)).astype(np.float32), requires_grad=True)
    flow = torch.tensor(random.normal(scale=3, size=(2, HEIGHT, WIDTH, 2)).astype(np.float32), requires_grad=True)
    weights = torch.tensor(random.normal(size=images.shape).astype(np.float32))
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    places = torch.stack([columns, rows], dim=-1) + flow
    grid = 2 * places / torch.tensor([WIDTH - 1, HEIGHT - 1]) - 1
    warped = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)
    (weights * warped).sum().backward()
    inside = ((places >= 0) & (places <= torch.tensor([WIDTH - 1, HEIGHT - 1]))).all(dim=-1)

    def last(maps: torch.Tensor) -> np.ndarray:
        return maps.detach().permute(0, 2, 3, 1).contiguous().numpy()

    return {
        "images": last(images),
        "flow": flow.detach().numpy(),
        "weights": last(weights),
        "warped": last(warped),
        "inside": inside.numpy(),
        "of_images": last(images.grad),
        "of_flow": flow.grad.numpy(),
    }


def drawn(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Flows in colour: of all directions, of random ones, and none."""
    angles, radii = np.meshgrid(np.linspace(0, 2 * np.pi, 40), np.linspace(0, 5, 12))
    around = np.stack([radii * np.cos(angles), radii * np.sin(angles)]).astype(np.float32)
    noise = random.normal(scale=20, size=(2, 12, 40)).astype(np.float32)
    flows = np.stack([around, noise, np.zeros_like(noise)])
    colours = [flow_to_image(torch.tensor(flow)).permute(1, 2, 0).numpy() for flow in flows]
    return {"flows": flows.transpose(0, 2, 3, 1), "colours": np.stack(colours)}


if __name__ == "__main__":
    kept = looked_up(np.random.default_rng(0)) | drawn(np.random.default_rng(1))
    np.savez_compressed(Path(__file__).with_name("classic_flow.npz"), **kept)
