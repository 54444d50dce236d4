"""Maps of another size: nearest, bilinear or bicubic interpolation, and FCN's fixed bilinear enlargement.

Numbers as of torch's `interpolate`, which is not antialiased. Each axis is a product with a small matrix, which is
the same for every row or column (Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic
Segmentation, section 3.3, for the enlargement). Lecture rows L65, L66.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

METHODS = ("nearest", "bilinear", "bicubic")

SHARPNESS = -0.75
"""Of torch's bicubic interpolation: the slope of the cubic where it crosses zero."""


def resize(
    maps: Shaped[Array, "batch height width channels"],
    size: Sequence[int],
    method: str = "bilinear",
    align_corners: bool = False,
) -> Shaped[Array, "batch rows columns channels"]:
    """Maps of another size, interpolated; equal to torch's `interpolate` without antialiasing.

    Where the maps get smaller, places between those that are read do not count, as in torch. Each place of a result is
    a sum over a whole row or column: one nan or infinity spreads over these, but for "nearest".

    Args:
      maps: channels last; for bilinear and bicubic interpolation of floating-point numbers.
      size: rows and columns of the result.
      method: one of `METHODS`; nearest takes torch's "nearest", which rounds down, and any type of numbers.
      align_corners: whether the centres of the corner places of both sizes lie on each other, or the outer corners of
        the maps do ("half-pixel"). Not with "nearest".

    Raises:
      ValueError: maps of the wrong rank or without a place, another method, a size below 1, or aligned corners of
        nearest places.
      TypeError: integers, of other methods than "nearest".

    >>> resize(jnp.array([[[[0.0], [1.0]]]]), (1, 4))[0, 0, :, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    >>> resize(jnp.array([[[[0.0], [1.0]]]]), (1, 3), align_corners=True)[0, 0, :, 0].tolist()
    [0.0, 0.5, 1.0]
    """
    if maps.ndim != 4 or 0 in maps.shape[1:3]:
        raise ValueError(f"expected maps (batch, height, width, channels) with places, got shape {maps.shape}")
    if method not in METHODS:
        raise ValueError(f"expected one of {', '.join(METHODS)}, got {method!r}")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"expected a size of two positive integers, got {size!r}")
    if method == "nearest":
        if align_corners:
            raise ValueError("nearest places have no aligned corners: expected align_corners=False")
        for axis, count in enumerate(size, start=1):
            if count != maps.shape[axis]:
                maps = jnp.take(maps, _nearest(maps.shape[axis], count), axis=axis)
        return maps
    if not jnp.issubdtype(maps.dtype, jnp.floating):
        raise TypeError(f"expected floating-point maps, got {maps.dtype}: only nearest takes integers")
    rows, columns = (
        None if count == have else _weights(have, count, method, align_corners)
        for have, count in zip(maps.shape[1:3], size, strict=True)
    )
    return along_axes(maps, rows, columns)


def along_axes(
    maps: Float[Array, "batch height width channels"], rows: np.ndarray | None, columns: np.ndarray | None
) -> Float[Array, "batch rows columns channels"]:
    """Each column of maps (batch, height, width, channels) times one matrix, and each row times another.

    Args:
      maps: channels last.
      rows: (rows, height), what each row of the result takes of the rows of the maps; None leaves them.
      columns: (columns, width), the same of columns.
    """
    wide = jnp.promote_types(maps.dtype, jnp.float32)
    result = maps

    def times(name: str, matrix: np.ndarray, x: Array) -> Array:
        options = {"precision": lax.Precision.HIGHEST, "preferred_element_type": wide}
        return jnp.einsum(name, jnp.asarray(matrix, wide), x.astype(wide), **options)

    # First the axis that leaves less for the other to do.
    steps = [("qw,bhwc->bhqc", columns), ("ph,bhwc->bpwc", rows)]
    if rows is not None and columns is not None and len(rows) * maps.shape[2] < len(columns) * maps.shape[1]:
        steps.reverse()
    for name, matrix in steps:
        result = result if matrix is None else times(name, matrix, result)
    return result.astype(maps.dtype)


