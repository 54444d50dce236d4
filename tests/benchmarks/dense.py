"""Whole networks for segmentation beside torch's: an image's logits, and a training step.

    python -m tests.benchmarks.dense                                one image of 256 pixels
    python -m tests.benchmarks.dense "unet*" --side 224 --batch 2   some of them, at another size

As `tests/benchmarks/convnets.py`, which says what the columns are. Both sides have random weights; the loss is the mean
cross entropy of all pixels.
"""

from tests.benchmarks.convnets import main
from tests.benchmarks.dense_sides import MODELS

if __name__ == "__main__":
    main("dense", tuple(MODELS), batch=1, side=256)
