"""Convolution over channels-last images, computed in the form that is fastest where it runs.

Lecture rows L30-L33, L37. On GPU and TPU every form is one `lax.conv_general_dilated`. On CPU XLA's own is slow in
places, and there the same sum is arranged differently, each way in a file of its own (what each gains is in
`zoo/nn/README.md`). The platform is decided at lowering, so exported programs are right everywhere, and the parameters
do not depend on it.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float

from zoo.nn import by_taps, far_taps, few_channels, few_places, frames, grouped, many_images, pointwise, winograd
from zoo.nn.forms import Form, in_form
from zoo.nn.geometry import Geometry, is_empty, on_explicit_mesh, plain
from zoo.nn.window import Padding, bound, explicit_padding, output_sizes, per_axis


def convolution(
    images: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels_per_group features"],
    strides: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Float[Array, "batch *places features"]:
    """Cross-correlates images with a bank of filters, over one, two or three axes of space.

    Differentiable any number of times in both modes; under a mesh the batch may be sharded.

    Args:
      images: channels last.
      kernel: window, then input channels of one group, then filters ("HWIO").
      strides: step of the window, for all axes or each.
      padding: zeros around the image, see `zoo.nn.window.Padding`.
      dilation: distance between the window's taps, for all axes or each.
      groups: input and output channels are cut in so many groups, each convolved by itself.

    Raises:
      ValueError: ranks, channels or groups that do not fit, or a window larger than the padded image.

    >>> convolution(jnp.ones((1, 7, 7, 1)), jnp.ones((3, 3, 1, 1))).shape
    (1, 5, 5, 1)
    """
    axes = kernel.ndim - 2
    if not 1 <= axes <= 3:
        raise ValueError(f"convolution expected a kernel of rank 3 to 5, got shape {kernel.shape}")
    if images.ndim != kernel.ndim:
        raise ValueError(
            f"convolution with a kernel of shape {kernel.shape} expected images of rank {kernel.ndim} "
            f"(batch, space, channels), got shape {images.shape}"
        )
    if images.shape[-1] != groups * kernel.shape[-2] or kernel.shape[-1] % groups:
        raise ValueError(
            f"convolution with a kernel of shape {kernel.shape} in {groups} group(s) expected "
            f"{groups * kernel.shape[-2]} channels and filters divisible by {groups}, got images of shape "
            f"{images.shape}"
        )
    steps, gaps = per_axis(strides, axes, "strides"), per_axis(dilation, axes, "dilation")
    window = tuple(gap * (size - 1) + 1 for size, gap in zip(kernel.shape[:axes], gaps, strict=True))
    pads = explicit_padding(padding, images.shape[1:-1], window, steps)
    places = output_sizes(images.shape[1:-1], window, steps, pads, "convolution")
    geometry = Geometry(steps, pads, gaps, groups)
    if is_empty(images) or is_empty(kernel) or on_explicit_mesh(images, kernel):
        return plain(geometry, images, kernel)
    if form := _form(geometry, images, kernel, math.prod(places)):
        return in_form(form, geometry, images, kernel)
    if frames.fits(geometry, images, kernel, math.prod(places)):
        # Nothing that is made of a clip for a tap is kept for the backward pass.
        cpu = _checkpointed(bound(frames.by_frames, convolution, geometry))
        return lax.platform_dependent(images, kernel, cpu=cpu, default=bound(plain, geometry))
    return plain(geometry, images, kernel)


@functools.cache
def _checkpointed(function: Callable) -> Callable:
    return jax.checkpoint(function, prevent_cse=False)


def _form(geometry: Geometry, images: Array, kernel: Array, places: int) -> Form | None:
    """The form that is fastest on CPU; None where that is XLA's own."""
    if geometry.groups > 1:
        sizes = geometry, images, kernel, places
        return grouped.FORM if grouped.fits(*sizes) and not frames.fits(*sizes) else None
    if math.prod(kernel.shape[:-2]) == 1 and not any(map(any, geometry.padding)):
        return pointwise.FORM
    for form in (winograd, far_taps, few_channels, few_places, by_taps, many_images):
        if form.fits(geometry, images, kernel, places):
            return form.FORM
    return None


class Conv(nn.Module):
    """A convolution layer: `flax.linen.Conv` in the form that is fastest on each platform.

    Parameters: `kernel`, (*window, channels per group, features), and `bias`, (features,).
    """

    features: int
    """Number of filters."""
    kernel_size: Sequence[int]
    """The window, one number an axis of space: (3, 3) for images, (3, 3, 3) for video."""
    strides: int | Sequence[int] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    feature_group_count: int = 1
    kernel_dilation: int | Sequence[int] = 1
    dtype: Any = None
    """Compute type; None takes it from input and parameters."""
    param_dtype: Any = jnp.float32
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    bias_init: Callable[..., Array] = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, images: Float[Array, "batch *space channels"]) -> Float[Array, "batch *places features"]:
        """Filters the images.

        Raises:
          ValueError: see `convolution`.
        """
        channels, groups = images.shape[-1], self.feature_group_count
        if channels % groups:
            raise ValueError(f"{channels} channels cannot be cut in {groups} equal groups")
        if self.has_variable("params", "kernel"):  # flax would speak of the initialiser
            expected = groups * nn.unbox(self.get_variable("params", "kernel")).shape[-2]
            if channels != expected:
                raise ValueError(
                    f"{self.name or 'Conv'} expected {expected} channels, got images of shape {images.shape}"
                )
        shape = (*self.kernel_size, channels // groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
        images, kernel, bias = promote_dtype(images, kernel, bias, dtype=self.dtype)
        result = convolution(images, kernel, self.strides, self.padding, self.kernel_dilation, groups)
        return result if bias is None else result + bias
