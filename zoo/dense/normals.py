"""Surface normals: from depth in closed form, how far two are apart, and a loss.

Eigen and Fergus, 2015, Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale Convolutional
Architecture, section 4.2; Fouhey, Gupta and Hebert, 2013, Data-Driven 3D Primitives, for the measures. Lecture row L64.

A normal is a direction of length one in the camera's axes, right, down and away from the viewer, and points out of the
surface: that of a wall which faces the camera is (0, 0, -1). One that has a nan is unknown, and counts nowhere.
"""

import functools
from collections.abc import Mapping

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped

from zoo.nn.precision import widened

Normals = Float[Array, "*batch height width 3"]
Counted = Bool[Array, "*batch height width"]

WITHIN = {"under11": 11.25, "under22": 22.5, "under30": 30.0}
"""Degrees up to which a normal is called right."""


def pinhole_normals(
    depth: Float[Array, "*batch height width"], focal: float, centre: tuple[float, float] | None = None
) -> Normals:
    """The normals of a surface that a pinhole camera sees, exact of planes.

    A pixel's point is seen beside those of its neighbours, left and right, above and below, at the border with itself;
    where one of these is unknown the normal is nan.

    Args:
      depth: distance along the axis away from the viewer, in metres; unknown where it is nan, infinite or not positive.
      focal: of the camera, in pixels.
      centre: where its axis meets the image, x and y in pixels, the centre of the first pixel at (0.5, 0.5); by
        default in the middle.

    Raises:
      ValueError: fewer than two pixels a side, or a focal length that is not positive.

    >>> pinhole_normals(jnp.full((2, 2), 3.0), focal=10.0)[0, 0].tolist()  # a wall
    [0.0, 0.0, -1.0]
    """
    if focal <= 0:
        raise ValueError(f"expected a focal length of more than 0 pixels, got {focal}")
    x, y = _places(depth, centre)
    seen = jnp.isfinite(depth) & (depth > 0)
    depth = jnp.where(seen, depth, 1)  # before anything is computed of it: no gradient is nan
    return _of_points(jnp.stack([depth * x / focal, depth * y / focal, depth], axis=-1), seen)


def orthographic_normals(depth: Float[Array, "*batch height width"], spacing: float) -> Normals:
    """The same of a surface that is seen along parallel rays, from one pixel to the next `spacing` metres apart.

    Raises:
      ValueError: fewer than two pixels a side, or a spacing that is not positive.
    """
    if spacing <= 0:
        raise ValueError(f"expected a spacing of more than 0 metres, got {spacing}")
    x, y = (jnp.broadcast_to(spacing * place, depth.shape) for place in _places(depth, None))
    seen = jnp.isfinite(depth)
    return _of_points(jnp.stack([x, y, jnp.where(seen, depth, 1)], axis=-1), seen)


def angles(predicted: Normals, true: Normals) -> Float[Array, "*batch height width"]:
    """How far two directions are apart, in degrees; neither needs to have length one. Exact for small angles too.

    What has no direction, zero, is 90 degrees from everything. Gradients are finite everywhere: where the angle has
    none, at 0 and 180 degrees and of zero, they are zero.

    >>> angles(jnp.array([0.0, 1.0, 0.0]), jnp.array([0.0, 0.0, -2.0])).tolist()
    90.0
    """
    one, other = unit(predicted), unit(true)
    across = jnp.sum(jnp.square(jnp.cross(one, other)), axis=-1)
    turned = across > 0
    across = jnp.where(turned, jnp.sqrt(jnp.where(turned, across, 1)), 0)  # no root of zero, whose slope is infinite
    along = jnp.sum(one * other, axis=-1)
    has_none = (across == 0) & (along == 0)
    return jnp.degrees(jnp.where(has_none, jnp.pi / 2, jnp.arctan2(across, jnp.where(has_none, 1, along))))


