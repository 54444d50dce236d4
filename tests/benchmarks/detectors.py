"""Whole detectors beside torchvision's: an image's detections, and a training step.

    python -m tests.benchmarks.detectors                                     one image of 320 pixels
    python -m tests.benchmarks.detectors "retina*" --side 800 --batch 2      some of them, at another size

As `tests/benchmarks/convnets.py`, which says what the columns are. Both sides have random weights, so few scores reach
the threshold: torchvision, whose arrays grow with what is found, has little to suppress in the end, and ours as much as
ever. All parameters learn and normalisations are frozen, on both sides.
"""

from tests.benchmarks.convnets import main
from tests.benchmarks.detector_sides import MODELS

if __name__ == "__main__":
    main("detectors", MODELS, batch=1, side=320)
