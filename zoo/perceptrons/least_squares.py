"""Linear least squares: the objective J(w), its gradient, and its minimum in closed form.

Bishop, 2006, Pattern Recognition and Machine Learning, section 3.1.1. Lecture row L10, erratum E23.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def least_squares_objective(
    weights: Float[Array, " features"],
    inputs: Float[Array, "examples features"],
    targets: Float[Array, " examples"],
) -> Float[Array, ""]:
    """J(w) = ½ Σ_n (t_n - x_nᵀ w)². A bias is the weight of a column of ones."""
    return 0.5 * jnp.sum((targets - inputs @ weights) ** 2)


def least_squares_gradient(
    weights: Float[Array, " features"],
    inputs: Float[Array, "examples features"],
    targets: Float[Array, " examples"],
) -> Float[Array, " features"]:
    """∇J(w) = -Σ_n (t_n - x_nᵀ w) x_n."""
    # E23: the slide reads a zero gradient as minimal loss. It marks a stationary point; here that is the
    # minimum because J is convex (its Hessian is XᵀX). The two-layer worked example has a saddle at w = 0.
    return -(targets - inputs @ weights) @ inputs


def least_squares_solution(
    inputs: Float[Array, "examples features"], targets: Float[Array, " examples"]
) -> Float[Array, " features"]:
    """The w where ∇J(w) = 0; of several (fewer examples than features) the shortest, w = X⁺ t.

    >>> least_squares_solution(jnp.eye(2), jnp.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    # With full column rank X⁺ = (XᵀX)⁻¹Xᵀ; going through the singular values of X keeps digits that forming
    # XᵀX, which squares the condition number, would lose.
    return jnp.linalg.pinv(inputs) @ targets
