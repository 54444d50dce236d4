"""Depth: the loss that forgives a wrong scale in part, and the errors by which predictions are compared.

Eigen, Puhrsch and Fergus, 2014, Depth Map Prediction from a Single Image using a Multi-Scale Deep Network, sections 3.2
and 4. Lecture row L63.

Depths are in metres, of each pixel. One that is not positive, infinite or nan is unknown: it counts nowhere.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from zoo.nn.precision import widened

DELTA = 1.25
"""Of the accuracies under a threshold: the ratio that a prediction may be off by is this, its square or its cube."""

LEAST = 1e-6
"""The logarithm of a predicted depth of less, in metres, is that of this."""

Depths = Float[Array, "batch height width"]
Counted = Bool[Array, "batch height width"]


def known(true: Depths, counted: Counted | None = None) -> Counted:
    """Which depths are positive and finite, among those that are to be counted.

    >>> known(jnp.array([[[1.5, 0.0, jnp.nan]]])).tolist()
    [[[True, False, False]]]
    """
    is_known = jnp.isfinite(true) & (true > 0)
    return is_known if counted is None else is_known & counted


def scale_invariant_loss(
    predicted: Depths, true: Depths, counted: Counted | None = None, invariance: float = 0.5
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean square of d = log predicted - log true, less a part of the square of its mean: equation 4 of the paper.

    Args:
      predicted: positive.
      true: where it is unknown a pixel counts nowhere.
      counted: which others do.
      invariance: the part, the paper's lambda: 0 is the squared error of the logarithm, 1 its variance, to which the
        scale of an image is all one.

    Returns:
      the sum over the images, and the number of those of which a depth is known.

    >>> true = jnp.array([[[1.0, 2.0, 4.0]]])
    >>> total, images = scale_invariant_loss(3 * true, true, invariance=1.0)
    >>> abs(float(total)) < 1e-6, float(images)
    (True, 1.0)
    """
    is_known = known(true, counted)
    difference = _log(predicted, is_known) - _log(true, is_known)
    count = jnp.sum(is_known, axis=(1, 2), dtype=jnp.float32)
    pixels = jnp.maximum(count, 1)
    mean = jnp.sum(difference, axis=(1, 2)) / pixels
    losses = jnp.sum(jnp.square(difference), axis=(1, 2)) / pixels - invariance * jnp.square(mean)
    return jnp.sum(losses), jnp.sum(count > 0, dtype=jnp.float32)


def depth_sums(predicted: Depths, true: Depths, counted: Counted | None = None) -> dict[str, Float[Array, ""]]:
    """Sums over the pixels whose depth is known, from which errors of any number of batches follow: see `depth_scores`.

    Args:
      predicted: positive.
      true: where it is unknown a pixel counts nowhere.
      counted: which others do.
    """
    is_known = known(true, counted)
    x, y = (jnp.where(is_known, widened(each), 1) for each in (predicted, true))
    ratio = jnp.maximum(x / y, y / x)
    terms = {
        "absolute": jnp.abs(x - y) / y,
        "squared_relative": jnp.square(x - y) / y,
        "squared": jnp.square(x - y),
        "squared_log": jnp.square(jnp.log(x) - jnp.log(y)),
        **{f"delta{power}": ratio < DELTA**power for power in (1, 2, 3)},
    }
    sums = {name: jnp.sum(term, where=is_known, dtype=jnp.float32) for name, term in terms.items()}
    return {"count": jnp.sum(is_known, dtype=jnp.float32), **sums}


def depth_scores(sums: dict[str, float]) -> dict[str, float]:
    """The errors that papers report: "abs_rel", "sq_rel" and "rmse" in metres, "rmse_log", shares "delta1" to "delta3".

    >>> sums = depth_sums(jnp.array([[[2.0, 1.0]]]), jnp.array([[[1.0, jnp.nan]]]))
    >>> {name: round(value, 3) for name, value in depth_scores(sums).items()}
    {'abs_rel': 1.0, 'sq_rel': 1.0, 'rmse': 1.0, 'rmse_log': 0.693, 'delta1': 0.0, 'delta2': 0.0, 'delta3': 0.0}
    """
    count = float(sums["count"])
    mean = {name: float(value) / count if count else float("nan") for name, value in sums.items()}
    return {
        "abs_rel": mean["absolute"],
        "sq_rel": mean["squared_relative"],
        "rmse": mean["squared"] ** 0.5,
        "rmse_log": mean["squared_log"] ** 0.5,
        **{name: mean[name] for name in ("delta1", "delta2", "delta3")},
    }


def _log(depths: Depths, is_known: Counted) -> Depths:
    """The logarithm where it counts, and elsewhere zero, also of its gradient."""
    return jnp.log(jnp.where(is_known, jnp.maximum(widened(depths), LEAST), 1))
