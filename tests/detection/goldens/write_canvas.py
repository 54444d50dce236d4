"""Writes `canvas.npz` beside it: how torchvision's detectors resize images, map boxes back and paste masks.

    pip install torch==2.13.0 numpy torchvision==0.28.0 && python -m tests.detection.goldens.write_canvas

Nothing here imports the zoo.
"""

from pathlib import Path

import numpy as np
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = ((20, 31), (31, 20), (48, 64), (10, 60))


def main() -> None:
    random = np.random.default_rng(0)
    golden = {}
    transform = GeneralizedRCNNTransform(32, 53, MEAN, STD)
    for size in SIZES:
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        images, _ = transform([torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)])
        name = "x".join(map(str, size))
        golden[f"pixels/{name}"] = pixels
        golden[f"size/{name}"] = np.array(images.image_sizes[0])
        golden[f"fit/{name}"] = images.tensors[0].permute(1, 2, 0).numpy()
    fixed = GeneralizedRCNNTransform(30, 30, MEAN, STD, fixed_size=(30, 30), size_divisible=1)
    stretched, _ = fixed([torch.from_numpy(golden["pixels/20x31"].astype(np.float32) / 255).permute(2, 0, 1)])
    golden["stretch/20x31"] = stretched.tensors[0].permute(1, 2, 0).numpy()

    corners = random.uniform(0, 40, (6, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.2, 30, (6, 2))], axis=1).astype(np.float32)
    golden["boxes"] = boxes
    golden["boxes_back"] = resize_boxes(torch.from_numpy(boxes), (32, 49), (20, 31)).numpy()
    around = np.concatenate([boxes, [[-9, -6, 5, 8], [50, 30, 75, 52], [0, 0, 61, 44], [10, 10, 10, 10]]])
    masks = random.random((10, 7, 7)).astype(np.float32)
    golden["around"], golden["masks"] = around.astype(np.float32), masks
    pasted = paste_masks_in_image(torch.from_numpy(masks)[:, None], torch.from_numpy(golden["around"]), (44, 61))
    golden["pasted"] = np.packbits(pasted[:, 0].numpy() > 0.5)
    np.savez_compressed(Path(__file__).with_name("canvas.npz"), **golden)


if __name__ == "__main__":
    main()
