"""Greedy and beam search beside every sentence that there is, one after the other in numpy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.sequences.search import beam_search, greedy_search

WORDS, STEPS, END, BATCH = 3, 4, 1, 5
RANDOM = np.random.default_rng(0)
RECURRENT = RANDOM.standard_normal((6, 6)).astype(np.float32)
EMBEDDED = 2 * RANDOM.standard_normal((WORDS, 6)).astype(np.float32)
READ = 2 * RANDOM.standard_normal((6, WORDS)).astype(np.float32)
STATES = RANDOM.standard_normal((BATCH, 6)).astype(np.float32)
FIRST = np.array([0, 1, 2, 0, 1])  # a start that is the end token ends nothing
ALL = sum((WORDS - 1) ** length for length in range(STEPS)) + (WORDS - 1) ** STEPS
"""Sentences that end at each of the steps, and those that do not: 31."""


def step(carry, words, np=jnp):
    """A small recurrent network, whose logits depend on all words before."""
    state = np.tanh(carry["state"] @ RECURRENT + np.asarray(EMBEDDED)[words])
    return {"state": state}, state @ READ


def every_sentence(row):
    """Each with the logarithm of its probability."""
    for words in itertools.product(range(WORDS), repeat=STEPS):
        length = words.index(END) + 1 if END in words else STEPS
        if any(word != END for word in words[length:]):
            continue  # the same sentence again
        carry, last, log_p = {"state": STATES[row][None]}, FIRST[row : row + 1], 0.0
        for word in words[:length]:
            carry, logits = step(carry, last, np)
            log_p += logits[0, word] - np.log(np.exp(logits[0].astype(np.float64)).sum())
            last = np.array([word])
        yield words, length, log_p


@functools.cache
def program(beams):
    """Beam search of a batch, of any power."""
    options = {"steps": STEPS, "end": END, "beams": beams}
    return jax.jit(
        lambda state, first, power: beam_search(step, {"state": state}, first, length_power=power, **options)
    )


def found_by(beams, power=0.0):
    return program(beams)(STATES, FIRST, power)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_a_beam_as_wide_as_everything_ranks_every_sentence(power):
    found = found_by(ALL, power)
    for row in range(BATCH):
        ranked = sorted(every_sentence(row), key=lambda each: -each[2] / each[1] ** power)
        assert len(ranked) == ALL
        assert found.tokens[row].tolist() == [list(words) for words, _, _ in ranked]
        assert found.lengths[row].tolist() == [length for _, length, _ in ranked]
        np.testing.assert_allclose(found.scores[row], [log_p / length**power for _, length, log_p in ranked], rtol=1e-4)


def test_a_wider_beam_than_there_are_sentences_says_which_are_none():
    options = {"steps": 2, "end": END, "beams": 9}  # of two words there are 2 x 3 sentences, and the one that ends
    found = jax.jit(lambda state, first: beam_search(step, {"state": state}, first, **options))(STATES, FIRST)
    assert np.isfinite(found.scores[:, :7]).all()
    assert np.isneginf(found.scores[:, 7:]).all()


def test_a_beam_of_one_is_greedy_search_and_greedy_search_a_loop_over_argmax():
    options = {"steps": STEPS, "end": END}
    greedy = jax.jit(lambda state, first: greedy_search(step, {"state": state}, first, **options))(STATES, FIRST)
    for power in (0.0, 1.0):
        beam = found_by(1, power)
        np.testing.assert_array_equal(beam.tokens[:, 0], greedy.tokens)
        np.testing.assert_array_equal(beam.lengths[:, 0], greedy.lengths)
    lengths = []
    for row in range(BATCH):
        carry, last, said = {"state": STATES[row][None]}, FIRST[row : row + 1], []
        while len(said) < STEPS and END not in said:
            carry, logits = step(carry, last, np)
            last = logits.argmax(axis=-1)
            said.append(int(last[0]))
        lengths.append(len(said))
        assert greedy.tokens[row].tolist() == said + [END] * (STEPS - len(said))
        (log_p,) = [log_p for words, _, log_p in every_sentence(row) if list(words) == greedy.tokens[row].tolist()]
        assert greedy.scores[row] == pytest.approx(log_p, rel=1e-4)
    assert greedy.lengths.tolist() == lengths
    assert len(set(lengths)) > 1  # some end early


def test_a_narrow_beam_keeps_the_best_beginnings_step_by_step():
    """By hand, with lists: what is kept is sorted anew at each step, ended sentences among it."""
    beams, power = 2, 0.5
    found = found_by(beams, power)
    for row in range(BATCH):
        kept = [([], {"state": STATES[row][None]}, FIRST[row : row + 1], 0.0)]
        for _ in range(STEPS):
            grown = []
            for said, carry, last, log_p in kept:
                if END in said:
                    grown.append((said, carry, last, log_p))
                    continue
                after, logits = step(carry, last, np)
                each = logits[0] - np.log(np.exp(logits[0].astype(np.float64)).sum())
                grown += [([*said, word], after, np.array([word]), log_p + each[word]) for word in range(WORDS)]
            kept = sorted(grown, key=lambda one: -one[3] / len(one[0]) ** power)[:beams]
        assert [
            tokens[:length] for tokens, length in zip(found.tokens[row].tolist(), found.lengths[row], strict=True)
        ] == [said for said, *_ in kept]


def test_an_image_of_a_batch_is_searched_as_if_it_were_alone():
    together = found_by(2)
    mapped = jax.vmap(lambda state, word: program(2)(state[None], word[None], 0.0))(STATES, FIRST)
    np.testing.assert_array_equal(mapped.tokens[:, 0], together.tokens)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "expected at least one step and one beam, got steps=0 and beams=2"),
        ({"beams": 0}, "expected at least one step and one beam, got steps=4 and beams=0"),
        ({"end": WORDS}, "expected an end token among 3 words, got 3"),
        ({"end": -1}, "expected an end token among 3 words, got -1"),
    ],
)
def test_what_no_search_can_have_is_refused(options, message):
    sizes = {"steps": STEPS, "end": END, "beams": 2, **options}
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda state: beam_search(step, {"state": state}, FIRST, **sizes), STATES)
    with pytest.raises(ValueError, match=r"expected a carry of 5 sentences, .*, got an array of shape \(1, 6\)"):
        beam_search(step, {"state": STATES[:1]}, FIRST, steps=STEPS, end=END, beams=2)
    with pytest.raises(ValueError, match=r"expected a first token for each sentence, got shape \(5, 1\)"):
        greedy_search(step, {"state": STATES}, FIRST[:, None], steps=STEPS, end=END)
