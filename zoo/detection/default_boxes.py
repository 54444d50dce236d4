"""SSD's default boxes: anchors as shares of the image, of a size for each map and of a few proportions.

Liu et al., 2016, SSD: Single Shot MultiBox Detector, section 2.2; numbers as of DefaultBoxGenerator in
torchvision/models/detection/anchor_utils.py. Row L55.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class DefaultBoxes:
    """Which boxes stand at each place of each map.

    >>> boxes = DefaultBoxes(ratios=((2,),), scales=(0.5, 1.0))
    >>> boxes.per_place(0), boxes.of_maps([(1, 1)], canvas=(10, 10))[0][:1].tolist()
    (4, [[2.5, 2.5, 7.5, 7.5]])
    """

    ratios: tuple[tuple[float, ...], ...] = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
    """Of each map, the proportions beside 1; each stands there lying and upright."""
    scales: tuple[float, ...] = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    """Of each map, the side of its square box as a share of the image; and one more, for the last map's second square,
    which is of the geometric mean of its own scale and the next."""
    steps: tuple[int, ...] = ()
    """Pixels between places of each map; by default a map divides the image."""

    def per_place(self, level: int) -> int:
        """How many stand at each place of a map."""
        return 2 + 2 * len(self.ratios[level])

    def of_maps(self, places: Sequence[tuple[int, int]], canvas: tuple[int, int]) -> list[Float[np.ndarray, "boxes 4"]]:
        """Of each map its boxes in pixels: left, top, right, bottom, by row, column and kind.

        Args:
          places: rows and columns of each map.
          canvas: height and width in pixels of the images.

        Raises:
          ValueError: another number of maps than of ratios, or a number of scales that does not fit.
        """
        if not len(places) == len(self.ratios) == len(self.scales) - 1:
            raise ValueError(
                f"expected a map for each of {len(self.ratios)} tuples of ratios, and one more scale, "
                f"got {len(places)} maps and {len(self.scales)} scales"
            )
        return [self._of_map(level, *size, canvas) for level, size in enumerate(places)]

    def _of_map(self, level: int, rows: int, columns: int, canvas: tuple[int, int]) -> Float[np.ndarray, "boxes 4"]:
        scale, geometric = self.scales[level], math.sqrt(self.scales[level] * self.scales[level + 1])
        sides = [(scale, scale), (geometric, geometric)]
        for ratio in self.ratios[level]:
            long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            sides += [(long, short), (short, long)]
        half = 0.5 * np.clip(np.array(sides, np.float32), 0, 1)
        high, wide = (side / self.steps[level] for side in canvas) if self.steps else (rows, columns)
        y, x = ((np.arange(count) + 0.5) / of for count, of in ((rows, high), (columns, wide)))
        centres = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1).reshape(-1, 1, 2).astype(np.float32)
        boxes = np.concatenate([centres - half, centres + half], axis=-1).reshape(-1, 4)
        return boxes * np.array([canvas[1], canvas[0]] * 2, np.float32)
