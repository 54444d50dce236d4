"""Transposed convolution ("deconvolution", E20): what maps the gradient of a convolution back to its input.

Zeiler et al., 2010, Deconvolutional Networks; Dumoulin and Visin, 2016, A guide to convolution arithmetic for deep
learning, chapter 4. Numbers as of torch's conv_transpose2d. Lecture row L66.

Computed on every platform as one ordinary convolution to stride x stride times the channels, whose places are then
laid out as squares of stride x stride: on CPU 1.2 to 2.4 times as fast as XLA's own, which fills zeros between the
places, and 32 to 43 times with gradients. What dilation changes in that is which of the channels goes to which place of
the square.
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float

from zoo.nn.conv import convolution
from zoo.nn.initialisers import kaiming_fan_out
from zoo.nn.resize import bilinear_window
from zoo.nn.window import per_axis

Sizes = int | Sequence[int]
"""One integer for rows and columns, or one for each."""


def transposed_convolution(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns channels features_per_group"],
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Float[Array, "batch _ _ features"]:
    """Each place of the images adds the kernel, times its value, to the result, `stride` places from the last.

    Along an axis, stride and dilation are first divided by what divides both: the result has zeros where no multiple of
    it lies. What is left has no common divisor, and each place of the result gets every stride-th tap of the kernel:
    those taps are an ordinary convolution, dilated. All of them are computed as one, in any case.

    Args:
      images: channels last.
      kernel: window, input channels, filters of one group; a place adds the window as it stands.
      stride: places of the result from one place of the images to the next.
      padding: rows and columns of the result that are cut off at each border.
      output_padding: rows and columns that are not cut off at the far borders; zeros, where the kernel does not reach.
      dilation: places of the result from one tap of the window to the next.
      groups: input channels and filters are cut in so many groups, each convolved by itself.

    Returns:
      (height - 1) * stride - 2 * padding + (rows - 1) * dilation + 1 + output_padding places high, the width alike.

    Raises:
      ValueError: ranks, channels or groups that do not fit, no place left, or an output padding that is neither below
        the stride nor below the dilation.

    >>> transposed_convolution(jnp.ones((1, 2, 1, 1)), jnp.ones((3, 1, 1, 1)), stride=2)[0, :, 0, 0].tolist()
    [1.0, 1.0, 2.0, 1.0, 1.0]
    >>> transposed_convolution(jnp.ones((1, 1, 1, 1)), jnp.ones((2, 1, 1, 1)), dilation=(3, 1))[0, :, 0, 0].tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    if (
        images.ndim != 4
        or kernel.ndim != 4
        or images.shape[3] != kernel.shape[2]
        or groups < 1
        or images.shape[3] % groups
    ):
        raise ValueError(
            f"expected images (batch, height, width, channels) and a kernel (rows, columns, channels, filters), "
            f"in {groups} group(s) of equal channels, got {images.shape} and {kernel.shape}"
        )
    steps, gaps = per_axis(stride, 2, "stride"), per_axis(dilation, 2, "dilation")
    cuts, extra = _pair(padding), _pair(output_padding)
    if min(*cuts, *extra) < 0 or any(more >= max(axis) for more, *axis in zip(extra, steps, gaps, strict=True)):
        raise ValueError(
            f"expected a stride from 1, a padding from 0 and an output padding below the stride or the dilation, "
            f"got {stride}, {padding}, {output_padding} and a dilation of {dilation}"
        )
    sizes = [
        (places - 1) * step - 2 * cut + (side - 1) * gap + 1 + more
        for places, step, cut, side, gap, more in zip(
            images.shape[1:3], steps, cuts, kernel.shape[:2], gaps, extra, strict=True
        )
    ]
    if min(sizes) < 1:
        raise ValueError(f"expected a result of at least one place, got {sizes[0]} x {sizes[1]}")
    common = [math.gcd(step, gap) for step, gap in zip(steps, gaps, strict=True)]
    steps = [step // both for step, both in zip(steps, common, strict=True)]
    gaps = [gap // both for gap, both in zip(gaps, common, strict=True)]

    # Tap q + step * j adds to place step * (i + gap * j) + gap * q: for each q, a convolution over the taps j.
    phases = _by_phase(kernel, steps, groups)
    reach = [gap * (taps - 1) for gap, taps in zip(gaps, phases.shape[:2], strict=True)]
    x = convolution(images, phases, padding=[(more, more) for more in reach], dilation=gaps, groups=groups)
    batch, height, width = x.shape[:3]
    x = x.reshape(batch, height, width, groups, *steps, kernel.shape[3])  # phases q of rows and of columns
    x = x.transpose(0, 1, 4, 2, 5, 3, 6).reshape(batch, height, steps[0], width, steps[1], groups * kernel.shape[3])
    for axis, (step, gap) in enumerate(zip(steps, gaps, strict=True)):
        x = _in_order(x, 1 + 2 * axis, step, gap)
    x = x.reshape(batch, x.shape[1] * steps[0], x.shape[3] * steps[1], x.shape[5])
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((0, 0, both - 1) for both in common), (0, 0, 0)))
    missing = [(0, max(0, cut + size - have)) for cut, size, have in zip(cuts, sizes, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *missing, (0, 0)))
    return x[:, cuts[0] : cuts[0] + sizes[0], cuts[1] : cuts[1] + sizes[1]]