def cosine_loss(
    predicted: Normals, true: Normals, counted: Counted | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The sum of one less the cosine of the angle between directions of length one, and the number of pixels."""
    is_known, predicted = known(true, counted), widened(predicted)
    cosines = jnp.sum(predicted * jnp.where(is_known[..., None], true, 0), axis=-1)
    return jnp.sum(1 - cosines, where=is_known), jnp.sum(is_known, dtype=jnp.float32)


def angle_sums(predicted: Normals, true: Normals, counted: Counted | None = None) -> dict[str, Float[Array, ""]]:
    """Sums over the pixels whose normal is known: of the angle in degrees, and of those that are `WITHIN` so many."""
    is_known, predicted = known(true, counted), widened(predicted)
    degrees = angles(predicted, jnp.where(is_known[..., None], true, predicted))
    right = {name: jnp.sum(degrees < most, where=is_known, dtype=jnp.float32) for name, most in WITHIN.items()}
    return {"count": jnp.sum(is_known, dtype=jnp.float32), "angle": jnp.sum(degrees, where=is_known), **right}


def angle_scores(sums: Mapping[str, float]) -> dict[str, float]:
    """The mean angle in degrees, and the shares of pixels that are `WITHIN` so many.

    >>> scores = angle_scores(angle_sums(jnp.array([[[0.0, 0.0, -1.0]]]), jnp.array([[[0.0, 1.0, -1.0]]])))
    >>> {name: round(value, 3) for name, value in scores.items()}
    {'angle': 45.0, 'under11': 0.0, 'under22': 0.0, 'under30': 0.0}
    """
    count = float(sums["count"])
    return {name: float(sums[name]) / count if count else float("nan") for name in ("angle", *WITHIN)}


def known(true: Normals, counted: Counted | None = None) -> Counted:
    """Which normals have no nan, among those that are to be counted."""
    is_known = jnp.all(jnp.isfinite(true), axis=-1)
    return is_known if counted is None else is_known & counted


def unit(vectors: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """The same directions with length one, however long they are; zero stays zero, and its gradient passes as it is."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(vectors), axis=-1, keepdims=True))
    scaled = vectors / jnp.where(largest == 0, 1, largest)  # whose squares neither overflow nor vanish
    squared = jnp.sum(jnp.square(scaled), axis=-1, keepdims=True)
    return scaled / jnp.sqrt(jnp.where(largest == 0, 1, squared))


def _places(
    depth: Float[Array, "*batch height width"], centre: tuple[float, float] | None
) -> tuple[Float[Array, "width"], Float[Array, "height 1"]]:
    """How far each column is right of the centre, and each row below it, in pixels."""
    if depth.ndim < 2 or min(depth.shape[-2:]) < 2:
        raise ValueError(f"expected depths of at least 2 x 2 pixels, got shape {depth.shape}")
    height, width = depth.shape[-2:]
    x, y = (width / 2, height / 2) if centre is None else centre
    return jnp.arange(width) + 0.5 - x, (jnp.arange(height) + 0.5 - y)[:, None]


def _of_points(points: Float[Array, "*batch height width 3"], seen: Bool[Array, "*batch height width"]) -> Normals:
    """Across the steps to the right and down, towards the viewer; nan where one of the five points is not seen."""
    steps, seen = [], seen[..., None]
    around = seen
    for axis in (-2, -3):
        before, behind = _neighbours(points, axis)
        steps.append(behind - before)
        around &= functools.reduce(jnp.logical_and, _neighbours(seen, axis))
    right, down = steps
    return jnp.where(around, unit(jnp.cross(down, right)), jnp.nan)


def _neighbours(values: Shaped[Array, "*batch n"], axis: int) -> tuple[Shaped[Array, "*batch n"], ...]:
    """Those before and behind along an axis; at the border the value itself."""
    places = jnp.arange(values.shape[axis])
    return tuple(jnp.take(values, jnp.clip(places + step, 0, len(places) - 1), axis=axis) for step in (-1, 1))
