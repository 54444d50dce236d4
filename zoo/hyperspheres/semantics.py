"""Privileged information: prototypes that are far apart, and nearer to each other where classes are alike. L86.

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, the part on privileged information. For a class
i and two others, S = 1 where j is more like i than k is, and the cross-entropy of S with sigmoid(cos(i, j) - cos(i, k))
asks the prototypes for the same order. E17: the authors' code has another loss, a difference of mean cosines, and
does not run; here is the loss of the slide. What classes are like may come from word vectors (vectors.py), from a
taxonomy (taxonomy.py) or from anything else that can be written as a matrix.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from zoo.names import unknown

WEIGHT, TEMPERATURE, STEPS, TRIPLETS = 1.0, 1.0, 1500, 2**14
GENTLEST, SHARPEST = 2.0, 1e3
"""The first and the last sharpness of the smooth maximum, log(pairs) / 1e3 above the largest cosine at most."""
LONGEST, SHORTEST = 0.1, 1e-4
"""The first and the last length of a step."""
OBJECTIVES = {"max": (0, 1), "mean": 1}
"""The axes over which the largest cosine is taken: over all on the slide, of each class in the authors' code (E16)."""


def ranking_loss(
    prototypes: Float[Array, "classes dims"],
    similarity: Float[Array, "classes classes"],
    triplets: Int[Array, "triplets 3"] | None = None,
    temperature: float = 1.0,
) -> Float[Array, ""]:
    """The mean cross-entropy over triplets (i, j, k) of different classes: log 2 where all cosines are equal.

    Triplets in which j and k are equally like i are left out. Row i of the similarity says how like i the others are;
    it need not be symmetric, and its diagonal does not count. All triplets are gone through, class by class, in memory
    classes^2 and time classes^3: above some 128 classes give a sample of them, as `sample_triplets` draws it.

    The difference of two cosines is in [-2, 2], so on the slide the sigmoid is in [0.12, 0.88]: its loss is never 0,
    and goes on pulling at pairs that are in order. A temperature below 1 divides the difference, and asks for the order
    alone: more triplets hold, and like classes come closer to each other.

    Args:
      prototypes: unit vectors.
      similarity: the larger, the more alike.
      triplets: i, j and k of each, in any order of j and k; all there are where None.
      temperature: of the sigmoid; 1 on the slide.

    Raises:
      ValueError: the similarity is not square, or not of as many classes, or there are fewer than three.
    """
    _check_shape(similarity, len(prototypes))
    similarity = jnp.asarray(similarity)
    # The cross-entropy of (i, j, k) is that of (i, k, j): it is enough to take those in which j is the nearer.
    if triplets is not None:
        i, j, k = triplets.T
        order = jnp.sign(similarity[i, j] - similarity[i, k])
        counted = (order != 0) & (i != j) & (i != k)
        differences = (prototypes[i] * (prototypes[j] - prototypes[k])).sum(-1)
        losses = jax.nn.softplus(-order * differences / temperature)
        return jnp.where(counted, losses, 0.0).sum() / jnp.maximum(counted.sum(), 1)

    @jax.checkpoint
    def of_class(row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        cosines, alike, others = row
        nearer = (alike[:, None] > alike) & others[:, None] & others
        losses = jax.nn.softplus((cosines - cosines[:, None]) / temperature)
        return jnp.where(nearer, losses, 0.0).sum(), nearer.sum()

    cosines = jnp.matmul(prototypes, prototypes.T, precision=jax.lax.Precision.HIGHEST)
    sums, counts = jax.lax.map(of_class, (cosines, similarity, ~jnp.eye(len(prototypes), dtype=bool)))
    return sums.sum() / jnp.maximum(counts.sum(), 1)


def sample_triplets(key: PRNGKeyArray, classes: int, count: int) -> Int[Array, "count 3"]:
    """Triplets of different classes, each as likely as any other.

    Raises:
      ValueError: fewer than three classes.
    """
    if classes < 3:
        raise ValueError(f"classes: expected at least 3, got {classes}")
    left = jnp.array([[classes], [classes - 1], [classes - 2]])
    i, j, k = jax.random.randint(key, (3, count), 0, left)
    # Each is drawn among the classes that are left, and steps over those that are taken, the lower one first.
    j = j + (j >= i)
    k = k + (k >= jnp.minimum(i, j))
    k = k + (k >= jnp.maximum(i, j))
    return jnp.stack([i, j, k], axis=1)


def triplets_held(prototypes: Float[Array, "classes dims"], similarity: Float[Array, "classes classes"]) -> float:
    """The share of triplets (i, j, k), j more like i than k is, whose prototypes have cos(i, j) > cos(i, k).

    Exact for any number of classes, in time classes^3. Equal cosines count half, so that prototypes at equal angles
    hold 0.5: for a single class i this is (1 + Somers' D) / 2, for all it is the mean over triplets.

    Raises:
      ValueError: the similarity is not square, not of as many classes, not finite, or knows of no order at all; or
        there are fewer than three classes.
    """
    similarity = _checked(similarity, len(prototypes))
    vectors = np.asarray(prototypes, np.float64)
    cosines = vectors @ vectors.T
    held, total = 0.0, 0
    for i, (alike, row) in enumerate(zip(similarity, cosines, strict=True)):
        alike, row = np.delete(alike, i), np.delete(row, i)
        nearer = alike[:, None] > alike
        held += (nearer & (row[:, None] > row)).sum() + (nearer & (row[:, None] == row)).sum() / 2
        total += nearer.sum()
    if not total:
        raise ValueError("expected a similarity that orders some classes, got the same value everywhere")
    return float(held / total)


def separate_with_semantics(
    key: PRNGKeyArray,
    similarity: Float[Array, "classes classes"],
    dims: int,
    weight: float = WEIGHT,
    temperature: float = TEMPERATURE,
    steps: int = STEPS,
    triplets: int = TRIPLETS,
    objective: str = "max",
) -> Float[Array, "classes dims"]:
    """Unit vectors with a small largest cosine and a small `ranking_loss`; the same for the same key.

    Gradient descent on a smooth maximum of the cosines that sharpens, plus weight times the ranking loss of triplets
    that are drawn anew for each step. As the maximum sharpens it leaves all but the closest pairs to the ranking loss.
    For CIFAR-100 and GloVe, in 3, 5, 10 and 25 dims, 73, 71, 69 and 69 % of triplets hold, of `separate` 50 %; the
    largest cosine is 0.950, 0.700, 0.364 and 0.123, of `separate` 0.933, 0.685, 0.336 and 0.110.

    Args:
      key: of the start and of the triplets.
      similarity: row i says how like class i the others are.
      dims: of the space.
      weight: of the ranking loss. More of it: more triplets hold, and like classes come closer.
      temperature: of the ranking loss. Less of it does the same: 0.1 puts like classes nearly on each other in 3 dims.
      steps: of descent.
      triplets: drawn for each step.
      objective: "max", the largest cosine of all, or "mean", the mean of each class's largest.

    Raises:
      UnknownNameError: there is no such objective.
      ValueError: the similarity is not square or not finite; fewer than three classes, two dims, one step or one
        triplet; a weight below 0; or a temperature that is not above 0.
    """
    similarity = _checked(similarity, len(similarity))
    if dims < 2:
        raise ValueError(f"dims: expected at least 2, got {dims}")
    return _search(key, jnp.zeros((0, dims)), similarity, weight, temperature, steps, triplets, objective)


def prototypes_of_unseen(
    key: PRNGKeyArray,
    prototypes: Float[Array, "seen dims"],
    similarity: Float[Array, "classes classes"],
    weight: float = WEIGHT,
    temperature: float = TEMPERATURE,
    steps: int = STEPS,
    triplets: int = TRIPLETS,
    objective: str = "max",
) -> Float[Array, "classes dims"]:
    """Prototypes of classes that a network was not trained on, below those of the seen classes, which stay fixed.

    They are placed as by `separate_with_semantics`, away from all others and in the order of the similarity.

    Args:
      key: of the start and of the triplets.
      prototypes: unit vectors of the seen classes.
      similarity: of the seen classes and then of the unseen ones.
      weight: of the ranking loss.
      temperature: of the ranking loss.
      steps: of descent.
      triplets: drawn for each step; those without an unseen class are thrown away.
      objective: "max" or "mean", of the cosines of unseen classes with all others.

    Raises:
      UnknownNameError: there is no such objective.
      ValueError: more seen classes than the similarity has, or as in `separate_with_semantics`.
    """
    similarity = _checked(similarity, len(similarity))
    seen, classes = len(prototypes), len(similarity)
    if seen > classes:
        raise ValueError(
            f"expected a similarity of the {seen} seen classes and of others, got one of {classes} classes"
        )
    prototypes = jnp.asarray(prototypes)
    if seen == classes:
        return prototypes
    return _search(key, prototypes, similarity, weight, temperature, steps, triplets, objective)


def _search(
    key: PRNGKeyArray,
    seen: Array,
    similarity: np.ndarray,
    weight: float,
    temperature: float,
    steps: int,
    triplets: int,
    objective: str,
) -> Array:
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    for name, value in (("steps", steps), ("triplets", triplets)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    if not weight >= 0:
        raise ValueError(f"weight: expected at least 0, got {weight}")
    if not temperature > 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    return _searched(key, seen, jnp.asarray(similarity, seen.dtype), weight, temperature, steps, triplets, objective)


@functools.partial(jax.jit, static_argnames=("steps", "triplets", "objective"))
def _searched(
    key: PRNGKeyArray,
    seen: Array,
    similarity: Array,
    weight: float,
    temperature: float,
    steps: int,
    triplets: int,
    objective: str,
) -> Array:
    import optax

    classes, dims = len(similarity), seen.shape[1]
    adam = optax.scale_by_adam(b1=0.9, b2=0.99)
    index = jnp.arange(classes)
    # Two seen classes are where they are: neither their cosine nor their order can be bettered.
    movable = (index[:, None] >= len(seen)) | (index >= len(seen))
    pairs = movable & ~jnp.eye(classes, dtype=bool)

    def energy(unseen: Array, sharpness: Array, drawn: Array) -> Array:
        prototypes = jnp.concatenate([seen, _unit(unseen)])
        cosines = jnp.matmul(prototypes, prototypes.T, precision=jax.lax.Precision.HIGHEST)
        largest = jax.nn.logsumexp(sharpness * cosines, axis=OBJECTIVES[objective], where=pairs) / sharpness
        return largest.mean() + weight * ranking_loss(prototypes, similarity, drawn, temperature)

    def step(i: Array, carry: tuple) -> tuple:
        unseen, memory = carry
        done = i / steps
        drawn = sample_triplets(jax.random.fold_in(draws, i), classes, triplets)
        # A triplet of seen classes only becomes one of a single class, which does not count.
        drawn = jnp.where((drawn >= len(seen)).any(1, keepdims=True), drawn, 0)
        slope = jax.grad(energy)(unseen, GENTLEST * (SHARPEST / GENTLEST) ** done, drawn)
        move, memory = adam.update(slope, memory)
        return _unit(unseen - LONGEST * (SHORTEST / LONGEST) ** done * move), memory

    start, draws = jax.random.split(key)
    unseen = _unit(jax.random.normal(start, (classes - len(seen), dims), seen.dtype))
    unseen, _ = jax.lax.fori_loop(0, steps, step, (unseen, adam.init(unseen)))
    return jnp.concatenate([seen, unseen])


def _unit(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)


def _check_shape(similarity: Array | np.ndarray, classes: int) -> None:
    if similarity.shape != (classes, classes):
        raise ValueError(f"expected a similarity of {classes} by {classes} classes, got shape {similarity.shape}")
    if classes < 3:
        raise ValueError(f"expected at least 3 classes, got {classes}: a triplet has three")


def _checked(similarity: Array | np.ndarray, classes: int) -> np.ndarray:
    similarity = np.asarray(similarity)
    _check_shape(similarity, classes)
    if not np.isfinite(similarity).all():
        raise ValueError(f"expected finite similarities, got {(~np.isfinite(similarity)).sum()} that are not")
    return similarity
