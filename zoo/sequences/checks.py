"""What is asked of sequences: their shape when a network is traced, their lengths where these are known. Row L71."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int


class EmptySequenceError(ValueError):
    """A sequence has no step at all, so that there is no last one."""


def check_steps(inputs: Array, who: str) -> None:
    """Refuses what is not a sequence of vectors with at least one step.

    Args:
      inputs: (..., time, features).
      who: the function's or the network's name, for the message.

    Raises:
      ValueError: there are fewer than two axes.
      EmptySequenceError: there is no step.
      TypeError: the values are integers, such as tokens that nobody has embedded.

    >>> check_steps(jnp.ones((4, 0, 3)), "LSTM")
    Traceback (most recent call last):
    ...
    zoo.sequences.checks.EmptySequenceError: LSTM expected at least one step, got shape (4, 0, 3) (..., time, features)
    """
    if inputs.ndim < 2:
        raise ValueError(f"{who} expected sequences (..., time, features), got shape {inputs.shape}")
    if inputs.shape[-2] == 0:
        raise EmptySequenceError(f"{who} expected at least one step, got shape {inputs.shape} (..., time, features)")
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
        raise TypeError(f"{who} expected floating-point sequences, got {inputs.dtype}: embed tokens first")


def steps_mask(lengths: Int[Array, " batch"], steps: int) -> Bool[Array, "batch time"]:
    """Which steps are real, of sequences that are padded at their ends to so many steps.

    Under `jit` nobody can look at the lengths: there a sequence of length 0 has no real step, and keeps its initial
    state; one that is longer than all steps has only real ones.

    Args:
      lengths: of each sequence, from 1 to `steps`.
      steps: of all, padding included.

    Raises:
      EmptySequenceError: a sequence has no step.
      ValueError: a length is negative or above `steps`, or the lengths are no vector.
      TypeError: they are no integers.

    >>> steps_mask(jnp.array([1, 3]), 3).astype(int).tolist()
    [[1, 0, 0], [1, 1, 1]]
    >>> steps_mask(jnp.array([2, 0]), 3)
    Traceback (most recent call last):
    ...
    zoo.sequences.checks.EmptySequenceError: expected sequences of at least one step, got length 0 at 1
    """
    if np.ndim(lengths) != 1:
        raise ValueError(f"expected one length for each sequence, got shape {np.shape(lengths)}")
    if not jnp.issubdtype(jnp.asarray(lengths).dtype, jnp.integer):
        raise TypeError(f"expected lengths in whole steps, got {jnp.asarray(lengths).dtype}")
    if not isinstance(lengths, jax.core.Tracer):
        known = np.asarray(lengths)
        if (empty := np.flatnonzero(known == 0)).size:
            raise EmptySequenceError(f"expected sequences of at least one step, got length 0 at {empty[0]}")
        if (wrong := np.flatnonzero((known < 0) | (known > steps))).size:
            raise ValueError(f"expected lengths from 1 to {steps}, got {known[wrong[0]]} at {wrong[0]}")
    return jnp.arange(steps) < jnp.asarray(lengths)[:, None]


def check_mask(mask: Bool[Array, "batch time"], inputs: Array) -> None:
    """Refuses a mask that does not fit the sequences, or by which, where its values are known, one has no real step.

    Args:
      mask: which steps are real.
      inputs: (batch, time, features).

    Raises:
      ValueError: another shape than (batch, time).
      TypeError: it is not of truth values.
      EmptySequenceError: a sequence has no real step.
    """
    if mask.shape != inputs.shape[:2]:
        raise ValueError(f"expected a mask of shape {inputs.shape[:2]} (batch, time), got {mask.shape}")
    if mask.dtype != bool:
        raise TypeError(f"expected a mask of truth values, got {mask.dtype}")
    if not isinstance(mask, jax.core.Tracer) and (empty := np.flatnonzero(~np.asarray(mask).any(axis=1))).size:
        raise EmptySequenceError(f"expected sequences of at least one real step, got none at {empty[0]}")
