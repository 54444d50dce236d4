"""A 3x3 convolution at a stride of 1 with less than half the multiplications, on CPU.

Lavin and Gray, 2016, Fast Algorithms for Convolutional Neural Networks, section 4.1: F(2x2, 3x3). Lecture row L37.

Along one axis two neighbouring outputs, y0 = d0 k0 + d1 k1 + d2 k2 and y1 = d1 k0 + d2 k1 + d3 k2, take six products.
Four are enough:

    m0 = (d0 - d2) k0                  m1 = (d1 + d2) (k0 + k1 + k2) / 2
    m3 = (d1 - d3) k2                  m2 = (d2 - d1) (k0 - k1 + k2) / 2
    y0 = m0 + m1 + m2                  y1 = m1 - m2 - m3

Along both axes, one after the other, a tile of 2x2 outputs takes 16 products where there were 36. Summed over channels
each of the 16 is a matrix product over all tiles of all images; the sums around them are of slices. Four neighbours
along an axis are two of the even pixels and two of the odd, so a reshape into even and odd replaces all gathering.
Gradients are the same sums transposed: of the images with the kernel turned around, which exchanges k0 with k2 and so
only the names of the four products; of the kernel with the slopes transformed as y is from m, backwards.
"""

import math
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from zoo.nn.forms import Form, transpose_of_input_gradient, transpose_of_weight_gradient
from zoo.nn.geometry import Geometry
from zoo.nn.pieces import in_pieces, pieces, summed_over_pieces
from zoo.nn.products import narrow_first, product

MULTIPLICATIONS = 2**26
"""With fewer for each tap the sums around the products take more time than is saved."""

CHANNELS = 32
"""So many input and output channels are needed for the products to be worth their sums."""

BYTES = 26e6
"""What the transforms of one piece of the batch may take: about what stays in a processor's caches."""

WIDE = 128
"""From so many channels on, products over all images at once are best for the kernel's gradient."""

_TURNED = (3, 1, 2, 0)
"""Which product has which number where the kernel is turned around."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether the convolution is one that this file computes, and large enough."""
    batch = images.shape[0]
    if not isinstance(batch, int) or images.dtype != jnp.float32 or kernel.shape[:-2] != (3, 3):
        return False
    if {*geometry.strides, *geometry.dilation, geometry.groups} != {1} or max(map(max, geometry.padding)) > 2:
        return False
    channels, features = kernel.shape[-2:]
    return min(channels, features) >= CHANNELS and batch * places * channels * features >= MULTIPLICATIONS


def _forward(geometry: Geometry, images: Array, kernel: Array) -> Array:
    return _filtered(geometry.padding, images, _of_kernel(kernel), turned=False)


def _input_gradient(geometry: Geometry, shape: tuple[int, ...], kernel: Array, out: Array) -> Array:
    """The same of the slopes, with the kernel turned around: not in memory, but in which product it takes part."""
    padding = tuple((2 - before, 2 - after) for before, after in geometry.padding)
    return _filtered(padding, out, _of_kernel(kernel), turned=True)


def _weight_gradient(geometry: Geometry, shape: tuple[int, ...], images: Array, out: Array) -> Array:
    tiles = _tiles(out.shape[1:3])

    def products(images: Array, out: Array) -> Array:
        of_images = _of_images(images, geometry.padding, tiles)
        of_slopes = _of_slopes(out, tiles)
        return jnp.stack([narrow_first(a, b) for a, b in zip(of_images, of_slopes, strict=True)])

    count = _pieces(out.shape[0], tiles, shape) if min(shape[-2:]) < WIDE else 1
    return _to_kernel(summed_over_pieces(products, count, images, out))


FORM = Form(_forward, transpose_of_input_gradient(_input_gradient), transpose_of_weight_gradient(_weight_gradient))


def _filtered(padding: tuple[tuple[int, int], ...], images: Array, kernels: list[Array], turned: bool) -> Array:
    """Images, padded, times each of the 16 transformed kernels, back in space."""
    sizes = [size + sum(pads) - 2 for size, pads in zip(images.shape[1:3], padding, strict=True)]
    tiles = _tiles(sizes)
    names = [4 * _TURNED[i] + _TURNED[j] if turned else 4 * i + j for i in range(4) for j in range(4)]

    def one(images: Array) -> Array:
        products = [
            product(pixels, kernels[name], transposed=turned)
            for pixels, name in zip(_of_images(images, padding, tiles), names, strict=True)
        ]
        return _to_space(products, tiles)[:, : sizes[0], : sizes[1]]

    return in_pieces(one, _pieces(images.shape[0], tiles, kernels[0].shape), images)


