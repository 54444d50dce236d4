"""Writes `preprocessing.npz` and `clips.npz` beside it: torchvision's evaluation presets, on images of all proportions.

    pip install torch==2.13.0 numpy pillow torchvision==0.28.0 && python -m tests.weights.goldens.preprocessing

Nothing here imports the zoo.
"""

from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

from tests.weights.goldens import pictures


def main() -> None:
    golden = {}
    for name, weights in pictures.PRESETS:
        preset = torchvision.models.get_model_weights(name)[weights].transforms()
        for shape in pictures.SHAPES:
            result = preset(Image.fromarray(pictures.picture(shape)).convert("RGB")).permute(1, 2, 0).numpy()
            golden[f"{name}/{weights}/{'x'.join(map(str, shape))}"] = pictures.samples(result)
    np.savez_compressed(Path(__file__).with_name("preprocessing.npz"), **golden)
    of_clips = {}
    for name, weights in pictures.CLIPS:
        preset = torchvision.models.get_model_weights(name)[weights].transforms()
        for shape in pictures.CLIP_SHAPES:
            frames = torch.from_numpy(pictures.clip(shape)).permute(0, 3, 1, 2)
            result = preset(frames).permute(1, 2, 3, 0).numpy()
            of_clips[f"{name}/{weights}/{'x'.join(map(str, shape))}"] = pictures.samples(result)
    np.savez_compressed(Path(__file__).with_name("clips.npz"), **of_clips)


if __name__ == "__main__":
    main()
