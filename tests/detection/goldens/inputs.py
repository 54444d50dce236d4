"""What the golden files of the operations were computed from: drawn by numpy, so that any library can draw it."""

import numpy as np

NMS_SEEDS, NMS_COUNTS, NMS_THRESHOLDS = range(10), (1000, 2000), (0.2, 0.5, 0.8)

GRIDS = {
    "align": {"output_size": (3, 4), "sampling_ratio": 2, "aligned": True},
    "align_one": {"output_size": (2, 2), "sampling_ratio": 1, "aligned": True},
    "legacy": {"output_size": (3, 4), "sampling_ratio": 2, "aligned": False},
    "legacy_three": {"output_size": (2, 3), "sampling_ratio": 3, "aligned": False},
    "pool": {"output_size": (3, 4)},
    "pool_seven": {"output_size": (7, 7)},
}
"""Options of RoIAlign and RoIPool."""

SCALE = 0.25
"""Places of the map a pixel."""
PYRAMID = (256, 320)
"""Pixels of an image with maps of strides 4, 8, 16 and 32."""


def crowd(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes that overlap in every degree, scores of which many are equal, and labels.

    A third are copies of others, moved along themselves by the multiples of a tenth that make overlaps at 0.2, 0.5 and
    0.8, so that rounding decides; a few have no area.
    """
    random = np.random.default_rng(seed)
    low = random.uniform(0, 400, (count, 2))
    boxes = np.concatenate([low, low + random.uniform(1, 120, (count, 2))], axis=1)
    third = count // 3
    sides = boxes[:third, 2:] - boxes[:third, :2]
    overlap = random.choice([0.2, 0.5, 0.8, 1.0], (third, 1))
    shift = np.where(np.arange(2) == random.integers(0, 2, (third, 1)), sides * (1 - overlap) / (1 + overlap), 0)
    boxes[third : 2 * third] = boxes[:third] + np.tile(shift, 2)
    boxes[-9:, 2] = boxes[-9:, 0]
    whole = np.arange(count) % 5 == 0
    boxes[whole] = boxes[whole].round()  # sides of whole pixels: overlaps that are short fractions
    scores = np.where(random.random(count) < 0.5, random.integers(0, 20, count) / 20, random.random(count))
    order = random.permutation(count)
    return boxes[order].astype(np.float32), scores[order].astype(np.float32), random.integers(1, 4, count)


def region_map() -> np.ndarray:
    """(batch, height, width, channels); with equal values, of which the first is the greatest."""
    return (np.random.default_rng(0).integers(-20, 20, (2, 9, 12, 3)) / 7).astype(np.float32)


def regions() -> np.ndarray:
    """(batch, boxes, 4) in pixels: inside, at the borders, outside, larger than the image, thin, empty, inverted."""
    random = np.random.default_rng(1)
    low = random.uniform(-2, 30, (2, 6, 2))
    drawn = np.concatenate([low, low + random.uniform(1, 20, (2, 6, 2))], axis=2)
    odd = [
        [0, 0, 48, 36],
        [-30, -20, 90, 70],
        [44, 32, 48, 36],
        [10, 35.5, 40, 36],
        [47.9, 4, 48, 30],
        [60, 50, 70, 60],
        [-9, -9, -5, -5],
        [8, 8, 8, 8],
        [20, 20, 10, 10],
        [6, 2, 26, 14],
    ]
    return np.concatenate([drawn, np.tile(odd, (2, 1, 1))], axis=1).astype(np.float32)


def pyramid() -> list[np.ndarray]:
    """Maps (batch, height, width, channels) of strides 4, 8, 16 and 32."""
    random = np.random.default_rng(2)
    height, width = PYRAMID
    return [random.normal(size=(2, height // s, width // s, 2)).astype(np.float32) for s in (4, 8, 16, 32)]


def pyramid_boxes() -> np.ndarray:
    """(batch, boxes, 4) in pixels, of every level, some of the very sizes at which the level changes."""
    random = np.random.default_rng(3)
    sides = np.exp(random.uniform(np.log(4), np.log(300), (2, 20, 2)))
    sides[:, :5] = np.array([56, 112, 224, 448, 111.9999])[:, None]
    low = random.uniform(0, 60, (2, 20, 2))
    low[:, :5] = 0
    return np.concatenate([low, low + sides], axis=2).astype(np.float32)


def slopes(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What the output's gradient is, channels last."""
    return np.random.default_rng(len(name)).normal(size=shape).astype(np.float32)
