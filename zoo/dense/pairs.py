"""What networks of optical flow take: two batches of images of one size, of whatever size that is. Lecture row L62."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn.checks import check_images

Images = Float[Array, "batch height width channels"]
Margins = tuple[tuple[int, int], tuple[int, int]]
"""Rows above and below an image, columns to its left and right."""


def check_pair(first: Images, second: Images, model: str) -> None:
    """Refuses what is not two batches of floating-point images, channels last, of one shape.

    Raises:
      ValueError: a wrong rank, or shapes that differ.
      TypeError: integers, such as pixels that nobody has scaled.

    >>> check_pair(jnp.ones((1, 8, 8, 3)), jnp.ones((1, 8, 9, 3)), "RAFT")
    Traceback (most recent call last):
    ...
    ValueError: RAFT expected two batches of images of one shape, got (1, 8, 8, 3) and (1, 8, 9, 3)
    """
    check_images(first, model)
    check_images(second, model)
    if first.shape != second.shape:
        raise ValueError(
            f"{model} expected two batches of images of one shape, got {tuple(first.shape)} and {tuple(second.shape)}"
        )


def margins(height: int, width: int, multiple: int, least: int = 1, centred: bool = True) -> Margins:
    """What has to stand around images so that both sides are multiples of a number, and at least so many pixels.

    Args:
      height: of the images, in pixels.
      width: of the images, in pixels.
      multiple: that divides both sides afterwards.
      least: pixels that both sides have afterwards.
      centred: half of it on either side, as RAFT's InputPadder has it; or all at the bottom and on the right.

    >>> margins(436, 1024, 8)
    ((2, 2), (0, 0))
    >>> margins(5, 8, 8, centred=False)
    ((0, 3), (0, 0))
    """
    missing = [max(least - side, 0) for side in (height, width)]
    rows, columns = (more + -(side + more) % multiple for side, more in zip((height, width), missing, strict=True))
    if not centred:
        return (0, rows), (0, columns)
    return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)


def padded(images: Images, around: Margins) -> Float[Array, "batch _ _ channels"]:
    """Images whose borders are repeated outwards.

    >>> padded(jnp.array([[[[1.0], [2.0]]]]), ((0, 0), (1, 2)))[0, 0, :, 0].tolist()
    [1.0, 1.0, 2.0, 2.0, 2.0]
    """
    return jnp.pad(images, ((0, 0), *around, (0, 0)), mode="edge") if any(map(any, around)) else images


def cropped(maps: Images, around: Margins) -> Float[Array, "batch _ _ channels"]:
    """Maps without their margins: what `padded` put around.

    >>> cropped(jnp.ones((1, 4, 5, 2)), ((1, 0), (0, 2))).shape
    (1, 3, 3, 2)
    """
    (top, bottom), (left, right) = around
    return maps[:, top : maps.shape[1] - bottom, left : maps.shape[2] - right]
