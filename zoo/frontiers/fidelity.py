"""How near made images are to real ones, measured on their features: as a whole, in quality, in variety.

Heusel et al., 2017, GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, equation 6 (the
Fréchet distance); Kynkäänniemi et al., 2019, Improved Precision and Recall Metric for Assessing Generative Models.
Numbers compare only where features and the number of images are the same: each distance is larger for fewer images.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

ROWS = 256
"""Whose distances to all others are in memory at a time."""


class Nearest(NamedTuple):
    """Of each vector the nearest one among others."""

    distance: Float[Array, " n"]
    place: Int[Array, " n"]


class PrecisionRecall(NamedTuple):
    """From 0 to 1."""

    precision: Float[Array, ""]
    """The share of made images that lie among real ones: quality."""
    recall: Float[Array, ""]
    """The share of real images that lie among made ones: variety."""


def frechet_distance(real: Float[Array, "n dims"], made: Float[Array, "m dims"]) -> Float[Array, ""]:
    """The squared Fréchet distance of the normal distributions with the mean and the covariance of each.

    |a - b|^2 + trace(A + B - 2 (A^1/2 B A^1/2)^1/2). Both roots are of symmetric matrices, by their eigenvalues.

    Raises:
      ValueError: other ranks, other dimensions, or fewer than two vectors.

    >>> points = jnp.array([[0.0], [2.0]])
    >>> float(frechet_distance(points, points + 3)), round(float(frechet_distance(points, 3 * points)), 4)
    (9.0, 12.0)
    """
    _check(real, made, 2)
    a, b = real.mean(axis=0), made.mean(axis=0)
    root = _root(_covariance(real))
    shared = _root(root @ _covariance(made) @ root)
    spread = jnp.trace(_covariance(real)) + jnp.trace(_covariance(made)) - 2 * jnp.trace(shared)
    return jnp.sum((a - b) ** 2) + jnp.maximum(spread, 0)


def precision_recall(
    real: Float[Array, "n dims"], made: Float[Array, "m dims"], neighbours: int = 3
) -> PrecisionRecall:
    """How many made vectors lie in the balls around real ones, and how many real ones in the balls around made ones.

    The ball around a vector reaches to the `neighbours`-th nearest of its own kind.

    Raises:
      ValueError: other ranks, other dimensions, or no more vectors than neighbours.

    >>> real = jnp.arange(8.0)[:, None]
    >>> [float(share) for share in precision_recall(real, real[:4] / 2, neighbours=1)]
    [1.0, 0.375]
    """
    if neighbours < 1:
        raise ValueError(f"expected at least one neighbour, got {neighbours}")
    _check(real, made, neighbours + 1)
    return PrecisionRecall(*(jnp.mean(_inside(*pair, neighbours)) for pair in ((made, real), (real, made))))


def nearest(queries: Float[Array, "n dims"], others: Float[Array, "m dims"]) -> Nearest:
    """Of each vector the nearest among others, and how far that is: whether images were made or learned by heart.

    Raises:
      ValueError: other ranks, other dimensions, or no others.

    >>> nearest(jnp.array([[0.0, 0.0]]), jnp.array([[6.0, 8.0], [3.0, 4.0]])).distance.tolist()
    [5.0]
    """
    _check(queries, others, 1)

    def of(query: Float[Array, " dims"]) -> Nearest:
        squared = jnp.sum((others - query) ** 2, axis=-1)
        place = jnp.argmin(squared)
        return Nearest(jnp.sqrt(squared[place]), place)

    return lax.map(of, queries, batch_size=ROWS)


def _inside(queries: Array, centres: Array, neighbours: int) -> Bool[Array, " n"]:
    """Whether each query lies in any ball."""

    def radius(centre: Array) -> Array:
        squared = jnp.sum((centres - centre) ** 2, axis=-1)
        return jnp.sort(squared)[neighbours]  # the first is the centre itself

    squares = lax.map(radius, centres, batch_size=ROWS)
    return lax.map(lambda query: jnp.any(jnp.sum((centres - query) ** 2, axis=-1) <= squares), queries, batch_size=ROWS)


def _covariance(vectors: Array) -> Float[Array, "dims dims"]:
    centred = vectors - vectors.mean(axis=0)
    return centred.T @ centred / (len(vectors) - 1)


def _root(matrix: Array) -> Float[Array, "dims dims"]:
    """Of a symmetric matrix without negative eigenvalues; what rounding makes negative is zero."""
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))) @ vectors.T


def _check(one: Array, other: Array, least: int) -> None:
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or min(len(one), len(other)) < least:
        raise ValueError(
            f"expected vectors (n, dims) of the same dimensions, at least {least} of each, got shapes {one.shape} and "
            f"{other.shape}"
        )
