"""When a run on one graph ends and which of its epochs counts, as the authors of GCN and GAT decided it.

Pure functions of what is validated after each epoch, so that many seeds train in one program and each ends by itself.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Validated(NamedTuple):
    """What is known after an epoch."""

    epoch: Int[Array, ""]
    """Counted from 0."""
    loss: Float[Array, ""]
    """The mean cross entropy of the validation nodes."""
    decay: Float[Array, ""]
    """What weight decay adds to the loss that is trained."""
    accuracy: Float[Array, ""]
    """Of the validation nodes."""


class Decision(NamedTuple):
    """What a rule makes of an epoch."""

    memory: Any
    """What it goes on with."""
    counts: Bool[Array, ""]
    """Whether the result is now that of this epoch."""
    stops: Bool[Array, ""]
    """Whether this was the last epoch."""


class Rule(NamedTuple):
    """How a run ends."""

    begin: Any
    """The memory before the first epoch."""
    decide: Callable[[Any, Validated], Decision]


def above_the_last(window: int = 10) -> Rule:
    """Stops when the validation loss, with decay, is above the mean of so many epochs before; the last epoch counts.

    As the code of Kipf and Welling, 2017, has it: never in the first epochs, of which there have to be more than the
    window.
    """

    def decide(losses: Float[Array, " window"], seen: Validated) -> Decision:
        loss = seen.loss + seen.decay
        stops = (seen.epoch > window) & (loss > jnp.mean(losses))
        return Decision(jnp.append(losses[1:], loss), jnp.array(True), stops)

    return Rule(jnp.full(window, jnp.inf), decide)


def no_better_for(patience: int = 100) -> Rule:
    """Stops when for so many epochs neither loss nor accuracy was as good as ever; what counts is the last epoch in
    which both were.

    As the code of Veličković et al., 2018, has it.
    """

    def decide(memory: tuple[Array, Array, Array], seen: Validated) -> Decision:
        best_loss, best_accuracy, waited = memory
        loss, accuracy = seen.loss <= best_loss, seen.accuracy >= best_accuracy
        waited = jnp.where(loss | accuracy, 0, waited + 1)
        best = jnp.minimum(best_loss, seen.loss), jnp.maximum(best_accuracy, seen.accuracy)
        return Decision((*best, waited), loss & accuracy, waited >= patience)

    return Rule((jnp.array(jnp.inf), jnp.array(0.0), jnp.array(0)), decide)


class Run(NamedTuple):
    """Where a run stands by its rule."""

    memory: Any
    epochs: Int[Array, ""]
    """Epochs until it stopped, or until now."""
    stopped: Bool[Array, ""]
    taken: Int[Array, ""]
    """The epoch that counts, from 1 on."""
    result: Float[Array, ""]
    """What was measured then."""


def begun(rule: Rule) -> Run:
    """Before the first epoch."""
    return Run(rule.begin, jnp.array(0), jnp.array(False), jnp.array(0), jnp.array(jnp.nan))


def watched(rule: Rule, run: Run, seen: Validated, result: Float[Array, ""]) -> Run:
    """The run after an epoch that came to this result; after its end nothing changes.

    >>> rule = no_better_for(1)
    >>> run = begun(rule)
    >>> for epoch, loss in enumerate((2.0, 1.0, 3.0, 0.5)):
    ...     seen = Validated(jnp.array(epoch), jnp.array(loss), jnp.array(0.0), jnp.array(0.1 * (loss < 3)))
    ...     run = watched(rule, run, seen, jnp.array(10.0 * epoch))
    >>> int(run.epochs), int(run.taken), float(run.result), bool(run.stopped)
    (3, 2, 10.0, True)
    """
    decision = rule.decide(run.memory, seen)
    goes_on = ~run.stopped
    counts = goes_on & decision.counts
    return Run(
        decision.memory,
        run.epochs + goes_on,
        run.stopped | decision.stops,
        jnp.where(counts, seen.epoch + 1, run.taken),
        jnp.where(counts, result, run.result),
    )
