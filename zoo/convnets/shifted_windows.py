"""Maps cut in windows, and what attention must not see in windows that are shifted.

Liu et al., 2021, Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, section 3.2. Lecture row L48.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

MASKED = -100.0
"""What the authors add where a query must not see a key."""


def padded(x: Float[Array, "b h w c"], multiple: int) -> Float[Array, "b h2 w2 c"]:
    """The map with zeros below and to the right, so that both sides are multiples of this."""
    below, right = (-size % multiple for size in x.shape[1:3])
    return jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))


def windows_of(x: Float[Array, "b h w c"], window: int) -> Float[Array, "b windows n c"]:
    """Each window's n places, row by row; the windows row by row too.

    >>> windows_of(jnp.arange(8).reshape(1, 2, 4, 1), 2)[0, :, :, 0].tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    batch, height, width, channels = x.shape
    rows, columns = height // window, width // window
    x = x.reshape(batch, rows, window, columns, window, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * columns, window**2, channels)


def from_windows(x: Float[Array, "b windows n c"], size: tuple[int, int], window: int) -> Float[Array, "b h w c"]:
    """The map of this height and width of which `windows_of` gives these windows."""
    batch, (height, width), channels = x.shape[0], size, x.shape[-1]
    x = x.reshape(batch, height // window, width // window, window, window, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height, width, channels)


def seams(size: tuple[int, int], window: int, shifts: tuple[int, int]) -> Float[np.ndarray, "windows 1 n n"]:
    """A bias against attention between places that only the shift has brought together from opposite borders.

    Args:
      size: height and width of the shifted map, multiples of the window.
      window: places a side of a window.
      shifts: by how many rows and columns the map was rolled; they are the last ones now.
    """
    below, right = (np.arange(extent) >= extent - shift for extent, shift in zip(size, shifts, strict=True))
    regions = windows_of((2 * below[:, None] + right)[None, :, :, None], window)[0, :, :, 0]
    return np.where(regions[:, None, :, None] == regions[:, None, None, :], 0.0, MASKED).astype(np.float32)
