"""How far a flow is from the true one: end-point error, and the share of outliers, as sums over pixels.

Baker et al., 2011, A Database and Evaluation Methodology for Optical Flow, section 4.1; Menze and Geiger, 2015, Object
Scene Flow for Autonomous Vehicles, section 5 (Fl-all). Lecture row L62.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from zoo.nn.precision import widened

OUTLIER_PIXELS, OUTLIER_SHARE = 3.0, 0.05
"""An end-point error beyond both, in pixels and of the true vector's length, is an outlier of KITTI 2015."""


def known(flow: Float[Array, "*pixels 2"]) -> Bool[Array, "*pixels"]:
    """Where a flow is: both of its numbers are finite.

    >>> known(jnp.array([[1.0, 2.0], [jnp.nan, 0.0]])).tolist()
    [True, False]
    """
    return jnp.all(jnp.isfinite(flow), axis=-1)


def end_point_error(predicted: Float[Array, "*pixels 2"], true: Float[Array, "*pixels 2"]) -> Float[Array, "*pixels"]:
    """Length of the difference, in pixels, float32 at least; 0 where the true flow is unknown, and so the gradient.

    >>> end_point_error(jnp.array([[3.0, 4.0], [1.0, 1.0]]), jnp.array([[0.0, 0.0], [jnp.nan, 0.0]])).tolist()
    [5.0, 0.0]
    """
    predicted, true = map(widened, (predicted, true))
    squares = jnp.sum(jnp.where(known(true)[..., None], predicted - true, 0) ** 2, axis=-1)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def flow_sums(
    predicted: Float[Array, "batch height width 2"],
    true: Float[Array, "batch height width 2"],
    counted: Bool[Array, "batch height width"],
) -> dict[str, Float[Array, ""]]:
    """Sums over the pixels that are counted and whose true flow is known.

    The mean end-point error (EPE) is "error" over "pixels"; Fl-all is "outliers" over "pixels".

    >>> true = jnp.array([[[[1.0, 0.0], [jnp.nan, 0.0]]]])
    >>> sums = flow_sums(jnp.array([[[[5.0, 3.0], [9.0, 0.0]]]]), true, jnp.ones((1, 1, 2), bool))
    >>> {name: float(value) for name, value in sums.items()}
    {'pixels': 1.0, 'error': 5.0, 'outliers': 1.0}
    """
    counted, true = counted & known(true), widened(true)
    error = end_point_error(predicted, true)
    length = jnp.sqrt(jnp.sum(jnp.where(counted[..., None], true, 0) ** 2, axis=-1))
    outlier = (error > OUTLIER_PIXELS) & (error > OUTLIER_SHARE * length)
    return {
        "pixels": jnp.sum(counted, dtype=jnp.float32),
        "error": jnp.sum(error, where=counted),
        "outliers": jnp.sum(outlier & counted, dtype=jnp.float32),
    }
