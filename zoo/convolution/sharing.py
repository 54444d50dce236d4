"""Why images get convolutions: a dense layer beside a convolution, in operation and in parameters.

LeCun et al., 1998, Gradient-Based Learning Applied to Document Recognition, section II. Lecture rows L19
and L20.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from zoo.convolution.borders import Border
from zoo.convolution.correlate import cross_correlate


class ParameterCounts(NamedTuple):
    """The parameters, biases included, of two layers with the same input and output."""

    dense: int
    convolution: int


def linear(features: Real[ArrayLike, "*shape"], weights: Real[ArrayLike, "*shape"]) -> Float[Array, ""]:
    """The linear operation xᵀw: global, with a weight of its own for each feature, and one value as result.

    Raises:
      ValueError: the shapes differ.

    >>> linear([[1, 2], [3, 4]], [[0, 1], [0, 1]]).item()
    6.0
    """
    features, weights = jnp.asarray(features), jnp.asarray(weights)
    if features.shape != weights.shape:
        raise ValueError(f"weights: expected a weight per feature, {features.shape}, got {weights.shape}")
    dtype = jnp.result_type(features, weights, float)
    return jnp.vdot(features.astype(dtype), weights.astype(dtype), precision=jax.lax.Precision.HIGHEST)


def dense_matrix(
    kernel: Real[ArrayLike, "taps"], length: int, border: Border = "zero"
) -> Float[Array, "places length"]:
    """The weights of the dense layer that does what `cross_correlate` does to a signal of this length.

    Each row is one linear operation; all hold the same few weights, moved along: local and shared.

    Raises:
      ValueError: the kernel is not of one axis, or as `cross_correlate`.

    >>> dense_matrix([1, 2, 3], 4, border="valid").astype(int).tolist()
    [[1, 2, 3, 0], [0, 1, 2, 3]]
    """
    kernel = jnp.asarray(kernel)
    if kernel.ndim != 1:
        raise ValueError(f"kernel: expected a filter of a signal, (K,), got shape {kernel.shape}")
    return jax.vmap(lambda unit: cross_correlate(unit, kernel, border), out_axes=1)(jnp.eye(length))


def parameter_counts(image_shape: tuple[int, int, int], filters: int, kernel: int) -> ParameterCounts:
    """What a layer from (H, W, C) to (H, W, filters) costs, dense and as a convolution with K x K filters.

    Raises:
      ValueError: a size is not positive.

    Ten 5x5 filters on a colour image of 32x32, then of 224x224: the convolution does not grow with it.

    >>> parameter_counts((32, 32, 3), filters=10, kernel=5)
    ParameterCounts(dense=31467520, convolution=760)
    >>> parameter_counts((224, 224, 3), filters=10, kernel=5)
    ParameterCounts(dense=75529431040, convolution=760)
    """
    height, width, channels = image_shape
    if min(*image_shape, filters, kernel) < 1:
        raise ValueError(f"expected positive sizes, got {image_shape}, filters={filters}, kernel={kernel}")
    outputs = height * width * filters
    return ParameterCounts(
        dense=height * width * channels * outputs + outputs,
        convolution=kernel * kernel * channels * filters + filters,
    )
