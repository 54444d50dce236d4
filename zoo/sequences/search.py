"""Greedy and beam search: the most probable sentences of a network that gives the next word, step by step.

Sutskever, Vinyals and Le, 2014, Sequence to Sequence Learning with Neural Networks, section 3.2; Vinyals et al., 2015,
Show and Tell: A Neural Image Caption Generator, section 3. Lecture row L77.

Sizes are fixed, so that a search is one program under `jit`, for a whole batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

Carry = PyTree[Array]
"""What a network takes from step to step; every leaf has the sentences as its leading axis."""
Step = Callable[[Carry, Int[Array, " n"]], tuple[Carry, Float[Array, "n words"]]]
"""The next carry, and the logits of the word that follows the one that is given."""


class Sentences(NamedTuple):
    """What a search found."""

    tokens: Int[Array, "*batch steps"]
    """The words; from the end of a sentence on all are the end token."""
    lengths: Int[Array, "*batch"]
    """How many tokens each has, its end token among them; `steps` where it was cut off before one."""
    scores: Float[Array, "*batch"]
    """What they are ranked by: the logarithm of the probability, over length ** length_power. Of beams that are
    more than there are sentences it is -inf, and their tokens mean nothing."""


def greedy_search(step: Step, carry: Carry, first: Int[Array, " batch"], *, steps: int, end: int) -> Sentences:
    """The most probable word at every step, up to the end token; of equal ones the first.

    Args:
      step: the network.
      carry: before the first step.
      first: the token that each sentence begins after, such as a start token.
      steps: tokens of a sentence at most.
      end: the token that ends a sentence.

    Raises:
      ValueError: see `beam_search`.

    >>> chain = jnp.log(jnp.array([[0.1, 0.7, 0.2], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]))  # 1 after 0, 2 after 1, ...
    >>> found = greedy_search(lambda carry, word: (carry, chain[word]), (), jnp.array([1, 0]), steps=4, end=0)
    >>> found.tokens.tolist(), found.lengths.tolist()
    ([[2, 0, 0, 0], [1, 2, 0, 0]], [2, 3])
    """
    found = beam_search(step, carry, first, steps=steps, end=end, beams=1)
    return Sentences(*(each[:, 0] for each in found))


def beam_search(
    step: Step,
    carry: Carry,
    first: Int[Array, " batch"],
    *,
    steps: int,
    end: int,
    beams: int,
    length_power: float = 0.0,
) -> Sentences:
    """The best sentences that are found when only the `beams` best beginnings are kept at every step, best first.

    Sentences that have ended stay among the beams, with the score that they have, as long as they are among the best.
    So a beam of one is greedy search, and one as wide as there are sentences leaves none out.

    Args:
      step: the network; it is called with batch * beams sentences.
      carry: before the first step, of the batch.
      first: the token that each sentence begins after, such as a start token.
      steps: tokens of a sentence at most.
      end: the token that ends a sentence.
      beams: beginnings that are kept.
      length_power: sentences are ranked by log p / length ** length_power: 0 is their probability, which is for short
        ones, and 1 the mean over their tokens.

    Returns:
      tokens (batch, beams, steps), lengths and scores (batch, beams).

    Raises:
      ValueError: no step or beam, an end token that is no word, first tokens that are no vector, or a carry of another
        number of sentences.
    """
    if steps < 1 or beams < 1:
        raise ValueError(f"expected at least one step and one beam, got steps={steps} and beams={beams}")
    if first.ndim != 1:
        raise ValueError(f"expected a first token for each sentence, got shape {first.shape}")
    batch = first.shape[0]
    if wrong := [leaf.shape for leaf in jax.tree.leaves(carry) if leaf.shape[:1] != (batch,)]:
        raise ValueError(f"expected a carry of {batch} sentences, its leading axis, got an array of shape {wrong[0]}")
    carry = jax.tree.map(lambda leaf: jnp.repeat(leaf, beams, axis=0), carry)
    alone = jnp.full(beams, -jnp.inf, jnp.float32).at[0].set(0)  # at first there is one beginning
    begun = _Search(
        jnp.zeros((), jnp.int32),
        carry,
        jnp.repeat(first, beams, axis=0).astype(jnp.int32),
        jnp.full((batch, beams, steps), end, jnp.int32),
        jnp.zeros((batch, beams), jnp.int32),
        jnp.broadcast_to(alone, (batch, beams)),
        jnp.zeros((batch, beams), bool),
    )

    def advanced(search: _Search) -> _Search:
        carry, logits = step(search.carry, search.words)
        if not 0 <= end < logits.shape[-1]:
            raise ValueError(f"expected an end token among {logits.shape[-1]} words, got {end}")
        return _grown(search, carry, logits.reshape(batch, beams, -1), end, length_power)

    found = lax.while_loop(lambda search: (search.count < steps) & ~jnp.all(search.ended), advanced, begun)
    return Sentences(found.tokens, found.lengths, _scores(found.log_probability, found.lengths, length_power))


class _Search(NamedTuple):
    """Where a search is."""

    count: Int[Array, ""]
    carry: Carry
    words: Int[Array, " batch*beams"]
    """The last ones."""
    tokens: Int[Array, "batch beams steps"]
    lengths: Int[Array, "batch beams"]
    log_probability: Float[Array, "batch beams"]
    ended: Bool[Array, "batch beams"]


def _grown(
    search: _Search, carry: Carry, logits: Float[Array, "batch beams words"], end: int, length_power: float
) -> _Search:
    """The best sentences with one more token; one that has ended goes on as it is, with certainty."""
    batch, beams, words = logits.shape
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    stays = jnp.where(jnp.arange(words) == end, 0.0, -jnp.inf)
    log_p = search.log_probability[..., None] + jnp.where(search.ended[..., None], stays, log_p)
    lengths = search.lengths + ~search.ended
    scores = _scores(log_p, lengths[..., None], length_power)
    _, chosen = lax.top_k(scores.reshape(batch, -1), beams)
    parents, tokens = jnp.divmod(chosen, words)

    def of_parents(values: Array) -> Array:
        return jnp.take_along_axis(values, parents.reshape(batch, beams, *[1] * (values.ndim - 2)), axis=1)

    rows = (jnp.arange(batch)[:, None] * beams + parents).reshape(-1)
    return _Search(
        search.count + 1,
        jax.tree.map(lambda leaf: leaf[rows], carry),
        tokens.reshape(-1),
        lax.dynamic_update_index_in_dim(of_parents(search.tokens), tokens, search.count, axis=2),
        of_parents(lengths),
        jnp.take_along_axis(log_p.reshape(batch, -1), chosen, axis=1),
        of_parents(search.ended) | (tokens == end),
    )


def _scores(log_p: Float[Array, "..."], lengths: Int[Array, "..."], power: float) -> Float[Array, "..."]:
    return log_p / lengths.astype(jnp.float32) ** power
