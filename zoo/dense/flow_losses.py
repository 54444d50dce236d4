"""Losses of optical flow, as two sums: FlowNet's over scales, RAFT's over updates, and one that needs no true flow.

Dosovitskiy et al., 2015, FlowNet, section 5; Teed and Deng, 2020, RAFT, section 3.4; without true flow Jonschkowski et
al., 2020, What Matters in Unsupervised Optical Flow, section 4. Lecture row L62.

A loss is a total and a weight, so that it is exact for whoever adds them up over devices; it is total / weight, and
zero where no pixel counts. NaN of the true flow says that it is not known there.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from zoo.dense.flow_metrics import end_point_error, known
from zoo.dense.flownet import STRIDES
from zoo.names import unknown
from zoo.nn.precision import widened

Flow = Float[Array, "batch height width 2"]
Pixels = Bool[Array, "batch height width"]
Images = Float[Array, "batch height width channels"]

MULTI_SCALE_WEIGHTS = (0.32, 0.08, 0.02, 0.01, 0.005)
"""Of FlowNet's scales, from coarse to fine."""


class Sums(NamedTuple):
    """A loss: `total` over `weight`. The weight does not depend on the parameters."""

    total: Float[Array, ""]
    weight: Float[Array, ""]


def multi_scale_loss(
    flows: Sequence[Float[Array, "batch _ _ 2"]],
    target: Flow,
    valid: Pixels | None = None,
    weights: Sequence[float] = MULTI_SCALE_WEIGHTS,
    strides: Sequence[int] = STRIDES,
) -> Sums:
    """FlowNet's loss: the end-point errors of each scale, added up over places and weighted, in pixels.

    The true flow of a place is the mean over those of its pixels whose flow is known. The weight is the number of
    places of the finest scale that have one; the paper divides by images instead, and its flows are a twentieth.

    Args:
      flows: from coarse to fine, a place for every `stride` pixels begun, from the upper left corner on.
      target: the true flow in pixels; NaN where it is not known.
      valid: which pixels count; by default those whose flow is known.
      weights: of each scale's error.
      strides: pixels from one place to the next, of each scale.

    Raises:
      ValueError: as many flows, weights and strides are not given, or a flow is of another size.

    >>> flow = jnp.ones((1, 8, 8, 2))
    >>> sums = multi_scale_loss((flow[:, :1, :1], flow[:, :2, :2]), 0 * flow, weights=(2.0, 1.0), strides=(8, 4))
    >>> round(float(sums.total), 4), float(sums.weight)  # 2 * 1 + 1 * 4 places of an error of 1.4142
    (8.4853, 4.0)
    """
    if not len(flows) == len(weights) == len(strides) > 0:
        raise ValueError(
            f"expected as many flows as weights and strides, got {len(flows)}, {len(weights)} and {len(strides)}"
        )
    target, counts = _known(target, valid)
    total, counted = jnp.zeros((), target.dtype), counts[..., 0]
    for flow, weight, stride in zip(flows, weights, strides, strict=True):
        pixels = _cells(counts, stride)
        if flow.shape != (*pixels.shape[:3], 2):
            raise ValueError(f"expected a flow of {(*pixels.shape[:3], 2)} at stride {stride}, got {flow.shape}")
        mean = _cells(target, stride) / jnp.maximum(pixels, 1)
        counted = pixels[..., 0] > 0
        total = total + weight * jnp.where(counted, end_point_error(flow.astype(mean.dtype), mean), 0).sum()
    return Sums(total, counted.sum(dtype=target.dtype))


def sequence_loss(
    flows: Sequence[Flow], target: Flow, valid: Pixels | None = None, gamma: float = 0.8, max_flow: float = 400.0
) -> Sums:
    """RAFT's loss: the absolute errors of every update's flow, of which an update counts gamma of the next, in pixels.

    The weight is the number of pixels that count; the paper's code divides by all pixels.

    Args:
      flows: from the first to the last update.
      target: the true flow in pixels; NaN where it is not known.
      valid: which pixels count; by default those whose flow is known.
      gamma: what an update's error counts of the next one's.
      max_flow: pixels that move as far or farther do not count.

    Raises:
      ValueError: no flows, or one of another shape than the true flow.

    >>> flow = jnp.zeros((1, 2, 2, 2))
    >>> round(float(sequence_loss([flow, flow], flow + 3).total), 4)  # 4 pixels of an error of 3, counted 0.8 + 1 times
    21.6
    """
    if not flows or any(flow.shape != target.shape for flow in flows):
        raise ValueError(f"expected flows of shape {target.shape}, got {[flow.shape for flow in flows]}")
    target, counts = _known(target, valid)
    counts = counts * (jnp.linalg.norm(target, axis=-1, keepdims=True) < max_flow)
    total = jnp.zeros((), target.dtype)
    for number, flow in enumerate(reversed(flows)):
        error = jnp.where(counts > 0, jnp.abs(flow.astype(target.dtype) - target), 0)
        total = total + gamma**number * error.mean(-1).sum()
    return Sums(total, counts.sum())


