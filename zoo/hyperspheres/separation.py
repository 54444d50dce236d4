"""Prototypes: as many unit vectors as there are classes, as far from each other as they can be. Lecture L80, L85.

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, section 3.1. Where the best placing is known
it is written down: a simplex for classes <= dims + 1 (every pair at cosine -1 / (classes - 1)), the axes in both
directions for classes <= 2 dims (cosine 0), a regular polygon in two dimensions. Elsewhere it is searched: in three
dimensions that is Tammes' problem.

The slide minimises the largest cosine of all pairs, the authors' code the mean, over the classes, of each one's
largest cosine to another (erratum E16). `separate` does either.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from zoo.names import unknown

STEPS, RESTARTS = 2000, 32
SHARPEST = 1e6
"""The last sharpness: the smooth maximum is log(pairs) / 1e6 above the largest cosine at most."""
GENTLEST, EAGER = 2.0, 300.0
"""The first sharpness of the first start and of the last: a gentle one always ends in the same valley."""
LONGEST, SHORTEST = 0.1, 1e-6
"""The first and the last length of a step."""
TURN = 5
"""Every second start for the mean goes by the largest cosine of all pairs for the first fifth of its steps."""
MANY = 2**20
"""Cosines of all starts together, above which there are fewer starts: a thousand classes have one, a gentle one."""
MOST = 10_000
"""Classes that are placed by a search."""
OBJECTIVES = {"max": (-2, -1), "mean": -1}
"""What is minimised, and the axes of the cosines over which it takes the largest."""


def separate(
    key: PRNGKeyArray,
    classes: int,
    dims: int,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    objective: str = "max",
) -> Float[Array, "classes dims"]:
    """Unit vectors whose largest cosines are as small as possible.

    Where no closed form is known, gradient descent on a smooth maximum that sharpens, from several starts at once;
    the best by the objective is kept. Fewer starts when there are many classes. Up to dims + 1 classes the simplex is
    best by either objective, and `cross_polytope` or, for the mean, `leaning_cross_polytope` up to 2 dims; in two
    dimensions the `polygon` is best by the largest cosine. The same key gives the same vectors, with the same versions
    on the same kind of processor: elsewhere a search may end in another placing, as good.

    Args:
      key: of the starts; closed forms do not depend on it.
      classes: how many vectors.
      dims: of the space.
      steps: of descent.
      restarts: starts, each with a first sharpness of its own.
      objective: "max", the slide's `largest_cosine`, or "mean", the `mean_of_largest_cosines` of the authors' code.

    Raises:
      ValueError: fewer than one class, step or start, fewer than two dimensions, or too many classes for a search.
      UnknownNameError: another objective.

    >>> cosines = separate(jax.random.key(0), 4, 3) @ separate(jax.random.key(0), 4, 3).T
    >>> round(cosines[0, 1].item(), 6)
    -0.333333
    """
    given = ("classes", classes, 1), ("dims", dims, 2), ("steps", steps, 1), ("restarts", restarts, 1)
    for name, value, least in given:
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    if classes <= dims + 1:
        return simplex(classes, dims)
    if classes <= 2 * dims:
        return cross_polytope(classes, dims) if objective == "max" else leaning_cross_polytope(classes, dims)
    if dims == 2 and objective == "max":
        return polygon(classes)
    if classes > MOST:
        raise ValueError(f"classes: a search takes at most {MOST}, whose cosines fill 400 MB, got {classes}")
    starts = max(1, min(restarts, MANY // classes**2))
    sharpness = tuple(GENTLEST * (EAGER / GENTLEST) ** (i / max(1, restarts - 1)) for i in range(starts))
    return _searched(key, classes, dims, steps, sharpness, objective)


def max_separation(classes: int) -> Float[Array, "classes classes-1"]:
    """The simplex in the coordinates of Kasarla et al., 2022, Maximum Class Separation as Inductive Bias in One Matrix.

    The transpose of their P_K, K = classes - 1, where P_1 = [1, -1] and P_k = [[1, -1/k], [0, sqrt(1 - 1/k^2) P_k-1]].
    Its entries are written down: the square roots from that of P_K to that of P_k+1 multiply to
    sqrt(k (K + 1) / (K (k + 1))). Any other simplex is this one turned or mirrored.

    Raises:
      ValueError: fewer than two classes.

    >>> max_separation(3).round(4)
    Array([[ 1.   ,  0.   ],
           [-0.5  ,  0.866],
           [-0.5  , -0.866]], dtype=float32)
    """
    if classes < 2:
        raise ValueError(f"classes: expected at least 2, got {classes}")
    import numpy as np

    row, column = np.arange(classes)[:, None], np.arange(classes - 1)
    k = classes - 1.0 - column
    scale = np.sqrt(k * classes / ((classes - 1) * (k + 1)))
    return jnp.asarray(np.where(row == column, scale, np.where(row > column, -scale / k, 0.0)))


def simplex(classes: int, dims: int) -> Float[Array, "classes dims"]:
    """At most dims + 1 vectors, every pair of which has the cosine -1 / (classes - 1), the smallest there is.

    The rows of `max_separation`, with zeros for the dimensions that are left.

    Raises:
      ValueError: more classes.
    """
    if not 1 <= classes <= dims + 1:
        raise ValueError(f"a simplex in {dims} dimensions has 1 to {dims + 1} vectors, got {classes}")
    if classes == 1:
        return jnp.eye(1, dims)
    return jnp.pad(max_separation(classes), ((0, 0), (0, dims - classes + 1)))


def polygon(classes: int) -> Float[Array, "classes 2"]:
    """The corners of a regular polygon: the best of two dimensions.

    Raises:
      ValueError: no class.
    """
    if classes < 1:
        raise ValueError(f"classes: expected at least 1, got {classes}")
    angles = 2 * jnp.pi * jnp.arange(classes) / classes
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


def cross_polytope(classes: int, dims: int) -> Float[Array, "classes dims"]:
    """At most 2 dims vectors, along the axes in both directions: no pair has a positive cosine.

    Raises:
      ValueError: more classes.
    """
    if not 1 <= classes <= 2 * dims:
        raise ValueError(f"a cross-polytope in {dims} dimensions has 1 to {2 * dims} vectors, got {classes}")
    return jnp.concatenate([jnp.eye(dims), -jnp.eye(dims)])[:classes]


def leaning_cross_polytope(classes: int, dims: int) -> Float[Array, "classes dims"]:
    """From dims + 2 to 2 dims vectors; the mean of each one's largest cosine to another is below 0 short of 2 dims.

    The first m = 2 dims - classes have the cosine -a with every other vector. The k = classes - m that are left are
    along axes in both directions, and lean away from the first: of two of them on different axes the cosine rises
    only to m a^2 / (1 - (m - 1) a). Here a = 1 / ((classes - 1) (1 + sqrt(k / (classes - 1)))), which minimises the
    mean. That no other placing has a smaller mean is not proven, but descents from random starts end in this one.

    Raises:
      ValueError: fewer or more classes.
    """
    if not dims + 2 <= classes <= 2 * dims:
        raise ValueError(
            f"a leaning cross-polytope in {dims} dimensions has {dims + 2} to {2 * dims} vectors, got {classes}"
        )
    alone, axes = 2 * dims - classes, classes - dims
    if not alone:
        return cross_polytope(classes, dims)
    import numpy as np

    a = 1 / ((classes - 1) * (1 + math.sqrt(2 * axes / (classes - 1))))
    along = 1 - (alone - 1) * a  # of the first: their number times the square of each one's part along their sum
    first = math.sqrt(1 + a) * (np.eye(alone) - 1 / alone) + math.sqrt(along) / alone
    lean = alone * a**2 / along
    away = np.full((axes, alone), -math.sqrt(lean / alone))
    others = math.sqrt(1 - lean) * np.eye(axes)
    return jnp.asarray(np.block([[first, np.zeros((alone, axes))], [away, others], [away, -others]]))


def largest_cosine(prototypes: Float[Array, "classes dims"]) -> Float[Array, ""]:
    """The largest cosine between two of the unit vectors: what the slide minimises."""
    return _cosines(prototypes).max()


def mean_of_largest_cosines(prototypes: Float[Array, "classes dims"]) -> Float[Array, ""]:
    """The mean, over the unit vectors, of each one's largest cosine to another: what the authors' code minimises."""
    return _cosines(prototypes).max(axis=1).mean()


def slope(
    vectors: Float[Array, "*batch classes dims"], sharpness: Float[Array, "*batch"], objective: str
) -> Float[Array, "*batch classes dims"]:
    """The gradient on the sphere of the smooth objective: log sum exp(sharpness cosine) / sharpness, of all pairs
    for "max", of each class's and added up for "mean".

    By hand: two matrix products and one exponential of every pair take half as long as what autodiff makes, or less.
    """
    weights = jax.nn.softmax(sharpness[..., None, None] * _cosines(vectors), axis=OBJECTIVES[objective])
    both = weights + weights.swapaxes(-1, -2)
    pull = jnp.einsum("...kl,...ld->...kd", both, vectors, precision=jax.lax.Precision.HIGHEST)
    return pull - (pull * vectors).sum(-1, keepdims=True) * vectors


def _cosines(prototypes: Float[Array, "*batch classes dims"]) -> Float[Array, "*batch classes classes"]:
    """Of every pair; that of a vector with itself does not count."""
    products = jnp.einsum("...kd,...ld->...kl", prototypes, prototypes, precision=jax.lax.Precision.HIGHEST)
    return jnp.where(jnp.eye(prototypes.shape[-2], dtype=bool), -jnp.inf, products)


def _unit(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _searched(
    key: PRNGKeyArray, classes: int, dims: int, steps: int, sharpness: tuple[float, ...], objective: str
) -> Float[Array, "classes dims"]:
    """The best, by the objective, of as many starts as first sharpnesses."""
    import optax

    adam = optax.scale_by_adam(b1=0.9, b2=0.99)

    def descend(vectors: Array, gentle: Array, turn: int) -> Array:
        """By the largest cosine of all pairs up to the step `turn`, by the mean from there on."""

        def step(objective: str, i: Array, carry: tuple) -> tuple:
            vectors, memory = carry
            done = i / steps
            move, memory = adam.update(slope(vectors, gentle * (SHARPEST / gentle) ** done, objective), memory)
            return _unit(vectors - LONGEST * (SHORTEST / LONGEST) ** done * move), memory

        carry = vectors, adam.init(vectors)
        for first, last, what in ((0, turn, "max"), (turn, steps, "mean")):
            if first < last:
                carry = jax.lax.fori_loop(first, last, functools.partial(step, what), carry)
        return carry[0]

    starts = len(sharpness)
    gentle, vectors = jnp.array(sharpness), _unit(jax.random.normal(key, (starts, classes, dims)))
    if objective == "max":
        vectors = descend(vectors, gentle, steps)
    else:  # few vectors are best without a turn, many with one
        turns = [descend(vectors[::2], gentle[::2], steps // TURN)]
        if starts > 1:
            turns.append(descend(vectors[1::2], gentle[1::2], 0))
        vectors = jnp.concatenate(turns)
    return vectors[_cosines(vectors).max(OBJECTIVES[objective]).reshape(starts, -1).mean(1).argmin()]
