"""Grouped and depthwise convolution. On CPU, XLA's own form is up to hundreds of times too slow.

Lecture rows L44, L48. On GPU and TPU both stay one `lax.conv_general_dilated` with its own derivatives. On CPU

- a depthwise convolution is the sum over the window's taps of the shifted images times the tap's weights, which
  XLA makes one pass over memory; its input gradient is the same sum with the window turned around;
- a grouped convolution is a loop over the groups, each an ordinary convolution. A loop, because one operation a
  group takes the compiler seconds for every layer; and what XLA does not rearrange inside loops is arranged here:
  every convolution of a loop has the batch first and the channels last. Narrow groups go together, with zeros
  between them: XLA is no faster with 4 channels than with 16;
- the weight gradient of both is a loop over the taps, each a matrix product over the places of every image. The
  images are summed last, so that devices which share a batch exchange one sum.

Times are in `tests/benchmarks/layers.py`.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from zoo.nn.forms import Form, transpose_of_input_gradient, transpose_of_weight_gradient
from zoo.nn.geometry import Geometry, extents, padded, plain, taps
from zoo.nn.precision import widened
from zoo.nn.window import bound

MULTIPLICATIONS = 2**16
"""With fewer in the whole layer XLA's own form loses a millisecond or few, and compiles faster."""

NARROW = 16
"""Groups go together on CPU while they have no more channels than this."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether a grouped convolution is large enough to be worth another form than XLA's own."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        return False
    batch = images.shape[0]  # of unknown size in an export: then it may be large
    return not isinstance(batch, int) or batch * places * kernel.size >= MULTIPLICATIONS


def _forward(geometry: Geometry, images: Array, kernel: Array) -> Array:
    dtype = images.dtype
    images, kernel = widened(images), widened(kernel)  # half precision gains no time on CPU
    result = (_tap_by_tap if kernel.shape[-2] == 1 else _group_by_group)(geometry, images, kernel)
    return result.astype(dtype)


def _tap_by_tap(geometry: Geometry, images: Array, kernel: Array) -> Array:
    """A depthwise convolution: for each tap the images shifted, times one weight a channel."""
    images = jnp.repeat(images, kernel.shape[-1] // geometry.groups, axis=-1)
    # The barrier: otherwise XLA would pad, and compute what the images are made of, once for every tap.
    images = lax.optimization_barrier(padded(geometry, images))
    terms = [shifted * kernel[*tap, 0] for tap, shifted in taps(geometry, images, kernel.shape[:-2])]
    return sum(terms[1:], terms[0])


def _group_by_group(geometry: Geometry, images: Array, kernel: Array) -> Array:
    """A loop over groups, or over some that go together, each an ordinary convolution."""
    wide = max(kernel.shape[-2], kernel.shape[-1] // geometry.groups)
    together = max(n for n in range(1, max(1, NARROW // wide) + 1) if geometry.groups % n == 0)
    blocks = geometry.groups // together
    operands = _split(images, blocks), _split(_block_diagonal(kernel, geometry.groups, together), blocks)
    one = jax.checkpoint(bound(plain, geometry._replace(groups=1)), prevent_cse=False)  # keeps no turned kernel
    results = lax.map(lambda pair: one(*pair), operands)
    return jnp.moveaxis(results, 0, -2).reshape(*results.shape[1:-1], -1)


def _split(array: Array, groups: int) -> Array:
    """The groups of the last axis as a new first axis."""
    return jnp.moveaxis(array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups), -2, 0)


def _block_diagonal(kernel: Array, groups: int, together: int) -> Array:
    """The kernel of `groups / together` groups that does the same: with zeros from one group to another."""
    channels, features = kernel.shape[-2:]
    of_input = np.arange(together * channels)[:, None] // channels
    of_output = np.arange(features) // (features // groups) % together
    return jnp.concatenate([kernel] * together, axis=-2) * (of_input == of_output).astype(kernel.dtype)


def _input_gradient(geometry: Geometry, shape: Sequence[int], kernel: Array, out: Array) -> Array:
    """A convolution at a stride of 1 over `out`, with zeros between its places, with the window turned around."""
    axes, pads = range(len(geometry.strides)), [(0, 0, 0)]
    for axis, step, (before, _), gap in zip(axes, *geometry[:3], strict=True):
        first = gap * (kernel.shape[axis] - 1) - before
        last = shape[axis + 1] + before - 1 - step * (out.shape[axis + 1] - 1)
        pads.append((first, last, step - 1))
    spread = lax.pad(out, jnp.zeros((), out.dtype), (*pads, (0, 0, 0)))
    turned, groups = jnp.flip(kernel, axes), geometry.groups
    if kernel.shape[-2] == 1:
        groups = kernel.shape[-1]
    else:
        turned = jnp.moveaxis(_split(turned, groups), 0, -2).swapaxes(-3, -1)
        turned = turned.reshape(*turned.shape[:-2], -1)
    ones = (1,) * len(axes)
    result = _forward(Geometry(ones, ((0, 0),) * len(axes), geometry.dilation, groups), spread, turned)
    return result.reshape(*shape, -1).sum(-1)


def _weight_gradient(geometry: Geometry, shape: Sequence[int], images: Array, out: Array) -> Array:
    """A loop over the window's taps, each a matrix product over the places of every image."""
    dtype, (*window, channels, features) = images.dtype, shape
    images, out = padded(geometry, widened(images)), widened(out)
    axes, batch, places = len(window), out.shape[0], math.prod(out.shape[1:-1])
    spans = extents(geometry, images.shape[1:-1], window)
    if channels == 1:
        images = jnp.repeat(images, features // geometry.groups, axis=-1)
    else:
        images, out = _split(images, geometry.groups), _split(out, geometry.groups)
    steps = (..., *(slice(None, None, step) for step in geometry.strides), slice(None))
    lead = images.shape[: -1 - axes]

    @functools.partial(jax.checkpoint, prevent_cse=False)  # or every tap's part of the images would be kept
    def at(tap: Array) -> Array:
        start = (*(0,) * len(lead), *(tap[i] for i in range(axes)), 0)
        shifted = lax.dynamic_slice(images, start, (*lead, *spans, images.shape[-1]))[steps]
        if channels == 1:
            products = (shifted * out).reshape(batch, places, features)
            return lax.dot_general(jnp.ones((batch, places), out.dtype), products, (((1,), (1,)), ((0,), (0,))))
        rows, columns = (array.reshape(*lead, places, array.shape[-1]) for array in (shifted, out))
        return lax.dot_general(rows, columns, (((2,), (2,)), ((0, 1), (0, 1))))

    places_of_taps = jnp.asarray([*np.ndindex(*window)]) * jnp.asarray(geometry.dilation)
    gradient = lax.map(at, places_of_taps)
    if channels == 1:
        return gradient.sum(1).reshape(shape).astype(dtype)
    return jnp.moveaxis(gradient.sum(2), 1, 2).reshape(shape).astype(dtype)


FORM = Form(_forward, transpose_of_input_gradient(_input_gradient), transpose_of_weight_gradient(_weight_gradient))
"""Of a convolution in groups, at any window, stride, padding and dilation."""
