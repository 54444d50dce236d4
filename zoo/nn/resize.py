"""Maps of another size: nearest, bilinear or bicubic interpolation, and FCN's fixed bilinear enlargement.

Numbers as of torch's `interpolate`, which is not antialiased. Along each axis, places of a result take what lies around
them in the maps. Where an axis becomes an integer times as long, that is a sum of shifted maps (`phases.py`); else, and
where corners are aligned, a product with a small matrix, the same for every row or column. FCN's enlargement: Long,
Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation, section 3.3. Lecture rows L65, L66.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from zoo.nn.phases import Weights, enlarged_by_phases

METHODS = ("nearest", "bilinear", "bicubic")

MOST_PHASES = 16
"""Up to this factor an axis is enlarged by a sum of shifted maps, whose program grows with it; else by a matrix."""

SHARPNESS = -0.75
"""Of torch's bicubic interpolation: the slope of the cubic where it crosses zero."""


def resize(
    maps: Shaped[Array, "batch height width channels"],
    size: Sequence[int],
    method: str = "bilinear",
    align_corners: bool = False,
) -> Shaped[Array, "batch rows columns channels"]:
    """Maps of another size, interpolated; equal to torch's `interpolate` without antialiasing.

    Where the maps get smaller, places between those that are read do not count, as in torch. A nan or infinity spreads
    over the places around it, or over a whole row and column where sizes are no multiples; not with "nearest".

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
    wide = jnp.promote_types(maps.dtype, jnp.float32)
    result = maps.astype(wide)
    for axis in _order(maps.shape[1:3], size):
        have, want = maps.shape[axis], size[axis - 1]
        if have == want:
            continue
        if want % have == 0 and want // have <= MOST_PHASES and not align_corners:
            result = enlarged_by_phases(result, axis, _of_phases(want // have, method))
        else:
            result = _times(_weights(have, want, method, align_corners), result, axis)
    return result.astype(maps.dtype)


def _order(have: Sequence[int], want: Sequence[int]) -> tuple[int, int]:
    """First the axis that leaves less for the other to do; columns, if both do."""
    return (1, 2) if want[0] * have[1] < want[1] * have[0] else (2, 1)


def _times(matrix: np.ndarray, maps: Float[Array, "b h w c"], axis: int) -> Float[Array, "b h2 w2 c"]:
    """Each row of maps, or with axis 1 each column, times one matrix: (places of the result, places)."""
    name = "ph,bhwc->bpwc" if axis == 1 else "qw,bhwc->bhqc"
    options = {"precision": lax.Precision.HIGHEST, "preferred_element_type": maps.dtype}
    return jnp.einsum(name, jnp.asarray(matrix, maps.dtype), maps, **options)


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
    result = maps.astype(jnp.promote_types(maps.dtype, jnp.float32))
    for axis in _order(maps.shape[1:3], size):
        begin = offset[axis - 1]
        result = _times(_spread(maps.shape[axis], factor)[begin : begin + size[axis - 1]], result, axis)
    return result.astype(maps.dtype)


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


@functools.cache
def _of_phases(factor: int, method: str) -> Weights:
    """What each phase of a place of the result takes of the places around: the middle rows of a small matrix."""
    beyond = 1 if method == "bilinear" else 2
    matrix = _weights(2 * beyond + 1, (2 * beyond + 1) * factor, method, False)
    return tuple(map(tuple, matrix[beyond * factor : (beyond + 1) * factor].tolist()))


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys, 1981, Cubic Convolution Interpolation, equation 15, with torch's slope."""
    a, x = SHARPNESS, distance
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
