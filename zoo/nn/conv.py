"""Convolution over channels-last images, computed in the form that is fastest where it runs.

Lecture rows L30-L33, L37. On GPU and TPU every form is one `lax.conv_general_dilated`. On CPU, XLA's own
form is slow in four places, and there the same sum is arranged differently (`tests/benchmarks/layers.py`):
a 1x1 convolution is a matrix product over channels, one of many channels at few places, or to maps of a few places,
a product over channels and taps, the weight gradient of a convolution of many images with few channels is a sum
over pieces of the batch, and convolutions in groups are `zoo.nn.grouped`'s. The platform is decided at lowering, so
exported programs are right everywhere, and the parameters do not depend on it.
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

from zoo.nn.geometry import Geometry, is_zero, padded, plain, taps
from zoo.nn.grouped import grouped_convolution, pays_on_cpu
from zoo.nn.window import Padding, bound, explicit_padding, output_sizes, per_axis

PIECES = (8, 4)
"""Into how many pieces the weight gradient on CPU may split a batch, the first that fits."""

PIECE_IMAGES, PIECE_PLACES = 8, 2048
"""How many images, and places of the window over all of them, a piece has at least: below, splitting gains
too little for what it costs the compiler."""

MANY_CHANNELS = 256
"""From so many input and output channels on, a convolution with no more than twice as many places, of all images
together, is a matrix product on CPU."""

SMALL_MAP, SMALL_MAP_CHANNELS = 4, 32
"""With at most so many places an image and at least so many input and output channels, a convolution of images is a
matrix product on CPU, of any batch: XLA's own takes three times as long for 2x2 places as for 3x3."""

FEW_CHANNELS = 64
"""Up to this many input and output channels the weight gradient is split; with more XLA's own is as fast."""


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
    if groups > 1:
        form = grouped_convolution if pays_on_cpu(images, kernel, math.prod(places)) else plain
        return form(geometry, images, kernel)
    if math.prod(window) == 1 and not any(map(any, pads)):
        return lax.platform_dependent(images, kernel, cpu=bound(_pointwise, geometry), default=bound(plain, geometry))
    if _has_few_places(images, kernel, math.prod(places)):
        return lax.platform_dependent(images, kernel, cpu=bound(_by_patches, geometry), default=bound(plain, geometry))
    pieces = _pieces(images, kernel, math.prod(places))
    return _with_split_gradient(geometry, pieces, images, kernel) if pieces > 1 else plain(geometry, images, kernel)


def _pointwise(geometry: Geometry, images: Array, kernel: Array) -> Array:
    """A 1x1 convolution as a matrix product over channels."""
    steps = (slice(None), *(slice(None, None, step) for step in geometry.strides))
    over_channels = (((images.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(images[steps], kernel.reshape(kernel.shape[-2:]), over_channels)


def _by_patches(geometry: Geometry, images: Array, kernel: Array) -> Array:
    """A convolution as one matrix product: the channels of all taps beside each other, times the whole kernel."""
    seen = [pixels for _, pixels in taps(geometry, padded(geometry, images), kernel.shape[:-2])]
    over_channels = (((images.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(jnp.concatenate(seen, axis=-1), kernel.reshape(-1, kernel.shape[-1]), over_channels)


def _has_few_places(images: Array, kernel: Array, places: int) -> bool:
    """Whether XLA's own form on CPU would spend its time on the kernel, or on a map's few places, not on the images."""
    batch, narrow = images.shape[0], min(kernel.shape[-2:])
    if not isinstance(batch, int):  # of symbolic size, in an export
        return False
    if not jnp.issubdtype(images.dtype, jnp.floating):
        return False
    if kernel.ndim == 4 and places <= SMALL_MAP and narrow >= SMALL_MAP_CHANNELS:
        return True
    return narrow >= MANY_CHANNELS and batch * places <= 2 * narrow


def _pieces(images: Array, kernel: Array, places: int) -> int:
    """Into how many pieces the batch is split for the weight gradient on CPU; 1 where that does not pay."""
    batch = images.shape[0]
    if (
        not isinstance(batch, int)  # of symbolic size, in an export
        or kernel.ndim != 4
        or max(kernel.shape[-2:]) > FEW_CHANNELS
        or images.dtype != jnp.float32
    ):
        return 1
    most = min(batch // PIECE_IMAGES, batch * places // PIECE_PLACES)
    return next((count for count in PIECES if count <= most and batch % count == 0), 1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _with_split_gradient(geometry: Geometry, pieces: int, images: Array, kernel: Array) -> Array:
    return plain(geometry, images, kernel)


@functools.partial(_with_split_gradient.defjvp, symbolic_zeros=True)
def _split_gradient(geometry: Geometry, pieces: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    """The derivative along the kernel is a convolution piece by piece: transposed, it sums weight gradients.

    A rule for tangents, not for cotangents, keeps every order and both modes of differentiation.
    """
    images, kernel = primals
    d_images, d_kernel = tangents
    whole, terms = bound(plain, geometry), []
    if not is_zero(d_images):
        terms.append(whole(d_images, kernel))
    if not is_zero(d_kernel):
        in_pieces = bound(_in_pieces, geometry, pieces)
        terms.append(lax.platform_dependent(images, d_kernel, cpu=in_pieces, default=whole))
    value = _with_split_gradient(geometry, pieces, images, kernel)
    return value, sum(terms[1:], terms[0]) if terms else jnp.zeros_like(value)


def _in_pieces(geometry: Geometry, count: int, images: Array, kernel: Array) -> Array:
    # Piece i holds every n-th image from i on: so it has an equal part of each shard of a sharded batch, and
    # no device has to fetch images from another. Runs of neighbours would be whole shards.
    pieces = images.reshape(images.shape[0] // count, count, *images.shape[1:])
    results = [plain(geometry, pieces[:, i], kernel) for i in range(count)]
    return jnp.stack(results, axis=1).reshape(images.shape[0], *results[0].shape[1:])


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
