"""A convolution over time, or depth, and space as the sum of convolutions of frames, on CPU.

A window of 3x3x3 is three windows of 3x3: each sees every frame, and the three results are added a frame apart. Frames
are images, and have all the forms that images have; of three axes XLA's own takes up to a hundred times as long. Where
frames have few channels, as clips have colours, those that a window sees are stacked, and convolved once.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn.geometry import Geometry

MULTIPLICATIONS = 2**16
"""With fewer in the whole layer XLA's own form loses little, and compiles faster."""

FEW_CHANNELS = 4
"""Up to so many input channels frames are stacked: a window then has more to multiply at each place."""


def fits(geometry: Geometry, images: Array, kernel: Array, places: int) -> bool:
    """Whether the convolution is of clips, and large enough to be worth another form than XLA's own."""
    if kernel.ndim != 5 or images.dtype not in (jnp.float32, jnp.float64):
        return False  # of narrower types every tap's sum would be rounded
    if geometry.groups > 1 and kernel.shape[-2] == 1:
        return False  # depthwise: `zoo.nn.grouped` has a sum over all taps at once
    batch = images.shape[0]  # of unknown size in an export: then it may be large
    return not isinstance(batch, int) or batch * places * kernel.size >= MULTIPLICATIONS


def by_frames(
    convolution: Callable[..., Array],
    geometry: Geometry,
    clips: Float[Array, "batch time height width channels"],
    kernel: Float[Array, "taps rows columns channels_per_group features"],
) -> Float[Array, "batch times rows columns features"]:
    """The sum over the window's taps in time, each a `convolution` of images."""
    (step, *strides), (pads, *padding), (gap, *dilation), groups = geometry
    clips = jnp.pad(clips, ((0, 0), pads, (0, 0), (0, 0), (0, 0)))
    times = (clips.shape[1] - gap * (kernel.shape[0] - 1) - 1) // step + 1
    taps = [clips[:, tap * gap : tap * gap + (times - 1) * step + 1 : step] for tap in range(kernel.shape[0])]
    if groups == 1 and clips.shape[-1] <= FEW_CHANNELS:
        taps, kernel = [jnp.concatenate(taps, axis=-1)], jnp.concatenate(kernel, axis=-2)[None]
    total = 0.0
    for seen, plane in zip(taps, kernel, strict=True):
        frames = seen.reshape(-1, *seen.shape[2:])
        total += convolution(frames, plane, strides, padding, dilation, groups)
    return total.reshape(-1, times, *total.shape[1:])
