"""Classical optical flow by total variation and the L1 norm: the two-stream network's input.

Zach, Pock and Bischof, 2007, A Duality Based Approach for Realtime TV-L1 Optical Flow; Wedel, Pock, Zach, Bischof and
Cremers, 2009, An Improved Algorithm for TV-L1 Optical Flow (the median filter). Lecture rows L62, L73.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from zoo.dense.flow_pyramid import Plane, Planes, coarse_to_fine, gradient, stored, warped

_STEP = 0.25
"""Of the dual variables: 1 / (2 x dimensions)."""
_DUAL_UPDATES = 2
"""Of the dual variables, to one of the flow."""
_State = tuple[Planes, Array, Array]
"""A flow, and the dual variables of its slopes along x and along y, each with zeros before the first: see `_BEFORE`."""
_BEFORE = {"x": ((0, 0), (0, 0), (0, 0), (1, 0)), "y": ((0, 0), (0, 0), (1, 0), (0, 0))}


@functools.partial(jax.jit, static_argnames=("num_warp", "num_iter", "prefilter", "levels", "min_size"))
def tv_l1(
    first: Num[Array, "batch height width channels"],
    second: Num[Array, "batch height width channels"],
    attachment: float = 15.0,
    tightness: float = 0.3,
    num_warp: int = 5,
    num_iter: int = 10,
    prefilter: bool = False,
    levels: int = 10,
    min_size: int = 16,
) -> Float[Array, "batch height width 2"]:
    """The flow from the first image to the second, x before y in pixels: smooth, but with edges.

    It minimises attachment x |second(x + flow) - first| + |slopes of the flow|, over a pyramid of sizes. Parameters
    and results are those of `skimage.registration.optical_flow_tvl1` with `tol=0`, which ends none of its warps early:
    the time is always the same, and the result is differentiable by both images.

    Args:
      first: grey or colour; bytes, or floats from 0 to 1.
      second: of the same size.
      attachment: of the flow to the images; the smaller, the smoother the flow.
      tightness: how closely the two parts of the minimisation keep together; more than 0.
      num_warp: how often the second image is warped anew, on each size.
      num_iter: of the minimisation, after each warp.
      prefilter: whether a median of 3x3 pixels goes over the flow before each warp.
      levels: sizes at most, each half of the one before.
      min_size: of the smallest image's shorter side, in pixels.

    Raises:
      ValueError: the images have not one size, or are neither grey nor colour.

    >>> columns = jnp.broadcast_to(jnp.sin(jnp.arange(24) / 3), (1, 24, 24))[..., None]
    >>> flow = tv_l1(columns[:, :, 1:], columns[:, :, :-1])
    >>> flow.shape, jnp.round(jnp.median(flow, axis=(0, 1, 2)), 1).tolist()
    ((1, 24, 23, 2), [1.0, 0.0])
    """
    solver = functools.partial(
        _solve, attachment=attachment, tightness=tightness, num_warp=num_warp, num_iter=num_iter, prefilter=prefilter
    )
    return coarse_to_fine(first, second, solver, levels, min_size)


def _solve(
    first: Plane,
    second: Plane,
    flow: Planes,
    attachment: float,
    tightness: float,
    num_warp: int,
    num_iter: int,
    prefilter: bool,
) -> Planes:
    """On images of one size."""
    threshold = attachment * tightness

    @jax.checkpoint  # a gradient keeps what a warp began with, not each iteration
    def with_warp(_: int, state: _State) -> _State:
        flow, *dual = state
        if prefilter:
            flow = median(flow)
        moved = warped(second, flow)
        slopes = gradient(moved)
        square = jnp.sum(slopes**2, axis=1, keepdims=True)
        safe = jnp.where(square > 0, square, 1)
        beginning = (moved - first)[:, None] - jnp.sum(slopes * flow, axis=1, keepdims=True)

        def improved(_: int, state: _State) -> _State:
            flow, *dual = state
            residual = beginning + jnp.sum(slopes * flow, axis=1, keepdims=True)
            near = jnp.abs(residual) <= threshold * safe
            attached = stored(flow - slopes * jnp.where(near, residual / safe, threshold * jnp.sign(residual)))
            dual_update = functools.partial(_regularised, attached, _STEP / tightness)
            # A loop in place of two copies: there are these to be compiled for each size.
            return jax.lax.fori_loop(0, _DUAL_UPDATES, lambda _, state: dual_update(*state), (attached, *dual))

        return jax.lax.fori_loop(0, num_iter, improved, (flow, *dual))

    none_x, none_y = (jnp.pad(jnp.zeros_like(flow), _BEFORE[axis]) for axis in "xy")
    return jax.lax.fori_loop(0, num_warp, with_warp, (flow, none_x, none_y))[0]


def _regularised(attached: Planes, strength: float, flow: Planes, dual_x: Array, dual_y: Array) -> _State:
    """A step of the projection of Chambolle, 2004, and the flow that follows.

    Neighbours are read from copies that are one row or column larger: many times as fast on CPU as shifting in place.
    """
    height, width = flow.shape[2:]
    wide = stored(jnp.pad(flow, ((0, 0), (0, 0), (0, 1), (0, 1))))
    slope_x = jnp.where(np.arange(width) < width - 1, wide[:, :, :-1, 1:] - flow, 0)
    slope_y = jnp.where(np.arange(height)[:, None] < height - 1, wide[:, :, 1:, :-1] - flow, 0)
    square = slope_x**2 + slope_y**2
    length = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)  # of no slope no gradient is nan
    share = stored(1 / (1 + strength * length))
    dual_x = stored(jnp.pad((dual_x[:, :, :, 1:] - _STEP * slope_x) * share, _BEFORE["x"]))
    dual_y = stored(jnp.pad((dual_y[:, :, 1:] - _STEP * slope_y) * share, _BEFORE["y"]))
    spread_x, spread_y = (dual_x[:, :, :, :-1] - dual_x[:, :, :, 1:]), (dual_y[:, :, :-1] - dual_y[:, :, 1:])
    return stored(attached + spread_x + spread_y), dual_x, dual_y


def median(flow: Planes) -> Planes:
    """Of 3x3 pixels; beyond the border the image is mirrored."""
    height, width = flow.shape[2:]
    wide = jnp.pad(flow, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="symmetric")
    around = [wide[:, :, row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return jnp.sort(jnp.stack(around), axis=0)[4]
