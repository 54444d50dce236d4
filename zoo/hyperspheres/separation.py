"""Prototypes: as many unit vectors as there are classes, as far from each other as they can be. Lecture L80, L85.

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, section 3.1. Where the best placing is known
it is written down: a simplex for classes <= dims + 1 (every pair at cosine -1 / (classes - 1)), and the axes in both
directions for classes <= 2 dims (cosine 0). Elsewhere it is searched: in three dimensions that is Tammes' problem.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

STEPS, RESTARTS = 2000, 32
SHARPEST = 1e6
"""The last sharpness: the smooth maximum is log(pairs) / 1e6 above the largest cosine at most."""
GENTLEST, EAGER = 2.0, 300.0
"""The first sharpness of the first start and of the last: a gentle one always ends in the same valley."""
LONGEST, SHORTEST = 0.1, 1e-6
"""The first and the last length of a step."""
MANY = 2**22
"""Cosines of all starts together, above which there are fewer starts."""


def separate(
    key: PRNGKeyArray, classes: int, dims: int, steps: int = STEPS, restarts: int = RESTARTS
) -> Float[Array, "classes dims"]:
    """Unit vectors whose largest cosine between two is as small as possible; the same for the same key.

    Where no closed form is known, gradient descent on a smooth maximum that sharpens, from several starts at once;
    the best is kept. Fewer starts when there are many classes.

    Args:
      key: of the starts; closed forms do not depend on it.
      classes: how many vectors.
      dims: of the space.
      steps: of descent.
      restarts: starts, each with a first sharpness of its own.

    Raises:
      ValueError: fewer than one class, step or start, or fewer than two dimensions.

    >>> cosines = separate(jax.random.key(0), 4, 3) @ separate(jax.random.key(0), 4, 3).T
    >>> round(cosines[0, 1].item(), 6)
    -0.333333
    """
    given = ("classes", classes, 1), ("dims", dims, 2), ("steps", steps, 1), ("restarts", restarts, 1)
    for name, value, least in given:
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    if classes <= dims + 1:
        return simplex(classes, dims)
    if classes <= 2 * dims:
        return cross_polytope(classes, dims)
    starts = max(1, min(restarts, MANY // classes**2))
    return _searched(key, classes, dims, steps, starts)


def simplex(classes: int, dims: int) -> Float[Array, "classes dims"]:
    """At most dims + 1 vectors, every pair of which has the cosine -1 / (classes - 1), the smallest there is.

    Raises:
      ValueError: more classes.
    """
    if not 1 <= classes <= dims + 1:
        raise ValueError(f"a simplex in {dims} dimensions has 1 to {dims + 1} vectors, got {classes}")
    if classes == 1:
        return jnp.eye(1, dims)
    # Unit vectors along the axes, seen from their mean, in a basis of the plane that they span.
    centred = jnp.eye(classes) - 1 / classes
    vectors = centred @ _helmert(classes).T
    vectors = vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)
    return jnp.pad(vectors, ((0, 0), (0, dims - classes + 1)))


def cross_polytope(classes: int, dims: int) -> Float[Array, "classes dims"]:
    """At most 2 dims vectors, along the axes in both directions: no pair has a positive cosine.

    Raises:
      ValueError: more classes.
    """
    if not 1 <= classes <= 2 * dims:
        raise ValueError(f"a cross-polytope in {dims} dimensions has 1 to {2 * dims} vectors, got {classes}")
    return jnp.concatenate([jnp.eye(dims), -jnp.eye(dims)])[:classes]


def largest_cosine(prototypes: Float[Array, "classes dims"]) -> Float[Array, ""]:
    """The largest cosine between two of the unit vectors: what the slide minimises."""
    return _cosines(prototypes).max()


def mean_of_largest_cosines(prototypes: Float[Array, "classes dims"]) -> Float[Array, ""]:
    """The mean, over the unit vectors, of each one's largest cosine to another: what the authors' code minimises."""
    return _cosines(prototypes).max(axis=1).mean()


def lower_bound(classes: int, dims: int) -> float:
    """What the largest cosine of so many unit vectors cannot be below.

    Rankin, 1955, The Closest Packing of Spherical Caps in n Dimensions. Attained by up to 2 dims vectors, not by more.

    >>> lower_bound(100, 99), lower_bound(100, 50)
    (-0.010101010101010102, 0.0)
    """
    if classes < 2:
        return -1.0
    return -1 / (classes - 1) if classes <= dims + 1 else 0.0


def _helmert(n: int) -> Float[Array, "n-1 n"]:
    """An orthonormal basis of the vectors whose entries add up to 0: row k is k ones, then -k."""
    k = jnp.arange(1, n)[:, None]
    column = jnp.arange(n)[None, :]
    rows = jnp.where(column < k, 1.0, jnp.where(column == k, -k, 0.0))
    return rows / jnp.sqrt(k * (k + 1.0))


def _cosines(prototypes: Float[Array, "*batch classes dims"]) -> Float[Array, "*batch classes classes"]:
    """Of every pair; that of a vector with itself does not count."""
    products = jnp.einsum("...kd,...ld->...kl", prototypes, prototypes, precision=jax.lax.Precision.HIGHEST)
    return jnp.where(jnp.eye(prototypes.shape[-2], dtype=bool), -jnp.inf, products)


def _unit(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _searched(key: PRNGKeyArray, classes: int, dims: int, steps: int, starts: int) -> Float[Array, "classes dims"]:
    import optax

    gentle = jnp.geomspace(GENTLEST, EAGER, starts) if starts > 1 else jnp.full(1, math.sqrt(GENTLEST * EAGER))
    adam = optax.scale_by_adam(b1=0.9, b2=0.99)

    def energy(vectors: Array, sharpness: Array) -> Array:
        cosines = _cosines(_unit(vectors)).reshape(starts, -1)
        return (jax.nn.logsumexp(sharpness[:, None] * cosines, axis=1) / sharpness).sum()

    def step(i: Array, carry: tuple) -> tuple:
        vectors, memory = carry
        done = i / steps
        slope = jax.grad(energy)(vectors, gentle * (SHARPEST / gentle) ** done)
        move, memory = adam.update(slope, memory)
        return _unit(vectors - LONGEST * (SHORTEST / LONGEST) ** done * move), memory

    vectors = _unit(jax.random.normal(key, (starts, classes, dims)))
    vectors, _ = jax.lax.fori_loop(0, steps, step, (vectors, adam.init(vectors)))
    return vectors[_cosines(vectors).max(axis=(1, 2)).argmin()]
