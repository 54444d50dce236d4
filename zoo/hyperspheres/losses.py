"""Losses on the sphere: the angle between an output and a prototype is all that counts. Lecture rows L81-L88.

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, equations 1, 5 and 7. The slides write the
absolute value of z . p in the cosine; with it an output opposite to its prototype would have no loss (erratum E14).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

TINY = 1e-12
"""An output shorter than this has no direction: its cosine is 0, and it is given no gradient."""


def cosine(outputs: Float[Array, "*batch dims"], prototypes: Float[Array, "*#batch dims"]) -> Float[Array, "*batch"]:
    """The cosine of the angle between outputs of any length and unit vectors."""
    return (_directions(outputs) * prototypes).sum(-1)


def cosines(
    outputs: Float[Array, "batch dims"], prototypes: Float[Array, "classes dims"]
) -> Float[Array, "batch classes"]:
    """Of every output with every prototype; the largest is the predicted class."""
    return jnp.matmul(_directions(outputs), prototypes.T, precision=jax.lax.Precision.HIGHEST)


def classification_loss(
    outputs: Float[Array, "batch dims"], prototypes: Float[Array, "classes dims"], labels: Int[Array, "batch"]
) -> Float[Array, "batch"]:
    """(1 - cos)^2 of each output and its class's prototype; the slide adds them up over the batch.

    As everywhere in jax, a label that is no class counts as the nearest that is one.
    """
    return (1 - cosine(outputs, prototypes[labels])) ** 2


def classification_gradient(
    outputs: Float[Array, "batch dims"], prototypes: Float[Array, "classes dims"], labels: Int[Array, "batch"]
) -> Float[Array, "batch dims"]:
    """The gradient of the above as the slide derives it: 2 (1 - cos) (cos z / |z| - p) / |z|, tangent to the sphere."""
    targets = prototypes[labels]
    return -2 * (1 - cosine(outputs, targets))[:, None] * _cosine_gradient(outputs, targets)


def regression_loss(
    outputs: Float[Array, "batch dims"],
    pole: Float[Array, "dims"],
    values: Float[Array, "batch"],
    lower: float,
    upper: float,
) -> Float[Array, "batch"]:
    """(r - cos)^2 of each output and the pole of the upper bound, where r is the value on [-1, 1].

    Raises:
      ValueError: the bounds are not in order, or there is not one value an output.
    """
    if values.shape != outputs.shape[:-1]:
        raise ValueError(f"expected one value an output, {outputs.shape[:-1]}, got {values.shape}")
    return (to_cosine(values, lower, upper) - cosine(outputs, pole)) ** 2


def to_cosine(values: Float[Array, "*batch"], lower: float, upper: float) -> Float[Array, "*batch"]:
    """r = 2 (y - lower) / (upper - lower) - 1: 1 at the upper bound, -1 at the lower.

    Raises:
      ValueError: the bounds are not in order.
    """
    _check_bounds(lower, upper)
    return 2 * (values - lower) / (upper - lower) - 1


def from_cosine(cosines: Float[Array, "*batch"], lower: float, upper: float) -> Float[Array, "*batch"]:
    """The inverse: the value that a cosine predicts.

    Raises:
      ValueError: the bounds are not in order.
    """
    _check_bounds(lower, upper)
    return lower + (cosines + 1) / 2 * (upper - lower)


def _directions(outputs: Float[Array, "*batch dims"]) -> Float[Array, "*batch dims"]:
    """Unit vectors; zeros where there is no direction, and no numbers where the outputs are none."""
    # The squares of numbers past 1e19 are infinite: lengths are taken in units of the largest entry.
    largest = jax.lax.stop_gradient(jnp.abs(outputs).max(-1, keepdims=True))
    outputs = outputs / jnp.where(largest > TINY, largest, 1.0)
    squared = (outputs**2).sum(-1, keepdims=True)
    nowhere = squared <= TINY**2
    return jnp.where(nowhere, 0.0, outputs / jnp.sqrt(jnp.where(nowhere, 1.0, squared)))


def _cosine_gradient(outputs: Float[Array, "batch dims"], targets: Float[Array, "batch dims"]) -> Array:
    directions = _directions(outputs)
    along = (outputs * directions).sum(-1, keepdims=True)  # the length
    tangent = targets - (directions * targets).sum(-1, keepdims=True) * directions
    return jnp.where(along <= TINY, 0.0, tangent / jnp.where(along <= TINY, 1.0, along))


def _check_bounds(lower: float, upper: float) -> None:
    if not lower < upper:
        raise ValueError(f"expected a lower bound below the upper, got {lower} and {upper}")
