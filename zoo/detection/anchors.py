"""Boxes of several sizes and proportions at every place of a feature map, from which detectors look for objects.

Ren, He, Girshick and Sun, 2015, Faster R-CNN, section 3.1.1; as in torchvision/models/detection/anchor_utils.py.
Lecture row L59.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Anchors:
    """Which boxes stand at each place of each map.

    >>> anchors = Anchors(sizes=((32,), (64,)), ratios=(0.5, 1.0, 2.0))
    >>> anchors.per_place(0), anchors.of_maps([(8, 8), (4, 4)], canvas=(64, 64))[0].shape
    (3, (192, 4))
    """

    sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    """Of each map the roots of the anchors' areas, in pixels."""
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height to width."""

    def per_place(self, level: int) -> int:
        """How many stand at each place of a map."""
        return len(self.sizes[level]) * len(self.ratios)

    def of_maps(
        self, places: Sequence[tuple[int, int]], canvas: tuple[int, int]
    ) -> list[Float[np.ndarray, "anchors 4"]]:
        """Of each map its anchors in pixels, by row, column, ratio and size; a constant of the program.

        Args:
          places: rows and columns of each map.
          canvas: height and width in pixels of the images.

        Raises:
          ValueError: another number of maps than of sizes.
        """
        if len(places) != len(self.sizes):
            raise ValueError(f"expected a map for each of {len(self.sizes)} tuples of sizes, got {len(places)} maps")
        return [self._of_map(level, *size, canvas) for level, size in enumerate(places)]

    def _of_map(self, level: int, rows: int, columns: int, canvas: tuple[int, int]) -> Float[np.ndarray, "anchors 4"]:
        heights = np.sqrt(np.array(self.ratios, np.float32))
        sides = np.stack([1 / heights, heights], axis=-1)[:, None] * np.array(self.sizes[level], np.float32)[:, None]
        half = sides.reshape(-1, 2) / 2
        around = np.round(np.concatenate([-half, half], axis=1))  # whole pixels, halves to even
        x = np.arange(columns, dtype=np.float32) * (canvas[1] // columns)
        y = np.arange(rows, dtype=np.float32) * (canvas[0] // rows)
        corners = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1).reshape(-1, 1, 2)
        return (np.tile(corners, 2) + around).reshape(-1, 4).astype(np.float32)
