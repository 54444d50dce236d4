"""A dilated convolution whose taps often see nothing but padding: tap by tap, only where a tap sees the image, on CPU.

Atrous pyramid pooling (Chen et al., 2017) moves windows of up to 73 places over maps of 32 to 65, so that most products
are with zeros: at a dilation of 36 on 32 places all but the middle tap's. A tap is a matrix product of the pixels that
it sees over channels, added at the places that see them. Lecture row L66.
"""

import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from zoo.nn.forms import Form
from zoo.nn.geometry import Geometry, plain
from zoo.nn.window import bound

SHARE = 0.7
"""The form pays where no more than this share of all products is with pixels of the image."""

CHANNELS = 128
"""So many input and output channels make a tap's product worth its slice and its sum."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether the convolution is one that this file computes, and has enough products with zeros."""
    if geometry.strides != (1, 1) or geometry.groups > 1 or max(geometry.dilation) == 1 or images.dtype != jnp.float32:
        return False
    if min(kernel.shape[-2:]) < CHANNELS or not all(isinstance(size, int) for size in images.shape[:-1]):
        return False  # too few channels, or sizes that are symbolic, in an export
    seen = sum(math.prod(rows.stop - rows.start for rows in spans) for _, spans in _seen(geometry, images, kernel))
    return seen <= SHARE * places * math.prod(kernel.shape[:2])


def _seen(geometry: Geometry, images: Array, kernel: Array) -> Iterator[tuple[tuple[int, int], list[slice]]]:
    """Each tap that sees the image, and the rows and columns of places that it sees it from."""
    out = jax.eval_shape(bound(plain, geometry), images, kernel).shape[1:3]
    for tap in np.ndindex(*kernel.shape[:2]):
        spans = []
        for axis, i in enumerate(tap):
            first = _shift(geometry, axis, i)
            spans.append(slice(max(0, -first), min(out[axis], images.shape[1 + axis] - first)))
        if all(span.start < span.stop for span in spans):
            yield tap, spans


def _shift(geometry: Geometry, axis: int, tap: int) -> int:
    """Which pixel a tap sees from the first place."""
    return tap * geometry.dilation[axis] - geometry.padding[axis][0]


def _forward(geometry: Geometry, images: Array, kernel: Array) -> Array:
    out = jax.eval_shape(bound(plain, geometry), images, kernel)
    total = jnp.zeros(out.shape, out.dtype)
    for tap, spans in _seen(geometry, images, kernel):
        shifts = (_shift(geometry, axis, i) for axis, i in enumerate(tap))
        pixels = images[:, *(slice(s.start + shift, s.stop + shift) for s, shift in zip(spans, shifts, strict=True))]
        total = total.at[:, spans[0], spans[1]].add(pixels @ kernel[tap])
    return total


FORM = Form(_forward)