def _pair(value: Sizes) -> tuple[int, ...]:
    """One integer for rows and one for columns, of any sign.

    Raises:
      ValueError: another number of them.
    """
    values = (value, value) if isinstance(value, numbers.Integral) else tuple(value)
    if len(values) != 2:
        raise ValueError(f"expected one integer, or one for rows and one for columns, got {value!r}")
    return values


def _by_phase(kernel: Array, steps: Sequence[int], groups: int) -> Array:
    """The taps q, q + step, q + 2 step, ... of each axis as a convolution's kernel, its filters by group and phase."""
    taps = [-(-side // step) for side, step in zip(kernel.shape[:2], steps, strict=True)]
    filled = [(0, count * step - side) for count, step, side in zip(taps, steps, kernel.shape[:2], strict=True)]
    inputs, filters = kernel.shape[2] // groups, kernel.shape[3]
    phases = jnp.pad(kernel, (*filled, (0, 0), (0, 0)))
    phases = phases.reshape(taps[0], steps[0], taps[1], steps[1], groups, inputs, filters)[::-1, :, ::-1]
    return phases.transpose(0, 2, 5, 4, 1, 3, 6).reshape(*taps, inputs, groups * math.prod(steps) * filters)


def _in_order(x: Array, axis: int, step: int, gap: int) -> Array:
    """What phase q has at place i goes to place step * i + gap * q: to another phase, and on by some places.

    Args:
      x: with places along `axis` and phases along the next.
      axis: of the places.
      step: how many phases there are.
      gap: of the dilation; no number from 2 on divides both.
    """
    if gap == 1 or step == 1:  # place step * i + q
        return x
    shifts = [(gap * q) // step for q in range(step)]
    order = np.argsort([(gap * q) % step for q in range(step)])
    room = max(shifts)

    def moved(q: int) -> Array:
        pads = [(0, 0)] * x.ndim
        pads[axis] = (shifts[q], room - shifts[q])
        return jnp.pad(lax.slice_in_dim(x, q, q + 1, axis=axis + 1), pads)

    return jnp.concatenate([moved(int(q)) for q in order], axis=axis + 1)


def bilinear(key: Array | None, shape: Sequence[int], dtype: Any = jnp.float32) -> Float[Array, "rows columns _ _"]:
    """Initialiser of a transposed convolution that interpolates: a stride of half the window enlarges so many times.

    Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation, section 4.3. Each channel
    goes to the filter of its number alone; with one filter a group of one channel, to that.

    Args:
      key: not used; nothing is drawn.
      shape: of the kernel: rows, columns, channels, filters of one group.
      dtype: of the kernel.

    Raises:
      ValueError: neither as many filters as channels nor one.

    >>> bilinear(None, (4, 1, 1, 1))[:, 0, 0, 0].tolist()
    [0.25, 0.75, 0.75, 0.25]
    """
    rows, columns, channels, filters = shape
    if filters not in (channels, 1):
        raise ValueError(f"expected as many filters as channels, or one a group, got a kernel of shape {tuple(shape)}")
    window = np.outer(bilinear_window(rows), bilinear_window(columns))
    mixing = np.eye(channels) if filters == channels else np.ones((channels, 1))
    return jnp.asarray(window[:, :, None, None] * mixing, dtype)


class ConvTranspose(nn.Module):
    """A transposed convolution with its kernel (rows, columns, channels, features) and bias, as torch's layer."""

    features: int
    window: Sizes
    """Rows and columns of the kernel."""
    stride: Sizes
    padding: Sizes = 0
    output_padding: Sizes = 0
    dilation: Sizes = 1
    groups: int = 1
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: jax.nn.initializers.Initializer = kaiming_fan_out
    """`bilinear` begins as interpolation."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch _ _ features"]:
        """See `transposed_convolution`.

        Raises:
          ValueError: features that the groups do not divide, or what does not fit there.
        """
        if self.features % self.groups:
            raise ValueError(f"{self.features} features cannot be cut in {self.groups} equal groups")
        shape = (*_pair(self.window), x.shape[-1], self.features // self.groups)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        zeros = nn.initializers.zeros_init()
        bias = self.param("bias", zeros, (self.features,), self.param_dtype) if self.use_bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        x = transposed_convolution(
            x, kernel, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )
        return x if bias is None else x + bias
