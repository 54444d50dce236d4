"""A 1x1 convolution as one matrix product over channels, on CPU.

At one place it is the kernel's matrix times the channels there: all places of all images are the rows of one product.
They are flattened first: left to itself XLA sums the kernel's gradient over three axes, for which it writes a copy of
its operand transposed.
"""

from jaxtyping import Array

from zoo.nn.forms import Form, transpose_of_weight_gradient
from zoo.nn.geometry import Geometry
from zoo.nn.products import narrow_first, product


def _forward(geometry: Geometry, images: Array, kernel: Array) -> Array:
    seen = _seen(geometry, images)
    result = product(seen.reshape(-1, seen.shape[-1]), kernel.reshape(kernel.shape[-2:]))
    return result.reshape(*seen.shape[:-1], kernel.shape[-1])


def _weight_gradient(geometry: Geometry, shape: tuple[int, ...], images: Array, out: Array) -> Array:
    seen = _seen(geometry, images)
    return narrow_first(seen.reshape(-1, shape[-2]), out.reshape(-1, shape[-1])).reshape(shape)


def _seen(geometry: Geometry, images: Array) -> Array:
    """The places that a window of one pixel comes to."""
    return images[:, *(slice(None, None, step) for step in geometry.strides)]


FORM = Form(_forward, along_kernel=transpose_of_weight_gradient(_weight_gradient))
