"""Losses for one real output, for two classes and for many, with their gradients; stable at any logit.

Bishop, 2006, Pattern Recognition and Machine Learning, sections 4.3.2 and 4.3.4. Lecture rows L15, L16, L17,
errata E3, E5.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.perceptrons.activations import sigmoid


def squared_error(prediction: Float[Array, "..."], actual: Float[Array, "..."]) -> Float[Array, "..."]:
    """½ (prediction - actual)², elementwise; its derivative by the prediction is Δ = prediction - actual."""
    return 0.5 * (prediction - actual) ** 2


def binary_cross_entropy(logits: Float[Array, "..."], labels: Float[Array, "..."]) -> Float[Array, ""]:
    """The mean of -y log ŷ - (1 - y) log(1 - ŷ) with ŷ = sigmoid(logits); labels lie in [0, 1].

    >>> float(binary_cross_entropy(jnp.array([0.0, 1e4]), jnp.array([1.0, 0.0])))  # (log 2 + 10^4) / 2
    5000.3466796875
    """
    # E3: the slide sums from i = 0 to N, which is N + 1 terms, and its y has no index: it is y_i, i = 1..N.
    # -log ŷ = softplus(-z) and -log(1 - ŷ) = softplus(z): no logarithm of a ŷ that has rounded to 0 or 1.
    return jnp.mean(labels * jax.nn.softplus(-logits) + (1 - labels) * jax.nn.softplus(logits))


def binary_cross_entropy_gradient(logits: Float[Array, "..."], labels: Float[Array, "..."]) -> Float[Array, "..."]:
    """The derivative of `binary_cross_entropy` by each logit: (ŷ - y) / N."""
    return (sigmoid(logits) - labels) / jnp.size(logits)


def softmax(logits: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """exp(logits) / sum(exp(logits)) along the axis of the classes.

    >>> softmax(jnp.array([[1e4, 1e4], [-1e4, 1e4]])).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    # E5: the slide's code overflows (from 89 on in float32) and its np.sum without an axis mixes all examples
    # of a batch. Subtracting the maximum changes no ratio, and leaves exp nothing above 0.
    exponentials = jnp.exp(logits - jnp.max(logits, axis, keepdims=True))
    return exponentials / jnp.sum(exponentials, axis, keepdims=True)


def log_softmax(logits: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """log(softmax(logits)), which stays finite where the probability itself rounds to 0."""
    shifted = logits - jnp.max(logits, axis, keepdims=True)
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis, keepdims=True))


def cross_entropy(
    logits: Float[Array, "*batch classes"], targets: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """-Σ_c y_c log p_c of each example, with p = softmax(logits) and y one-hot or any distribution.

    Raises:
      ValueError: the shapes differ, as they do for class indices (`jax.nn.one_hot` turns them into targets).

    >>> float(cross_entropy(jnp.array([-1e4, 1e4]), jnp.array([1.0, 0.0])))
    20000.0
    """
    if jnp.shape(targets) != jnp.shape(logits):
        raise ValueError(
            f"expected one target for each logit, {jnp.shape(logits)}, got shape {jnp.shape(targets)}; "
            "turn class indices into targets with jax.nn.one_hot"
        )
    return -jnp.sum(targets * log_softmax(logits), axis=-1)


def cross_entropy_gradient(
    logits: Float[Array, "*batch classes"], targets: Float[Array, "*batch classes"]
) -> Float[Array, "*batch classes"]:
    """The derivative of `cross_entropy` by the logits, p - y, for targets that sum to 1."""
    return softmax(logits) - targets
