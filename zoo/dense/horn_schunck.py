"""Classical optical flow by smoothness alone: squared differences of brightness, and squared slopes of the flow.

Horn and Schunck, 1981, Determining Optical Flow. With a pyramid and repeated warps for motions of more than a pixel:
Meinhardt-Llopis, Sanchez Perez and Kondermann, 2013, Horn-Schunck Optical Flow with a Multi-Scale Strategy. L62.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from zoo.dense.flow_pyramid import Plane, Planes, coarse_to_fine, gradient, stored, warped


@functools.partial(jax.jit, static_argnames=("num_warp", "num_iter", "levels", "min_size"))
def horn_schunck(
    first: Num[Array, "batch height width channels"],
    second: Num[Array, "batch height width channels"],
    smoothness: float = 0.2,
    num_warp: int = 5,
    num_iter: int = 50,
    levels: int = 10,
    min_size: int = 16,
) -> Float[Array, "batch height width 2"]:
    """The flow from the first image to the second, x before y in pixels; it is smooth across edges too.

    It minimises (second(x + flow) - first)^2 + smoothness^2 |slopes of the flow|^2 by the paper's iteration (its
    section 12), which the mean of a flow's eight neighbours begins. Differentiable by both images.

    Args:
      first: grey or colour; bytes, or floats from 0 to 1.
      second: of the same size.
      smoothness: alpha of the paper, in brightness, more than 0; 15 where images go to 255 is 0.06.
      num_warp: how often the second image is warped anew, on each size.
      num_iter: of the minimisation, after each warp.
      levels: sizes at most, each half of the one before.
      min_size: of the smallest image's shorter side, in pixels.

    Raises:
      ValueError: the images have not one size, or are neither grey nor colour.
    """
    solver = functools.partial(_solve, smoothness=smoothness, num_warp=num_warp, num_iter=num_iter)
    return coarse_to_fine(first, second, solver, levels, min_size)


def _solve(first: Plane, second: Plane, flow: Planes, smoothness: float, num_warp: int, num_iter: int) -> Planes:
    """On images of one size."""

    @jax.checkpoint  # a gradient keeps what a warp began with, not each iteration
    def with_warp(_: int, flow: Planes) -> Planes:
        moved = warped(second, flow)
        slopes = (gradient(first) + gradient(moved)) / 2
        share = stored(slopes / (smoothness**2 + jnp.sum(slopes**2, axis=1, keepdims=True)))
        difference = stored((moved - first)[:, None] - jnp.sum(slopes * flow, axis=1, keepdims=True))

        def improved(_: int, flow: Planes) -> Planes:
            mean = around(flow)
            return stored(mean - share * (difference + jnp.sum(slopes * mean, axis=1, keepdims=True)))

        return jax.lax.fori_loop(0, num_iter, improved, flow)

    return jax.lax.fori_loop(0, num_warp, with_warp, flow)


def around(flow: Planes) -> Planes:
    """The mean of the eight neighbours, of which those at the corners count half; beyond the border it continues."""
    wide = stored(jnp.pad(flow, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge"))
    rows = stored(wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:])
    # Weights 1 2 1 / 2 4 2 / 1 2 1, without the middle.
    return stored((rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:] - 4 * flow) / 12)