def enlarged_bilinearly(
    maps: Float[Array, "batch height width channels"],
    factor: int,
    offset: Sequence[int] = (0, 0),
    size: Sequence[int] | None = None,
) -> Float[Array, "batch rows columns channels"]:
    """What the transposed convolution of `factor` with FCN's fixed bilinear kernel gives, as two small products.

    The kernel has 2 * factor places a side and mixes no channels; each place of the maps adds it, times its value,
    `factor` places from the last. The result, of factor * (height + 1) rows and as many columns, is larger by half a
    kernel on each side than what the maps cover, and falls to zero there.

    Args:
      maps: channels last.
      factor: how many times larger maps become, from 1.
      offset: rows and columns of the result that are cut off before the first that is kept: FCN's crop.
      size: rows and columns that are kept; by default all.

    Raises:
      ValueError: maps of the wrong rank, a factor below 1, or an offset and size that reach out of the result.

    >>> enlarged_bilinearly(jnp.ones((1, 1, 2, 1)), 2, (1, 0), (1, 6))[0, 0, :, 0].tolist()
    [0.1875, 0.5625, 0.75, 0.75, 0.5625, 0.1875]
    """
    if maps.ndim != 4 or factor < 1:
        raise ValueError(
            f"expected maps (batch, height, width, channels) and a factor from 1, got shape {maps.shape} and {factor}"
        )
    whole = [factor * (places + 1) for places in maps.shape[1:3]]
    size = [full - begin for full, begin in zip(whole, offset, strict=True)] if size is None else size
    for full, begin, count in zip(whole, offset, size, strict=True):
        if begin < 0 or count < 1 or begin + count > full:
            raise ValueError(
                f"expected an offset and a size within the {whole[0]} x {whole[1]} places of the result, "
                f"got {tuple(offset)} and {tuple(size)}"
            )
    matrices = (
        _spread(places, factor)[begin : begin + count]
        for places, begin, count in zip(maps.shape[1:3], offset, size, strict=True)
    )
    return along_axes(maps, *matrices)


def bilinear_window(places: int) -> np.ndarray:
    """One side of the kernel that interpolates linearly: FCN's `upsample_filt`, whose square is (places, places).

    >>> bilinear_window(4).tolist()
    [0.25, 0.75, 0.75, 0.25]
    """
    factor = (places + 1) // 2
    return 1 - np.abs(np.arange(places) - (factor - (1.0 if places % 2 else 0.5))) / factor


@functools.cache
def _spread(places: int, factor: int) -> np.ndarray:
    """(factor * (places + 1), places): the matrix of the transposed convolution along one axis."""
    window, matrix = bilinear_window(2 * factor), np.zeros((factor * (places + 1), places))
    for i in range(places):
        matrix[factor * i : factor * (i + 2), i] = window
    return matrix


@functools.cache
def _nearest(have: int, want: int) -> np.ndarray:
    """Which place each of the result takes: in float32, as torch has it."""
    scale = np.float32(have) / np.float32(want)
    return np.minimum(np.floor(np.arange(want, dtype=np.float32) * scale).astype(np.int32), have - 1)


@functools.cache
def _weights(have: int, want: int, method: str, align_corners: bool) -> np.ndarray:
    """(want, have): the weights of the places of one axis in each of the result."""
    if align_corners:
        at = np.arange(want) * ((have - 1) / (want - 1) if want > 1 else 0.0)
    else:
        at = (np.arange(want) + 0.5) * (have / want) - 0.5
    first = np.floor(at).astype(int)
    part = at - first
    taps = (0, 1) if method == "bilinear" else (-1, 0, 1, 2)
    matrix = np.zeros((want, have))
    for tap in taps:
        distance = np.abs(part - tap)
        weight = 1 - distance if method == "bilinear" else _cubic(distance)
        np.add.at(matrix, (np.arange(want), np.clip(first + tap, 0, have - 1)), weight)
    return matrix


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys, 1981, Cubic Convolution Interpolation, equation 15, with torch's slope."""
    a, x = SHARPNESS, distance
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
