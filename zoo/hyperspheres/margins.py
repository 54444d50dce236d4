"""Softmax with an angular margin: an example must be nearer to its class than to others by so much. Lecture row L89.

Each function takes the cosines of examples with class weights, makes that of the example's own class smaller, and
gives the logits of a softmax cross-entropy. Baselines of hyperspherical prototypes: here the class weights are learned.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def cosface(
    cosines: Float[Array, "batch classes"], labels: Int[Array, "batch"], scale: float = 64.0, margin: float = 0.35
) -> Float[Array, "batch classes"]:
    """scale (cos - margin) for the own class, scale cos for the others.

    Wang et al., 2018, CosFace: Large Margin Cosine Loss for Deep Face Recognition, equation 4.
    """
    return scale * _replace_own(cosines, labels, cosines - margin)


def arcface(
    cosines: Float[Array, "batch classes"], labels: Int[Array, "batch"], scale: float = 64.0, margin: float = 0.5
) -> Float[Array, "batch classes"]:
    """scale cos(angle + margin) for the own class, scale cos(angle) for the others; the margin is in radians.

    Deng et al., 2019, ArcFace: Additive Angular Margin Loss for Deep Face Recognition, equation 3. Where the angle is
    above pi - margin, cos(angle + margin) would rise again; there it is cos(angle) - margin sin(margin), as in the
    authors' code. At an angle of 0 or pi the sine is given no gradient: its own is infinite.

    Raises:
      ValueError: the margin is not in [0, pi / 2].
    """
    if not 0 <= margin <= math.pi / 2:
        raise ValueError(f"margin: expected 0 to pi / 2 radians, got {margin}")
    squared = 1 - cosines**2
    has_sine = squared > 0
    sines = jnp.where(has_sine, jnp.sqrt(jnp.where(has_sine, squared, 1.0)), 0.0)
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond = cosines - margin * math.sin(margin)
    return scale * _replace_own(cosines, labels, jnp.where(cosines > -math.cos(margin), turned, beyond))


def sphereface(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    margin: int = 4,
    lengths: Float[Array, "batch"] | None = None,
) -> Float[Array, "batch classes"]:
    """psi(angle) = (-1)^k cos(margin angle) - 2k for the own class, the angle being in [k pi, (k + 1) pi] / margin.

    Liu et al., 2017, SphereFace: Deep Hypersphere Embedding for Face Recognition, equation 7. cos(margin angle) is a
    Chebyshev polynomial of the cosine, so no arccos is taken and every gradient is finite.

    Args:
      cosines: of examples with classes.
      labels: the own class of each example.
      margin: a whole number that multiplies the angle.
      lengths: of the embeddings, which multiply the logits in the paper; 1 where they are not given.

    Raises:
      ValueError: the margin is not a whole number of at least 1.
    """
    if margin != int(margin) or margin < 1:
        raise ValueError(f"margin: expected a whole number of at least 1, got {margin}")
    before, multiple = jnp.ones_like(cosines), cosines
    for _ in range(int(margin) - 1):
        before, multiple = multiple, 2 * cosines * multiple - before
    k = sum((cosines < math.cos(j * math.pi / margin)).astype(cosines.dtype) for j in range(1, int(margin)))
    logits = _replace_own(cosines, labels, (1 - 2 * (k % 2)) * multiple - 2 * k)
    return logits if lengths is None else lengths[:, None] * logits


def _replace_own(cosines: Array, labels: Array, own: Array) -> Array:
    """`own` at each example's label, the cosines elsewhere."""
    return jnp.where(jax.nn.one_hot(jnp.asarray(labels), cosines.shape[1], dtype=bool), own, cosines)
