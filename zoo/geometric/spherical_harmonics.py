"""Functions on the sphere as samples on a grid and as coefficients of spherical harmonics, and from one to the other.

Driscoll and Healy, 1994, Computing Fourier Transforms and Convolutions on the 2-Sphere: a function whose harmonics have
degrees below the bandwidth b is known exactly by 2b x 2b samples. Lecture row L79.

Samples are (batch, rows, columns, channels): row j is at the angle pi (2j + 1) / 4b from the north pole, column k at
the longitude pi k / b, in radians, counter-clockwise seen from above. Coefficients are (batch, degrees, orders,
channels): degree l from 0 to b - 1, order m from 1 - b to b - 1; those with |m| > l are zero. Harmonics are real: for
m > 0 with cos(m longitude), for m < 0 with sin(|m| longitude), and of length one in the integral over the sphere.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

LARGEST = 64
"""The largest bandwidth: transforms are products with matrices, of b^3 numbers."""


def grid(bandwidth: int) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " columns"]]:
    """Angles from the north pole and longitudes of the samples, in radians.

    Raises:
      ValueError: the bandwidth is not one from 1 to `LARGEST`.

    >>> [angles.round(2).tolist() for angles in grid(2)]
    [[0.39, 1.18, 1.96, 2.75], [0.0, 1.57, 3.14, 4.71]]
    """
    check_bandwidth(bandwidth)
    places = np.arange(2 * bandwidth)
    return np.pi * (2 * places + 1) / (4 * bandwidth), np.pi * places / bandwidth


def weights(bandwidth: int) -> Float[np.ndarray, " rows"]:
    """What a sample of each row counts in an integral over the sphere, exact up to degree 2 b - 1.

    Driscoll and Healy, 1994, theorem 3, with the columns' share: in all 4 pi.

    >>> round(float(8 * weights(4).sum() / np.pi), 6)
    4.0
    """
    polar, columns = grid(bandwidth)
    odd = 2 * np.arange(bandwidth) + 1
    series = (np.sin(np.outer(polar, odd)) / odd).sum(axis=1)
    return 2 / bandwidth * np.sin(polar) * series * 2 * np.pi / len(columns)


def legendre(polar: Float[np.ndarray, " points"], bandwidth: int) -> Float[np.ndarray, "points degrees orders"]:
    """The harmonics without what they have of the longitude, for orders from 1 - b to b - 1.

    Args:
      polar: angles from the north pole, in radians.
      bandwidth: degrees go up to one less.
    """
    check_bandwidth(bandwidth)
    cosine, sine, middle = np.cos(polar), np.sin(polar), bandwidth - 1
    found = np.zeros((len(polar), bandwidth, 2 * bandwidth - 1))
    first = np.full(len(polar), np.sqrt(1 / (4 * np.pi)))
    for m in range(bandwidth):
        if m:
            first = first * sine * np.sqrt((2 * m + 1) / (2 * m))
        before, last = np.zeros_like(first), first
        for degree in range(m, bandwidth):
            if degree > m:
                step = np.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
                back = np.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1)) if degree > m + 1 else 0.0
                before, last = last, step * (cosine * last - back * before)
            found[:, degree, middle + m] = found[:, degree, middle - m] = last
    return found


def waves(longitude: Float[np.ndarray, " points"], bandwidth: int) -> Float[np.ndarray, "points orders"]:
    """What the harmonics have of the longitude: 1, cosines for positive orders and sines for negative ones.

    Args:
      longitude: in radians.
      bandwidth: orders go from 1 - b to b - 1.
    """
    orders = np.arange(1 - bandwidth, bandwidth)
    angles = np.outer(longitude, np.abs(orders))
    return np.where(orders > 0, np.sqrt(2) * np.cos(angles), np.where(orders < 0, np.sqrt(2) * np.sin(angles), 1.0))


@functools.cache
def _matrices(bandwidth: int, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    polar, longitude = grid(samples)
    return legendre(polar, bandwidth), waves(longitude, bandwidth), weights(samples)


def to_samples(
    coefficients: Float[Array, "batch degrees orders channels"], samples: int | None = None
) -> Float[Array, "batch rows columns channels"]:
    """The function with these coefficients at every place of a grid.

    Args:
      coefficients: see this module.
      samples: the bandwidth of the grid, no less than that of the coefficients; None takes theirs.

    Raises:
      ValueError: shapes that do not fit, or a coarser grid than the coefficients ask for.

    >>> (1e4 * to_samples(jnp.ones((1, 1, 1, 1)))[0, :, :, 0]).round().tolist()  # 1 / sqrt(4 pi) is 0.2821
    [[2821.0, 2821.0], [2821.0, 2821.0]]
    """
    bandwidth = bandwidth_of(coefficients)
    samples = bandwidth if samples is None else samples
    if samples < bandwidth:
        raise ValueError(f"expected a grid of bandwidth {bandwidth} or more, got {samples}")
    of_rows, of_columns, _ = _matrices(bandwidth, samples)
    rows = _product("jlm,blmc->bjmc", of_rows, coefficients)
    return _product("km,bjmc->bjkc", of_columns, rows)


def to_coefficients(
    values: Float[Array, "batch rows columns channels"], bandwidth: int | None = None
) -> Float[Array, "batch degrees orders channels"]:
    """The coefficients of a function that is given by samples: exact where its degrees are below the grid's bandwidth.

    Args:
      values: see this module.
      bandwidth: how many degrees are kept; None keeps as many as the grid knows.

    Raises:
      ValueError: shapes that do not fit, or more degrees than the grid knows.

    >>> (1000 * abs(to_coefficients(jnp.ones((1, 4, 4, 1))))[0, :, :, 0]).round().tolist()  # sqrt(4 pi) is 3.545
    [[0.0, 3545.0, 0.0], [0.0, 0.0, 0.0]]
    """
    samples = samples_of(values)
    bandwidth = samples if bandwidth is None else bandwidth
    if not 1 <= bandwidth <= samples:
        raise ValueError(f"expected 1 to {samples} degrees of {2 * samples} x {2 * samples} samples, got {bandwidth}")
    of_rows, of_columns, weight = _matrices(bandwidth, samples)
    orders = _product("km,bjkc->bjmc", of_columns, values)
    return _product("jlm,bjmc->blmc", of_rows * weight[:, None, None], orders)


def rotated(
    coefficients: Float[Array, "batch degrees orders channels"], rotation: Float[np.ndarray, "3 3"]
) -> Float[Array, "batch degrees orders channels"]:
    """The coefficients of f(R^-1 x): of the function that is turned with the sphere, exactly.

    Args:
      coefficients: see this module.
      rotation: R, an orthogonal matrix; the north pole is z, longitude 0 is x.

    Raises:
      ValueError: shapes that do not fit, or a matrix that does not turn.
    """
    rotation = np.asarray(rotation, np.float64)
    if rotation.shape != (3, 3) or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5):
        raise ValueError(f"expected an orthogonal matrix of shape (3, 3), got {rotation.tolist()}")
    bandwidth = bandwidth_of(coefficients)
    came_from = directions(bandwidth).reshape(-1, 3) @ rotation  # R^-1 x of each sample
    polar, longitude = angles_of(came_from)
    harmonics = legendre(polar, bandwidth) * waves(longitude, bandwidth)[:, None]
    values = _product("plm,blmc->bpc", harmonics, coefficients)
    side = 2 * bandwidth
    return to_coefficients(values.reshape(-1, side, side, values.shape[-1]))


def directions(bandwidth: int) -> Float[np.ndarray, "rows columns 3"]:
    """Where each sample is, as x, y and z of length one.

    >>> directions(1).round(2)[0].tolist()
    [[0.71, 0.0, 0.71], [-0.71, 0.0, 0.71]]
    """
    polar, longitude = np.meshgrid(*grid(bandwidth), indexing="ij")
    return np.stack([np.sin(polar) * np.cos(longitude), np.sin(polar) * np.sin(longitude), np.cos(polar)], axis=-1)


def angles_of(points: Float[np.ndarray, "*n 3"]) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """Angle from the north pole and longitude of points on the sphere, in radians."""
    return np.arccos(np.clip(points[..., 2], -1, 1)), np.arctan2(points[..., 1], points[..., 0])


def bandwidth_of(coefficients: Float[Array, "batch degrees orders channels"]) -> int:
    """How many degrees there are.

    Raises:
      ValueError: the shape is not that of coefficients.
    """
    shape = coefficients.shape
    if len(shape) != 4 or shape[2] != 2 * shape[1] - 1:
        raise ValueError(f"expected coefficients (batch, b degrees, 2b - 1 orders, channels), got shape {shape}")
    check_bandwidth(shape[1])
    return shape[1]


def samples_of(values: Float[Array, "batch rows columns channels"]) -> int:
    """The bandwidth of a grid of samples.

    Raises:
      ValueError: the shape is not that of samples.
    """
    shape = values.shape
    if len(shape) != 4 or shape[1] != shape[2] or shape[1] % 2:
        raise ValueError(f"expected samples on the sphere (batch, 2b rows, 2b columns, channels), got shape {shape}")
    check_bandwidth(shape[1] // 2)
    return shape[1] // 2


def check_bandwidth(bandwidth: int) -> None:
    """Refuses a bandwidth that is not one from 1 to `LARGEST`.

    Raises:
      ValueError: it is not.
    """
    if not 1 <= bandwidth <= LARGEST:
        raise ValueError(f"expected a bandwidth of 1 to {LARGEST}, got {bandwidth}")


def _product(subscripts: str, matrix: np.ndarray, values: Array) -> Array:
    """A sum of products with constants, of the values' type and as exact as that is."""
    return jnp.einsum(subscripts, matrix.astype(values.dtype), values, precision=lax.Precision.HIGHEST)
