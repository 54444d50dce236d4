"""Learning one thing after the other: what keeps a network from forgetting, and how forgetting is measured.

Kirkpatrick et al., 2017, Overcoming Catastrophic Forgetting in Neural Networks (EWC); Li and Hoiem, 2016, Learning
without Forgetting (LwF); Lopez-Paz and Ranzato, 2017, Gradient Episodic Memory; Chaudhry et al., 2018, Riemannian Walk
for Incremental Learning. Lecture row L98.

An accuracy matrix has in row i and column j the accuracy on task j after learning the tasks up to i.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

Matrix = Float[np.ndarray, "tasks tasks"]


def fisher_diagonal(
    logits: Callable[[PyTree[Array], Array], Float[Array, " classes"]],
    params: PyTree[Array],
    examples: Float[Array, "count ..."],
) -> PyTree[Array]:
    """How much the network's answers depend on each parameter: the diagonal of its Fisher information.

    It is the mean over examples of the expected square of the slope of log p(class), expected over the classes as the
    network itself has them: no label is read, and nothing is drawn.

    Args:
      logits: a function of parameters and one example that gives its logits, (classes,).
      params: where it is taken.
      examples: whose inputs.

    Returns:
      A tree as the parameters.

    >>> fisher = fisher_diagonal(lambda w, x: jnp.array([w * x, 0.0]), jnp.array(0.0), jnp.array([2.0]))
    >>> float(fisher)  # p (1 - p) x^2
    1.0
    """

    def of_one(example: Array) -> PyTree[Array]:
        log_p = jax.nn.log_softmax(logits(params, example))
        slopes = jax.jacrev(lambda params: jax.nn.log_softmax(logits(params, example)))(params)
        return jax.tree.map(lambda slope: jnp.tensordot(jnp.exp(log_p), jnp.square(slope), axes=1), slopes)

    return jax.tree.map(lambda leaf: leaf.mean(axis=0), jax.vmap(of_one)(examples))


def quadratic_penalty(params: PyTree[Array], anchor: PyTree[Array], importance: PyTree[Array]) -> Float[Array, ""]:
    """Half the sum of importance * (parameter - anchor)^2: EWC's, whose importance is the Fisher information.

    Args:
      params: as they are learned.
      anchor: what they were after the tasks before.
      importance: of each parameter; several tasks' add up, each with the strength that it shall have.

    >>> float(quadratic_penalty({"w": jnp.array([1.0, 2.0])}, {"w": jnp.zeros(2)}, {"w": jnp.array([1.0, 0.5])}))
    1.5
    """
    terms = jax.tree.map(lambda p, a, i: jnp.sum(i * jnp.square(p - a)), params, anchor, importance)
    return jax.tree.reduce(jnp.add, terms) / 2


def distillation_loss(
    logits: Float[Array, "*batch classes"], before: Float[Array, "*batch classes"], temperature: float = 2.0
) -> Float[Array, "*batch"]:
    """The cross entropy with what the network said before, both softened: LwF's loss of the tasks before.

    Args:
      logits: of the network that learns.
      before: of the network as it was, which is not learned.
      temperature: by which logits are divided.

    >>> float(distillation_loss(jnp.zeros(2), jnp.zeros(2)))  # log 2
    0.6931471824645996
    """
    chances = jax.nn.softmax(jax.lax.stop_gradient(before) / temperature)
    return -jnp.sum(chances * jax.nn.log_softmax(logits / temperature), axis=-1)


def average_accuracy(accuracies: Matrix) -> float:
    """The mean accuracy over all tasks, after the last one.

    >>> average_accuracy(np.array([[1.0, 0.5], [0.6, 0.8]])).__round__(4)
    0.7
    """
    return float(_square(accuracies)[-1].mean())


def forgetting(accuracies: Matrix) -> float:
    """By how much accuracy fell, from its best before the last task to its end: the mean over all tasks but the last.

    Chaudhry et al., 2018, section 3.2. It is negative where later tasks helped.

    >>> forgetting(np.array([[1.0, 0.5], [0.6, 0.8]])).__round__(4)
    0.4
    """
    accuracies = _square(accuracies)[:, :-1]
    return float(np.mean(accuracies[:-1].max(axis=0) - accuracies[-1]))


def backward_transfer(accuracies: Matrix) -> float:
    """How later tasks changed earlier ones' accuracy, from when they were learned to the end: the mean over tasks.

    Lopez-Paz and Ranzato, 2017, equation 3: negative where a network forgets.

    >>> backward_transfer(np.array([[1.0, 0.5], [0.6, 0.8]])).__round__(4)
    -0.4
    """
    accuracies = _square(accuracies)
    return float(np.mean(accuracies[-1, :-1] - np.diagonal(accuracies)[:-1]))


def forward_transfer(accuracies: Matrix, untrained: Float[np.ndarray, " tasks"]) -> float:
    """What a task gains from those before it, before it is learned: the mean over all tasks but the first.

    Lopez-Paz and Ranzato, 2017, equation 4.

    Args:
      accuracies: the matrix.
      untrained: of each task, the accuracy of the network before it learned anything.

    Raises:
      ValueError: not as many of these as tasks, or no square matrix of two tasks or more.

    >>> forward_transfer(np.array([[1.0, 0.5], [0.6, 0.8]]), np.array([0.1, 0.1])).__round__(4)
    0.4
    """
    accuracies, untrained = _square(accuracies), np.asarray(untrained)
    if untrained.shape != accuracies.shape[:1]:
        raise ValueError(f"expected {len(accuracies)} accuracies of the untrained network, got shape {untrained.shape}")
    return float(np.mean(np.diagonal(accuracies, offset=1) - untrained[1:]))


def _square(accuracies: Matrix) -> Matrix:
    accuracies = np.asarray(accuracies, np.float64)
    if accuracies.ndim != 2 or accuracies.shape[0] != accuracies.shape[1] or len(accuracies) < 2:
        raise ValueError(f"expected a square matrix of two or more tasks, got shape {accuracies.shape}")
    return accuracies
