"""The lecture's filters, as numpy constants: what each does when cross-correlated with an image.

Practice examples by D. Lowe; Szeliski, 2022, Computer Vision: Algorithms and Applications, section 3.2.
Lecture rows L21 and L25-L29.
"""

import numpy as np
from jaxtyping import Float


def impulse(*shape: int) -> Float[np.ndarray, "*shape"]:
    """Zeros with a single one at the centre, the value `size // 2` along each axis.

    Raises:
      ValueError: there is no axis, or one that is not positive.

    >>> impulse(5).tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0]
    """
    if not shape or any(size < 1 for size in shape):
        raise ValueError(f"shape: expected positive sizes, got {shape}")
    image = np.zeros(shape)
    image[tuple(size // 2 for size in shape)] = 1
    return image


def moving_average(size: int = 5) -> Float[np.ndarray, "size"]:
    """The mean of `size` neighbours, as a filter of a signal.

    The division by `size` makes the weights sum to 1, so a constant signal keeps its level. An odd size has
    a sample at its centre; an even one moves the signal by half a sample. A larger one smooths more: the
    variance of white noise is divided by `size`, and more detail is lost.

    Raises:
      ValueError: the size is not positive.

    >>> moving_average(5).tolist()
    [0.2, 0.2, 0.2, 0.2, 0.2]
    """
    if size < 1:
        raise ValueError(f"size: expected a positive number, got {size}")
    return np.full(size, 1 / size)


def _constant(values: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    values.flags.writeable = False
    return values


IDENTITY = _constant(impulse(3, 3))
"""Practice 1: the image is unchanged."""

SHIFT_LEFT = _constant(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
"""Practice 2: every value is read from its right neighbour, so the image moves left by a pixel."""

BOX_BLUR = _constant(np.full((3, 3), 1 / 9))
"""Practice 3: the mean of the neighbourhood."""

SHARPEN = _constant(2 * IDENTITY - BOX_BLUR)
"""Practice 4: the image plus what the blur took away. The centre is 17/9, all else -1/9, the sum 1."""
