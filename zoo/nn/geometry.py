"""Everything about a convolution but its two arrays, and the convolution that XLA has for it."""

from typing import Any, NamedTuple

import jax
from jax import lax
from jaxtyping import Array, Float


class Geometry(NamedTuple):
    """How a window moves over images; hashable, one entry an axis of space."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int


def plain(
    geometry: Geometry,
    images: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels_per_group features"],
) -> Float[Array, "batch *places features"]:
    """The convolution as one operation of XLA: the right form on GPU and TPU."""
    space = "DHW"[3 - len(geometry.strides) :]
    return lax.conv_general_dilated(
        images,
        kernel,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=geometry.groups,
    )


def is_zero(tangent: Any) -> bool:
    """Whether a derivative rule was told that an argument does not vary."""
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)
