"""What RoIPool and RoIAlign of a pyramid share: which level a box looks at, and all levels as one list of places.

Lin et al., 2017, Feature Pyramid Networks, section 4.2; as torchvision's `LevelMapper`. Rows L58, L68.
"""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from zoo.detection.boxes import area


def fpn_levels(
    boxes: Float[Array, "*n 4"],
    spatial_scales: Sequence[float],
    canonical_size: float = 224,
    canonical_level: int = 4,
) -> Int[Array, "*n"]:
    """Which of the levels each box looks at, counted from 0, the finest: equation 1 of the paper.

    As torchvision's `LevelMapper`, of boxes in pixels; one without an area looks at the finest.

    >>> boxes = jnp.array([[0.0, 0.0, 111.0, 111.0], [0.0, 0.0, 112.0, 112.0], [0.0, 0.0, 900.0, 900.0]])
    >>> fpn_levels(boxes, [1 / 4, 1 / 8, 1 / 16, 1 / 32]).tolist()
    [0, 1, 3]
    """
    finest, coarsest = (int(-math.log2(scale)) for scale in (spatial_scales[0], spatial_scales[-1]))
    size = jnp.sqrt(area(boxes))
    level = jnp.floor(canonical_level + jnp.log2(jnp.where(size > 0, size, 1e-6) / canonical_size) + 1e-6)
    return jnp.clip(level, finest, coarsest).astype(jnp.int32) - finest


def bins_of(size: int | tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of bins.

    Raises:
      ValueError: there are none.
    """
    rows, columns = (size, size) if isinstance(size, int) else size
    if rows < 1 or columns < 1:
        raise ValueError(f"expected bins, got an output of {rows} x {columns}")
    return rows, columns


def check_levels(features: Sequence[Array], boxes: Array, scales: Sequence[float]) -> None:
    """Refuses maps, boxes and scales that do not fit each other.

    Raises:
      ValueError: says what was expected and what came.
    """
    shapes = [each.shape for each in features]
    fit = all(len(shape) == 4 and (shape[0], shape[3]) == (shapes[0][0], shapes[0][3]) for shape in shapes)
    if not shapes or not fit or boxes.ndim != 3 or boxes.shape[::2] != (shapes[0][0], 4):
        raise ValueError(
            f"expected maps (batch, height, width, channels) and boxes (batch, n, 4), got {shapes} and {boxes.shape}"
        )
    if len(scales) != len(shapes):
        raise ValueError(f"expected a scale for each level, got {len(scales)} for {len(shapes)}")


def listed(features: Sequence[Array]) -> tuple[Float[Array, "places channels"], list[int]]:
    """All places of all levels, image by image, and where each level starts within an image."""
    batch, _, _, channels = features[0].shape
    flat = [each.reshape(batch, -1, channels) for each in features]
    starts = [sum(each.shape[1] for each in flat[:i]) for i in range(len(flat))]
    return jnp.concatenate(flat, axis=1).reshape(-1, channels), starts


def by_level(levels: Int[Array, "batch n"]) -> Callable[..., Array]:
    """A function that gives each box, of one value for each level, the one of its own level.

    >>> by_level(jnp.array([[1, 0, 1]]))([10, 20]).tolist()
    [[20, 10, 20]]
    """

    def value(of_levels: Sequence[float], dtype: type = jnp.int32) -> Array:
        return jnp.asarray(of_levels, dtype)[levels]

    return value


def ends_of(
    features: Sequence[Float[Array, "batch height width channels"]],
    spatial_scales: Sequence[float],
    of_level: Callable[..., Array],
    sizes: Float[Array, "batch 2"] | None,
) -> tuple[Int[Array, "batch n"], Int[Array, "batch n"]]:
    """Rows and columns of the map of each box's own level, of images on a canvas those of the image alone.

    Args:
      features: the levels.
      spatial_scales: of each level.
      of_level: gives each box the value of its own level, of a list of values.
      sizes: true heights and widths in pixels; None where the images fill the canvas.
    """
    heights, widths = (of_level([each.shape[axis] for each in features]) for axis in (1, 2))
    if sizes is None:
        return heights, widths
    scales = of_level(spatial_scales, jnp.float32)
    true = jnp.ceil(sizes[:, None] * scales[..., None]).astype(jnp.int32)
    return jnp.minimum(true[..., 0], heights), jnp.minimum(true[..., 1], widths)