def _tiles(sizes: Any) -> tuple[int, int]:
    """How many pairs of outputs there are along each axis, the last of which may reach beyond the end."""
    height, width = sizes
    return -(-height // 2), -(-width // 2)


def _pieces(batch: int, tiles: tuple[int, int], shape: tuple[int, ...]) -> int:
    """Into how many pieces the batch is cut, so that what is made of one stays in the caches."""
    return pieces(batch, 16 * 4 * batch * math.prod(tiles) * sum(shape[-2:]) / BYTES)


def _of_kernel(kernel: Array) -> list[Array]:
    """The kernel's 16 transforms, (channels, features) each."""

    def along(k0: Array, k1: Array, k2: Array) -> list[Array]:
        return [k0, (k0 + k1 + k2) / 2, (k0 - k1 + k2) / 2, k2]

    columns = [along(*kernel[:, j]) for j in range(3)]
    # The barrier: otherwise XLA would make each transform anew for every piece.
    return lax.optimization_barrier([part for row in zip(*columns, strict=True) for part in along(*row)])


def _to_kernel(products: Array) -> Array:
    """The transpose of `_of_kernel`: (16, channels, features) to (3, 3, channels, features)."""

    def along(d0: Array, d1: Array, d2: Array, d3: Array) -> list[Array]:
        half, unlike = (d1 + d2) / 2, (d1 - d2) / 2
        return [d0 + half, unlike, half + d3]

    rows = [along(*products[4 * i : 4 * i + 4]) for i in range(4)]
    columns = [along(*column) for column in zip(*rows, strict=True)]
    return jnp.stack([jnp.stack([columns[j][i] for j in range(3)]) for i in range(3)])


def _of_images(images: Array, padding: tuple[tuple[int, int], ...], tiles: tuple[int, int]) -> list[Array]:
    """The images' 16 transforms, (tiles of all images, channels) each."""
    batch, height, width, channels = images.shape
    pads = [
        (before, 2 * count + 2 - size - before, 0)
        for (before, _), count, size in zip(padding, tiles, (height, width), strict=True)
    ]
    images = lax.pad(images, jnp.zeros((), images.dtype), ((0, 0, 0), *pads, (0, 0, 0)))
    images = images.reshape(batch, tiles[0] + 1, 2, tiles[1] + 1, 2, channels)

    def along(even: Array, odd: Array, axis: int) -> list[Array]:
        last = even.shape[axis] - 1
        d0, d1 = (lax.slice_in_dim(pixels, 0, last, axis=axis) for pixels in (even, odd))
        d2, d3 = (lax.slice_in_dim(pixels, 1, last + 1, axis=axis) for pixels in (even, odd))
        return [d0 - d2, d1 + d2, d2 - d1, d1 - d3]

    columns = [along(images[:, :, 0, :, j], images[:, :, 1, :, j], axis=1) for j in (0, 1)]
    parts = [part for even, odd in zip(*columns, strict=True) for part in along(even, odd, axis=2)]
    return [part.reshape(-1, channels) for part in parts]


def _of_slopes(out: Array, tiles: tuple[int, int]) -> list[Array]:
    """The transpose of `_to_space`: the slopes' 16 transforms, (tiles of all images, features) each."""
    batch, height, width, features = out.shape
    out = jnp.pad(out, ((0, 0), (0, 2 * tiles[0] - height), (0, 2 * tiles[1] - width), (0, 0)))
    out = out.reshape(batch, tiles[0], 2, tiles[1], 2, features)

    def along(y0: Array, y1: Array) -> list[Array]:
        return [y0, y0 + y1, y0 - y1, -y1]

    columns = [along(out[:, :, 0, :, j], out[:, :, 1, :, j]) for j in (0, 1)]
    parts = [part for pair in zip(*columns, strict=True) for part in along(*pair)]
    return [part.reshape(-1, features) for part in parts]


def _to_space(products: list[Array], tiles: tuple[int, int]) -> Array:
    """The 16 products, (tiles of all images, features) each, as images twice the number of tiles a side."""

    def along(m0: Array, m1: Array, m2: Array, m3: Array) -> list[Array]:
        return [m0 + m1 + m2, m1 - m2 - m3]

    rows = [along(*products[4 * i : 4 * i + 4]) for i in range(4)]
    columns = [along(*column) for column in zip(*rows, strict=True)]  # by column of the tile, then by row
    features = products[0].shape[-1]
    pixels = [[columns[j][i].reshape(-1, *tiles, features) for j in (0, 1)] for i in (0, 1)]
    space = jnp.stack([jnp.stack(row, axis=3) for row in pixels], axis=2)
    return space.reshape(-1, 2 * tiles[0], 2 * tiles[1], features)