def photometric_loss(
    first: Images,
    warped: Images,
    counted: Pixels,
    kind: str = "census",
    occluded: Pixels | None = None,
) -> Sums:
    """How little images look like those that follow, warped back by the flow.

    Args:
      first: images, whose values go from 0 to 1.
      warped: the second images where the flow leads, as `zoo.dense.warp` gives them.
      counted: where the flow stays inside the second images.
      kind: "charbonnier" compares colours; "census" what is brighter than its neighbours, which light changes less.
      occluded: pixels that the second images do not show, which do not count.

    Raises:
      UnknownNameError: there is no such kind.
      ValueError: images of different shapes.
    """
    if kind not in PHOTOMETRIC:
        raise unknown("photometric loss", kind, PHOTOMETRIC)
    if first.shape != warped.shape or first.ndim != 4:
        raise ValueError(f"expected images (batch, height, width, channels), got {first.shape} and {warped.shape}")
    counts = counted if occluded is None else counted & ~occluded
    errors, inner = PHOTOMETRIC[kind](first, warped)
    counts = counts & inner
    return Sums(jnp.where(counts, errors, 0).sum(), counts.sum(dtype=errors.dtype))


def smoothness_loss(flow: Flow, images: Images, edges: float = 150.0) -> Sums:
    """How much the flow changes from a pixel to the next, but where the image changes too.

    Of first order, as in Jonschkowski et al., 2020, section 4.2: the differences' Charbonnier penalty, times
    exp(-edges |change of the image|), its mean over channels. The weight is the number of pairs of neighbours.

    Args:
      flow: in pixels.
      images: those that the flow begins from, whose values go from 0 to 1.
      edges: how soon a change of the image allows one of the flow.

    Raises:
      ValueError: flow and images of different sizes.
    """
    if flow.shape[:3] != images.shape[:3]:
        raise ValueError(f"expected flow and images of one size, got {flow.shape} and {images.shape}")
    flow, images = map(widened, (flow, images))
    total, weight = jnp.zeros((), flow.dtype), 0
    for axis in (1, 2):
        change = jnp.abs(jnp.diff(images, axis=axis)).mean(-1, keepdims=True)
        terms = jnp.exp(-edges * change) * charbonnier(jnp.diff(flow, axis=axis))
        total = total + terms.mean(-1).sum()
        weight += change.size
    return Sums(total, jnp.asarray(weight, flow.dtype))


def charbonnier(error: Float[Array, "*n"], epsilon: float = 1e-3) -> Float[Array, "*n"]:
    """The absolute value, round at zero: the root of error^2 + epsilon^2. Sun, Roth and Black, 2010."""
    return jnp.sqrt(jnp.square(error) + epsilon**2)


def _charbonnier_errors(first: Images, warped: Images) -> tuple[Array, Array]:
    errors = charbonnier(first - warped).mean(-1)
    return errors, jnp.ones(errors.shape, bool)


def _census_errors(first: Images, warped: Images, radius: int = 3) -> tuple[Array, Array]:
    """The robust distance of census transforms; those at the border see beyond it, and do not count."""
    ours, theirs = census(first, radius), census(warped, radius)
    square = jnp.square(ours - theirs)
    distance = (square / (0.1 + square)).sum(-1)
    errors = jnp.power(distance + 0.01, 0.4)
    rows, columns = (jnp.arange(size) for size in errors.shape[1:3])
    inner = [(at >= radius) & (at < at.size - radius) for at in (rows, columns)]
    return errors, jnp.broadcast_to(inner[0][:, None] & inner[1], errors.shape)


def census(images: Images, radius: int = 3) -> Float[Array, "batch height width neighbours"]:
    """Of each pixel how much brighter each pixel around it is, from -1 to 1; zeros are beyond the border.

    The difference of grey values in 255 steps, d, becomes d / sqrt(0.81 + d^2). Stein, 2004; Meister, Hur and Roth,
    2018, UnFlow, section 3.2.

    Args:
      images: of one channel or of three, red, green and blue, from 0 to 1.
      radius: pixels to either side.

    >>> census(jnp.ones((1, 9, 9, 3))).shape
    (1, 9, 9, 49)
    """
    shares = jnp.array([0.2989, 0.587, 0.114], images.dtype) if images.shape[-1] == 3 else 1 / images.shape[-1]
    grey = 255 * (images * shares).sum(-1)
    side, (height, width) = 2 * radius + 1, grey.shape[1:3]
    around = jnp.pad(grey, ((0, 0), (radius, radius), (radius, radius)))
    near = [around[:, row : row + height, column : column + width] for row in range(side) for column in range(side)]
    difference = jnp.stack(near, axis=-1) - grey[..., None]
    return difference * lax.rsqrt(0.81 + jnp.square(difference))


PHOTOMETRIC: dict[str, Callable[[Images, Images], tuple[Array, Array]]] = {
    "census": _census_errors,
    "charbonnier": _charbonnier_errors,
}
"""Errors of pixels, and which of them count; by name."""


def _known(target: Flow, valid: Pixels | None) -> tuple[Flow, Float[Array, "batch height width 1"]]:
    """The true flow in float32 at least, zero where it is not known, and 1 where it is."""
    target = widened(target)
    counted = known(target) if valid is None else known(target) & valid
    return jnp.where(counted[..., None], target, 0), counted[..., None].astype(target.dtype)


def _cells(values: Float[Array, "batch height width channels"], side: int) -> Float[Array, "batch _ _ channels"]:
    """The sums of squares of pixels; the last ones may hang over the borders."""
    batch, height, width, channels = values.shape
    rows, columns = -(-height // side), -(-width // side)
    beyond = ((0, 0), (0, rows * side - height), (0, columns * side - width), (0, 0))
    return jnp.pad(values, beyond).reshape(batch, rows, side, columns, side, channels).sum((2, 4))
